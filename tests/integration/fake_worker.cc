#include "tests/integration/fake_worker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "codegen/program_plan.h"
#include "codegen/signature.h"
#include "fmt/format.h"
#include "grpcpp/grpcpp.h"
#include "proto/convert.h"
#include "target/latency_model.h"

namespace mico {
namespace {

constexpr size_t kChunk = 1 << 16;

// More elements and wider ones cost more; the numbers themselves mean nothing.
int64_t FakeCount(const QuantizedGraph& graph) {
  const Step& step = graph.steps[0];
  int64_t bits = step.weight_bits + 2;
  for (const int input : step.inputs) bits += graph.tensors[input].type.bits;
  return 10 * bits * graph.tensors[step.output].shape.elements();
}

}  // namespace

Target FakeTarget() {
  Target target;
  target.name = "fake";
  target.isa = "c99";
  target.clock_hz = 1'000'000;
  target.flash_bytes = 1 << 20;
  target.ram_bytes = 1 << 20;
  target.profile_key = "fake-board";
  target.has_board = true;
  return target;
}

Score FakeScore(const BitScheme& scheme, int64_t samples, Metric metric, bool trained) {
  int64_t penalty = 0;
  for (size_t layer = 0; layer < scheme.size(); ++layer) {
    penalty += (8 - scheme[layer].weight_bits) * static_cast<int64_t>(layer + 1) +
               int64_t{2} * (8 - scheme[layer].input_bits);
  }
  if (trained) penalty /= 3;
  const int64_t correct = std::max<int64_t>(samples - 2 - penalty * samples / 150, 1);
  if (CountsAnswers(metric)) return CountScore(metric, correct, samples);
  const double wrong = 1.0 - static_cast<double>(correct) / static_cast<double>(samples);
  if (metric == Metric::kMse) return {metric, 0, samples, wrong, 0.9 * wrong, 1.1 * wrong};
  const double auc = 1.0 - 0.5 * wrong;
  return {metric, 0, samples, auc, 0.9 * auc, 1.0};
}

std::string FakeModel(const BitScheme& scheme, bool trained) {
  return fmt::format("{}quantized {}", trained ? "trained and " : "", scheme.ToString());
}
std::string FakeLearned(const BitScheme& scheme) { return "learned " + scheme.ToString(); }
std::string FakeState(const BitScheme& scheme) { return "state of " + scheme.ToString(); }

absl::StatusOr<Digest> UploadBlob(v1::BlobService::Stub& blobs, const std::string& bytes) {
  grpc::ClientContext context;
  v1::UploadResponse response;
  const std::unique_ptr<grpc::ClientWriter<v1::UploadRequest>> writer =
      blobs.Upload(&context, &response);
  const Digest digest = Digest::Of(bytes);
  v1::UploadRequest part;
  part.set_digest(digest.hex());
  writer->Write(part);
  for (size_t offset = 0; offset < bytes.size(); offset += kChunk) {
    part.set_chunk(bytes.substr(offset, kChunk));
    writer->Write(part);
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!status.ok()) return FromGrpc(status);
  return digest;
}

FakeWorker::FakeWorker(const std::string& address, std::string id) : id_(std::move(id)) {
  // A server that is started again is found again at once.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
  const auto channel =
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  workers_ = v1::WorkerService::NewStub(channel);
  blobs_ = v1::BlobService::NewStub(channel);
}

WorkerReport FakeWorker::Report() const {
  WorkerReport report;
  report.worker_id = id_;
  report.worker_name = "fake " + id_;
  report.version = "test";
  report.targets = {target};
  report.evaluates = evaluates;
  report.converts = converts;
  report.checks = checks;
  report.target_health = target_health;
  return report;
}

WorkerReport FakeWorker::ReportFinished(const std::string& lease, const TaskResult& result) const {
  WorkerReport report = Report();
  report.state = Finished{lease, result};
  return report;
}

absl::StatusOr<WorkerOrder> FakeWorker::Say(const WorkerReport& report) {
  grpc::ClientContext context;
  v1::SynchronizeResponse response;
  const grpc::Status status = workers_->Synchronize(&context, ToProto(report), &response);
  if (!status.ok()) return FromGrpc(status);
  return FromProto(response);
}

bool FakeWorker::Step() {
  WorkerReport report = Report();
  if (held) report = ReportFinished(held->lease_id, Work(held->task));
  const absl::StatusOr<WorkerOrder> order = Say(report);
  EXPECT_TRUE(order.ok()) << order.status();
  if (!order.ok()) return false;
  held = order->order;
  if (held) ++orders;
  return held.has_value();
}

void FakeWorker::StepUntil(const std::function<bool()>& done, int most) {
  for (int step = 0; step < most; ++step) {
    if (done()) return;
    if (!Step()) std::this_thread::yield();
  }
  ADD_FAILURE() << "not done after " << most << " steps";
}

TaskResult FakeWorker::Work(const Task& task) {
  const absl::Status failure = fails(task);
  if (!failure.ok()) return {failure, {}};
  if (const auto* calibrate = std::get_if<CalibrateTask>(&task)) return Calibrate(*calibrate);
  if (const auto* profile = std::get_if<ProfileTask>(&task)) return Profile(*profile);
  if (const auto* evaluate = std::get_if<EvaluateTask>(&task)) return Evaluate(*evaluate);
  if (const auto* convert = std::get_if<ConvertTask>(&task)) return Convert(*convert);
  if (const auto* reconstruct = std::get_if<ReconstructTask>(&task)) {
    return Reconstruct(*reconstruct);
  }
  if (const auto* train = std::get_if<TrainTask>(&task)) return Train(*train);
  return MakeArtifact(std::get<ArtifactTask>(task));
}

TaskResult FakeWorker::Calibrate(const CalibrateTask& task) {
  CalibrateResult result;
  const absl::StatusOr<Digest> calibration =
      UploadBlob(*blobs_, fmt::format("calibration {} {}", task.train_samples, task.seed));
  if (!calibration.ok()) return {calibration.status(), {}};
  result.calibration = *calibration;
  result.input_non_negative = true;
  const BitScheme widest({{8, 8}});
  result.float_val = FakeScore(widest, val_samples, task.metric);
  result.float_test = FakeScore(widest, test_samples, task.metric);
  if (CountsAnswers(task.metric)) {
    result.float_val = CountScore(task.metric, val_samples - 1, val_samples);
    result.float_test = CountScore(task.metric, test_samples - 1, test_samples);
  }
  return {absl::OkStatus(), result};
}

TaskResult FakeWorker::Reconstruct(const ReconstructTask& task) {
  const absl::StatusOr<Digest> reconstruction = UploadBlob(
      *blobs_, fmt::format("reconstruction w{}a{}", task.bits.weight_bits, task.bits.input_bits));
  if (!reconstruction.ok()) return {reconstruction.status(), {}};
  return {absl::OkStatus(), ReconstructResult{*reconstruction}};
}

TaskResult FakeWorker::Train(const TrainTask& task) {
  TrainResult result;
  for (const auto& [bytes, digest] : {std::pair(FakeLearned(task.scheme), &result.reconstruction),
                                      std::pair(FakeState(task.scheme), &result.state)}) {
    const absl::StatusOr<Digest> uploaded = UploadBlob(*blobs_, bytes);
    if (!uploaded.ok()) return {uploaded.status(), {}};
    *digest = *uploaded;
  }
  result.epochs = task.recipe.epochs;
  result.duration = std::chrono::minutes(5);
  return {absl::OkStatus(), result};
}

WorkerOrder FakeWorker::ReportCheckpoint(const std::string& checkpoint, bool leaving) {
  const absl::StatusOr<Digest> uploaded = UploadBlob(*blobs_, checkpoint);
  EXPECT_TRUE(uploaded.ok()) << uploaded.status();
  WorkerReport report = Report();
  report.state = Running{held->lease_id, 0.5, Digest::Of(checkpoint)};
  report.leaving = leaving;
  absl::StatusOr<WorkerOrder> answer = Say(report);
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.ok() ? *std::move(answer) : WorkerOrder();
}

TaskResult FakeWorker::Profile(const ProfileTask& task) {
  LatencyTable table;
  table.profile_key = task.profile_key;
  table.base_flash_bytes = 500;
  table.step_code_bytes = 20;
  table.run_overhead = 7;
  for (const std::string& signature : task.signatures) {
    const absl::StatusOr<QuantizedGraph> graph = ParseSignature(signature);
    EXPECT_TRUE(graph.ok()) << graph.status();
    const absl::StatusOr<ProgramPlan> plan = PlanProgram(*graph, target);
    EXPECT_TRUE(plan.ok()) << plan.status();
    table.steps[signature] = {FakeCount(*graph), 0};
    for (const std::string& kernel : plan->Work(*graph).kernels) {
      table.kernel_code_bytes[kernel] = 100;
    }
  }
  const absl::StatusOr<Digest> uploaded = UploadBlob(*blobs_, Serialize(table));
  if (!uploaded.ok()) return {uploaded.status(), {}};
  return {absl::OkStatus(), ProfileResult{*uploaded}};
}

TaskResult FakeWorker::Evaluate(const EvaluateTask& task) {
  const int64_t all = task.split == Split::kTest ? test_samples : val_samples;
  EvaluateResult result;
  for (const BitScheme& scheme : task.schemes) {
    SchemeResult one;
    const bool trained =
        task.reconstructions == std::vector<Digest>{Digest::Of(FakeLearned(scheme))};
    one.score = FakeScore(scheme, task.samples == 0 ? all : task.samples, task.metric, trained);
    if (task.floor.has_value() && one.score.value < *task.floor) {
      one.gave_up = true;
      one.score = FakeScore(scheme, one.score.total / 2, task.metric, trained);
    }
    one.divergence = one.score.error();
    one.quantized = Digest::Of(FakeModel(scheme, trained));
    if (task.upload_models) {
      const absl::Status uploaded = UploadBlob(*blobs_, FakeModel(scheme, trained)).status();
      if (!uploaded.ok()) return {uploaded, {}};
    }
    result.schemes.push_back(one);
  }
  return {absl::OkStatus(), result};
}

TaskResult FakeWorker::MakeArtifact(const ArtifactTask& task) {
  ArtifactResult result;
  const absl::StatusOr<Digest> artifact =
      UploadBlob(*blobs_, "artifact of " + task.quantized.hex());
  if (!artifact.ok()) return {artifact.status(), {}};
  result.artifact = *artifact;
  result.self_test_host = true;
  result.self_test_board = true;
  result.measured_count = task.predicted.latency_cycles;
  return {absl::OkStatus(), result};
}

TaskResult FakeWorker::Convert(const ConvertTask&) {
  const absl::StatusOr<Digest> package = UploadBlob(*blobs_, converted);
  if (!package.ok()) return {package.status(), {}};
  return {absl::OkStatus(), ConvertResult{*package}};
}

}  // namespace mico
