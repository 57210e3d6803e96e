#include "tests/integration/service.h"

#include <algorithm>

#include "fmt/format.h"
#include "grpcpp/grpcpp.h"

namespace mico {
namespace {

std::string TrialAsText(const v1::Trial& trial) {
  return fmt::format("{} {}/{} {} {} {}", trial.scheme_text(), trial.val().correct(),
                     trial.val().total(), trial.cost().latency_cycles(),
                     trial.cost().peak_ram_bytes(), trial.cost().flash_bytes());
}

}  // namespace

void ServiceTest::StartServer() {
  options_.data_dir = folder_.path() / "data";
  options_.listen = "127.0.0.1:0";
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options_, clock_);
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  const auto channel = grpc::CreateChannel(address(), grpc::InsecureChannelCredentials());
  exploration_ = v1::ExplorationService::NewStub(channel);
  blobs_ = v1::BlobService::NewStub(channel);
}

void ServiceTest::RestartServer() {
  server_.reset();
  StartServer();
}

v1::SubmitJobRequest ServiceTest::SmallJob(const std::string& strategy, int64_t trials) {
  v1::SubmitJobRequest request;
  v1::JobSpec& spec = *request.mutable_spec();
  spec.set_model_name("small.onnx");
  spec.set_model_digest(UploadBlob(*blobs_, SmallNetwork()).value().hex());
  spec.set_dataset_name("small.npz");
  spec.set_dataset_digest(UploadBlob(*blobs_, SmallData()).value().hex());
  spec.set_target("fake");
  spec.set_strategy(strategy);
  spec.set_trials(trials);
  spec.set_seed(11);
  return request;
}

grpc::Status ServiceTest::TrySubmit(const v1::SubmitJobRequest& request,
                                    v1::SubmitJobResponse* response) {
  grpc::ClientContext context;
  return exploration_->SubmitJob(&context, request, response);
}

v1::SubmitJobResponse ServiceTest::Submit(const v1::SubmitJobRequest& request) {
  v1::SubmitJobResponse response;
  const grpc::Status status = TrySubmit(request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

v1::Job ServiceTest::GetJob(const std::string& id) {
  grpc::ClientContext context;
  v1::GetJobRequest request;
  request.set_job(id);
  v1::Job job;
  const grpc::Status status = exploration_->GetJob(&context, request, &job);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return job;
}

bool ServiceTest::HasEnded(const std::string& id) {
  return GetJob(id).state() >= v1::JOB_STATE_DONE;
}

std::vector<v1::Trial> ServiceTest::ListTrials(const std::string& id, int page_size) {
  std::vector<v1::Trial> trials;
  v1::ListTrialsRequest request;
  request.set_job(id);
  request.set_page_size(page_size);
  do {
    grpc::ClientContext context;
    v1::ListTrialsResponse response;
    const grpc::Status status = exploration_->ListTrials(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    if (page_size > 0) EXPECT_LE(response.trials_size(), page_size);
    trials.insert(trials.end(), response.trials().begin(), response.trials().end());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return trials;
}

grpc::Status ServiceTest::TryGetArtifact(const std::string& id, int64_t trial,
                                         v1::GetArtifactResponse* response) {
  grpc::ClientContext context;
  v1::GetArtifactRequest request;
  request.set_job(id);
  if (trial > 0) {
    request.set_trial(trial);
  } else {
    request.set_best(true);
  }
  return exploration_->GetArtifact(&context, request, response);
}

std::string ServiceTest::Download(const std::string& digest) {
  grpc::ClientContext context;
  v1::DownloadRequest request;
  request.set_digest(digest);
  const auto reader = blobs_->Download(&context, request);
  std::string bytes;
  v1::DownloadResponse part;
  while (reader->Read(&part)) bytes += part.chunk();
  EXPECT_TRUE(reader->Finish().ok());
  return bytes;
}

FakeWorker ServiceTest::AnnouncedWorker(const std::string& id) {
  FakeWorker worker(address(), id);
  worker.Step();
  return worker;
}

std::vector<std::string> FrontAsText(const v1::Job& job) {
  std::vector<std::string> lines;
  for (const v1::Trial& trial : job.front()) lines.push_back(TrialAsText(trial));
  return lines;
}

std::vector<std::string> ExpectedFront(const std::vector<v1::Trial>& trials, int64_t max_latency) {
  std::vector<v1::Trial> candidates;
  for (const v1::Trial& trial : trials) {
    const bool counts = trial.state() == v1::TRIAL_STATE_FINISHED && !trial.probe();
    if (counts && trial.cost().latency_cycles() <= max_latency) candidates.push_back(trial);
  }
  const auto beats = [](const v1::Trial& a, const v1::Trial& b) {
    const int64_t latency = a.cost().latency_cycles() - b.cost().latency_cycles();
    const int64_t correct = a.val().correct() - b.val().correct();
    if (latency > 0 || correct < 0) return false;
    return latency < 0 || correct > 0 || a.number() < b.number();
  };
  std::vector<v1::Trial> front;
  for (const v1::Trial& trial : candidates) {
    const bool beaten = std::any_of(candidates.begin(), candidates.end(),
                                    [&](const v1::Trial& other) { return beats(other, trial); });
    if (!beaten) front.push_back(trial);
  }
  std::sort(front.begin(), front.end(), [](const v1::Trial& a, const v1::Trial& b) {
    return a.cost().latency_cycles() < b.cost().latency_cycles();
  });
  std::vector<std::string> lines;
  for (const v1::Trial& trial : front) lines.push_back(TrialAsText(trial));
  return lines;
}

}  // namespace mico
