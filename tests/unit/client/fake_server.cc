#include "fake_server.h"

#include <algorithm>

#include "base/digest.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr size_t kDownloadChunkBytes = 1000;

grpc::Status NotFound(const std::string& what) {
  return {grpc::StatusCode::NOT_FOUND, what + ": not known"};
}

}  // namespace

std::string FakeBlobs::Add(const std::string& bytes) {
  std::string digest = Digest::Of(bytes).hex();
  blobs_[digest] = bytes;
  return digest;
}

grpc::Status FakeBlobs::FindMissing(grpc::ServerContext*, const v1::FindMissingRequest* request,
                                    v1::FindMissingResponse* response) {
  for (const std::string& digest : request->digests()) {
    if (!Has(digest)) response->add_missing(digest);
  }
  return grpc::Status::OK;
}

grpc::Status FakeBlobs::Upload(grpc::ServerContext*, grpc::ServerReader<v1::UploadRequest>* reader,
                               v1::UploadResponse* response) {
  if (!upload_status.ok()) return upload_status;
  v1::UploadRequest part;
  std::string digest;
  std::string bytes;
  while (reader->Read(&part)) {
    if (part.has_digest()) digest = part.digest();
    largest_chunk = std::max(largest_chunk, part.chunk().size());
    bytes += part.chunk();
  }
  if (Digest::Of(bytes).hex() != digest) return {grpc::StatusCode::DATA_LOSS, "another digest"};
  ++uploads;
  response->set_digest(Add(bytes));
  return grpc::Status::OK;
}

grpc::Status FakeBlobs::Download(grpc::ServerContext*, const v1::DownloadRequest* request,
                                 grpc::ServerWriter<v1::DownloadResponse>* writer) {
  const auto blob = blobs_.find(request->digest());
  if (blob == blobs_.end()) return NotFound(request->digest());
  for (size_t at = 0; at < blob->second.size(); at += kDownloadChunkBytes) {
    v1::DownloadResponse part;
    part.set_chunk(blob->second.substr(at, kDownloadChunkBytes));
    if (corrupt_downloads) part.mutable_chunk()->front() ^= 1;
    writer->Write(part);
  }
  return grpc::Status::OK;
}

grpc::Status FakeExploration::SubmitJob(grpc::ServerContext*, const v1::SubmitJobRequest* request,
                                        v1::SubmitJobResponse* response) {
  if (!status.ok()) return status;
  for (const std::string& digest :
       {request->spec().model_digest(), request->spec().dataset_digest()}) {
    if (!blobs_.Has(digest)) return NotFound(digest);
  }
  submits.push_back(*request);
  *response->mutable_preview() = preview;
  if (!request->validate_only()) *response->mutable_job() = job;
  response->set_existed(submits.size() > 1);
  return grpc::Status::OK;
}

grpc::Status FakeExploration::ConvertModel(grpc::ServerContext*,
                                           const v1::ConvertModelRequest* request,
                                           v1::ConvertModelResponse* response) {
  if (!blobs_.Has(request->digest())) return NotFound(request->digest());
  if (conversions.size() < conversion_answers.size()) {
    *response = conversion_answers[conversions.size()];
  }
  conversions.push_back(*request);
  return grpc::Status::OK;
}

grpc::Status FakeExploration::GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                                     v1::Job* response) {
  if (!status.ok()) return status;
  if (!job.id().starts_with(request->job())) return NotFound("job " + request->job());
  *response = job;
  return grpc::Status::OK;
}

grpc::Status FakeExploration::WatchJob(grpc::ServerContext*, const v1::WatchJobRequest*,
                                       grpc::ServerWriter<v1::Job>* writer) {
  for (const v1::Job& state : watched) writer->Write(state);
  return watch_status;
}

grpc::Status FakeExploration::CancelJob(grpc::ServerContext*, const v1::CancelJobRequest*,
                                        v1::Job* response) {
  if (!status.ok()) return status;
  job.set_state(v1::JOB_STATE_CANCELLED);
  *response = job;
  return grpc::Status::OK;
}

grpc::Status FakeExploration::GetArtifact(grpc::ServerContext*,
                                          const v1::GetArtifactRequest* request,
                                          v1::GetArtifactResponse* response) {
  artifact_requests.push_back(*request);
  if (!status.ok()) return status;
  *response = artifact;
  if (pending_artifact_answers-- > 0) response->set_state(v1::ARTIFACT_STATE_PENDING);
  return grpc::Status::OK;
}

grpc::Status FakeExploration::ListJobs(grpc::ServerContext*, const v1::ListJobsRequest* request,
                                       v1::ListJobsResponse* response) {
  if (!status.ok()) return status;
  const size_t page = request->page_token().empty() ? 0 : std::stoul(request->page_token());
  if (page < job_pages.size()) *response = job_pages[page];
  if (page + 1 < job_pages.size()) response->set_next_page_token(fmt::format("{}", page + 1));
  return grpc::Status::OK;
}

grpc::Status FakeExploration::ListTargets(grpc::ServerContext*, const v1::ListTargetsRequest*,
                                          v1::ListTargetsResponse* response) {
  if (!status.ok()) return status;
  *response = targets;
  return grpc::Status::OK;
}

grpc::Status FakeExploration::DescribeDataset(grpc::ServerContext*,
                                              const v1::DescribeDatasetRequest* request,
                                              v1::DatasetDescription* response) {
  describes.push_back(*request);
  if (!status.ok()) return status;
  *response = description;
  return grpc::Status::OK;
}

grpc::Status FakeExploration::ListWorkers(grpc::ServerContext*, const v1::ListWorkersRequest*,
                                          v1::ListWorkersResponse* response) {
  if (!status.ok()) return status;
  *response = workers;
  return grpc::Status::OK;
}

grpc::Status FakeExploration::Diagnose(grpc::ServerContext*, const v1::DiagnoseRequest*,
                                       v1::Diagnosis* response) {
  if (!status.ok()) return status;
  *response = diagnosis;
  return grpc::Status::OK;
}

FakeServer::FakeServer() {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&blobs);
  builder.RegisterService(&exploration);
  server_ = builder.BuildAndStart();
  address_ = fmt::format("127.0.0.1:{}", port);
}

FakeServer::~FakeServer() { server_->Shutdown(); }

}  // namespace mico
