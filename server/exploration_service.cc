#include "server/exploration_service.h"

#include <thread>

#include "fmt/format.h"
#include "proto/convert.h"
#include "proto/fields.h"
#include "server/views.h"

namespace mico {
namespace {

// At most four states a second; whoever reads slower gets only the latest.
constexpr std::chrono::milliseconds kWatchInterval{250};
constexpr size_t kMostRequestId = 200;
constexpr size_t kMostName = 1000;

}  // namespace

grpc::Status ExplorationServiceImpl::SubmitJob(grpc::ServerContext*,
                                               const v1::SubmitJobRequest* request,
                                               v1::SubmitJobResponse* response) {
  if (request->request_id().size() > kMostRequestId) {
    return ToGrpc(absl::InvalidArgumentError(fmt::format(
        "request_id: {} bytes; needed: at most {}", request->request_id().size(), kMostRequestId)));
  }
  const absl::StatusOr<JobSpec> spec = FromProto(request->spec());
  if (!spec.ok()) return ToGrpc(spec.status());

  const absl::StatusOr<Submission> submission =
      coordinator_.Submit(request->request_id(), *spec, request->validate_only());
  if (!submission.ok()) return ToGrpc(submission.status());

  *response->mutable_job() = ToProto(submission->job);
  response->set_existed(submission->existed);
  if (submission->preview) *response->mutable_preview() = ToProto(*submission->preview);
  return grpc::Status::OK;
}

grpc::Status ExplorationServiceImpl::ConvertModel(grpc::ServerContext*,
                                                  const v1::ConvertModelRequest* request,
                                                  v1::ConvertModelResponse* response) {
  const absl::StatusOr<Digest> file = fields::ReadDigest("digest", request->digest());
  if (!file.ok()) return ToGrpc(file.status());
  const absl::Status named = fields::CheckName("name", request->name());
  if (!named.ok()) return ToGrpc(named);
  absl::StatusOr<std::vector<int64_t>> shape =
      ReadInputShape("input_shape", request->input_shape());
  if (!shape.ok()) return ToGrpc(shape.status());

  const absl::StatusOr<ConversionSnapshot> conversion =
      coordinator_.ConvertModel({*file, *std::move(shape)}, request->name(), request->retry());
  if (!conversion.ok()) return ToGrpc(conversion.status());

  *response = ToProto(*conversion);
  return grpc::Status::OK;
}

grpc::Status ExplorationServiceImpl::GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                                            v1::Job* response) {
  const absl::StatusOr<JobSnapshot> job = coordinator_.GetJob(request->job());
  if (!job.ok()) return ToGrpc(job.status());
  *response = ToProto(*job);
  return grpc::Status::OK;
}

grpc::Status ExplorationServiceImpl::ListJobs(grpc::ServerContext*,
                                              const v1::ListJobsRequest* request,
                                              v1::ListJobsResponse* response) {
  const absl::StatusOr<Page<JobSnapshot>> page =
      coordinator_.ListJobs(request->page_size(), request->page_token());
  if (!page.ok()) return ToGrpc(page.status());
  for (const JobSnapshot& job : page->items) *response->add_jobs() = ToProto(job);
  response->set_next_page_token(page->next_token);
  return grpc::Status::OK;
}

grpc::Status ExplorationServiceImpl::WatchJob(grpc::ServerContext* context,
                                              const v1::WatchJobRequest* request,
                                              grpc::ServerWriter<v1::Job>* writer) {
  absl::StatusOr<JobSnapshot> job = coordinator_.GetJob(request->job());
  uint64_t sent = 0;
  bool first = true;
  while (job.ok()) {
    if (first || job->version != sent) {
      if (!writer->Write(ToProto(*job))) return grpc::Status::CANCELLED;
      sent = job->version;
      first = false;
    }
    if (HasEnded(job->record.state)) return grpc::Status::OK;
    if (context->IsCancelled()) return grpc::Status::CANCELLED;
    if (stopping_) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is stopping");
    std::this_thread::sleep_for(kWatchInterval);
    job = coordinator_.WaitForChange(job->record.id, sent, kWatchInterval);
  }
  return ToGrpc(job.status());
}

grpc::Status ExplorationServiceImpl::CancelJob(grpc::ServerContext*,
                                               const v1::CancelJobRequest* request,
                                               v1::Job* response) {
  const absl::StatusOr<JobSnapshot> job = coordinator_.Cancel(request->job());
  if (!job.ok()) return ToGrpc(job.status());
  *response = ToProto(*job);
  return grpc::Status::OK;
}

grpc::Status ExplorationServiceImpl::GetArtifact(grpc::ServerContext*,
                                                 const v1::GetArtifactRequest* request,
                                                 v1::GetArtifactResponse* response) {
  std::optional<int64_t> trial;
  if (request->which_case() == v1::GetArtifactRequest::kTrial) trial = request->trial();
  const absl::StatusOr<ArtifactSnapshot> artifact = coordinator_.GetArtifact(request->job(), trial);
  if (!artifact.ok()) return ToGrpc(artifact.status());
  *response = ToProto(*artifact);
  return grpc::Status::OK;
}

grpc::Status ExplorationServiceImpl::ListTrials(grpc::ServerContext*,
                                                const v1::ListTrialsRequest* request,
                                                v1::ListTrialsResponse* response) {
  const auto trials =
      coordinator_.ListTrials(request->job(), request->page_size(), request->page_token());
  if (!trials.ok()) return ToGrpc(trials.status());
  const auto& [page, limits] = *trials;
  for (const TrialRecord& trial : page.items) *response->add_trials() = ToProto(trial, limits);
  response->set_next_page_token(page.next_token);
  return grpc::Status::OK;
}

grpc::Status ExplorationServiceImpl::ListModels(grpc::ServerContext*,
                                                const v1::ListModelsRequest* request,
                                                v1::ListModelsResponse* response) {
  const absl::StatusOr<Page<ModelRecord>> page =
      coordinator_.ListModels(request->page_size(), request->page_token());
  if (!page.ok()) return ToGrpc(page.status());
  for (const ModelRecord& model : page->items) *response->add_models() = ToProto(model);
  response->set_next_page_token(page->next_token);
  return grpc::Status::OK;
}

grpc::Status ExplorationServiceImpl::ListDatasets(grpc::ServerContext*,
                                                  const v1::ListDatasetsRequest* request,
                                                  v1::ListDatasetsResponse* response) {
  const absl::StatusOr<Page<DatasetRecord>> page =
      coordinator_.ListDatasets(request->page_size(), request->page_token());
  if (!page.ok()) return ToGrpc(page.status());
  for (const DatasetRecord& dataset : page->items) *response->add_datasets() = ToProto(dataset);
  response->set_next_page_token(page->next_token);
  return grpc::Status::OK;
}

grpc::Status ExplorationServiceImpl::DescribeDataset(grpc::ServerContext*,
                                                     const v1::DescribeDatasetRequest* request,
                                                     v1::DatasetDescription* response) {
  if (request->name().size() > kMostName) {
    return ToGrpc(absl::InvalidArgumentError(
        fmt::format("name: {} bytes; needed: at most {}", request->name().size(), kMostName)));
  }
  const absl::StatusOr<DatasetDescription> description =
      coordinator_.DescribeDataset(request->digest(), request->name());
  if (!description.ok()) return ToGrpc(description.status());
  *response = ToProto(*description);
  return grpc::Status::OK;
}

grpc::Status ExplorationServiceImpl::ListTargets(grpc::ServerContext*,
                                                 const v1::ListTargetsRequest*,
                                                 v1::ListTargetsResponse* response) {
  const absl::StatusOr<std::vector<TargetSnapshot>> targets = coordinator_.ListTargets();
  if (!targets.ok()) return ToGrpc(targets.status());
  for (const TargetSnapshot& target : *targets) *response->add_targets() = ToProto(target);
  return grpc::Status::OK;
}

grpc::Status ExplorationServiceImpl::ListWorkers(grpc::ServerContext*,
                                                 const v1::ListWorkersRequest*,
                                                 v1::ListWorkersResponse* response) {
  const absl::StatusOr<std::vector<WorkerSnapshot>> workers = coordinator_.ListWorkers();
  if (!workers.ok()) return ToGrpc(workers.status());
  for (const WorkerSnapshot& worker : *workers) *response->add_workers() = ToProto(worker);
  return grpc::Status::OK;
}

grpc::Status ExplorationServiceImpl::Diagnose(grpc::ServerContext*, const v1::DiagnoseRequest*,
                                              v1::Diagnosis* response) {
  response->set_server_version(MICO_VERSION);
  response->set_server_time_ms(clock_.Now().time_since_epoch().count());
  for (const Check& check : storage_.Look()) *response->add_server() = ToProto(check);
  for (const Check& check : coordinator_.CheckWork()) *response->add_work() = ToProto(check);
  const absl::StatusOr<std::vector<WorkerSnapshot>> workers = coordinator_.ListWorkers();
  if (!workers.ok()) return ToGrpc(workers.status());
  for (const WorkerSnapshot& worker : *workers) {
    if (!worker.alive) continue;
    v1::WorkerHealth& health = *response->add_workers();
    *health.mutable_worker() = ToProto(worker);
    for (const Check& check : worker.checks) *health.add_checks() = ToProto(check);
    for (const TargetHealth& target : worker.target_health) {
      *health.add_targets() = ToProto(target);
    }
  }
  const absl::StatusOr<std::vector<TargetSnapshot>> targets = coordinator_.ListTargets();
  if (!targets.ok()) return ToGrpc(targets.status());
  for (const TargetSnapshot& target : *targets) *response->add_targets() = ToProto(target);
  return grpc::Status::OK;
}

}  // namespace mico
