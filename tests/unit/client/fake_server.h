#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "grpcpp/grpcpp.h"
#include "proto/exploration.grpc.pb.h"

namespace mico {

// Keeps blobs in memory and counts what travels.
class FakeBlobs final : public v1::BlobService::Service {
 public:
  // Puts a blob there as if somebody had uploaded it; returns its digest.
  std::string Add(const std::string& bytes);
  bool Has(const std::string& digest) const { return blobs_.contains(digest); }

  grpc::Status FindMissing(grpc::ServerContext*, const v1::FindMissingRequest* request,
                           v1::FindMissingResponse* response) override;
  grpc::Status Upload(grpc::ServerContext*, grpc::ServerReader<v1::UploadRequest>* reader,
                      v1::UploadResponse* response) override;
  grpc::Status Download(grpc::ServerContext*, const v1::DownloadRequest* request,
                        grpc::ServerWriter<v1::DownloadResponse>* writer) override;

  int uploads = 0;
  size_t largest_chunk = 0;
  bool corrupt_downloads = false;
  grpc::Status upload_status;

 private:
  std::map<std::string, std::string> blobs_;
};

// Answers what the test has written down.
class FakeExploration final : public v1::ExplorationService::Service {
 public:
  explicit FakeExploration(const FakeBlobs& blobs) : blobs_(blobs) {}

  grpc::Status SubmitJob(grpc::ServerContext*, const v1::SubmitJobRequest* request,
                         v1::SubmitJobResponse* response) override;
  grpc::Status ConvertModel(grpc::ServerContext*, const v1::ConvertModelRequest* request,
                            v1::ConvertModelResponse* response) override;
  grpc::Status GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                      v1::Job* response) override;
  grpc::Status WatchJob(grpc::ServerContext*, const v1::WatchJobRequest* request,
                        grpc::ServerWriter<v1::Job>* writer) override;
  grpc::Status CancelJob(grpc::ServerContext*, const v1::CancelJobRequest* request,
                         v1::Job* response) override;
  grpc::Status GetArtifact(grpc::ServerContext*, const v1::GetArtifactRequest* request,
                           v1::GetArtifactResponse* response) override;
  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* response) override;
  grpc::Status ListTargets(grpc::ServerContext*, const v1::ListTargetsRequest*,
                           v1::ListTargetsResponse* response) override;
  grpc::Status DescribeDataset(grpc::ServerContext*, const v1::DescribeDatasetRequest* request,
                               v1::DatasetDescription* response) override;
  grpc::Status ListWorkers(grpc::ServerContext*, const v1::ListWorkersRequest*,
                           v1::ListWorkersResponse* response) override;
  grpc::Status Diagnose(grpc::ServerContext*, const v1::DiagnoseRequest*,
                        v1::Diagnosis* response) override;

  v1::Job job;
  v1::Preview preview;
  std::vector<v1::SubmitJobRequest> submits;
  std::vector<v1::Job> watched;  // what a watch streams, before `watch_status`
  grpc::Status watch_status;
  grpc::Status status;  // of every unary call
  int pending_artifact_answers = 0;
  std::vector<v1::GetArtifactRequest> artifact_requests;
  v1::GetArtifactResponse artifact;
  std::vector<v1::ListJobsResponse> job_pages;
  v1::ListTargetsResponse targets;
  std::vector<v1::ConvertModelRequest> conversions;
  std::vector<v1::ConvertModelResponse> conversion_answers;  // one after the other
  std::vector<v1::DescribeDatasetRequest> describes;
  v1::DatasetDescription description;
  v1::ListWorkersResponse workers;
  v1::Diagnosis diagnosis;

 private:
  const FakeBlobs& blobs_;
};

// A real gRPC server on a free port of loopback with the two fakes behind it.
class FakeServer {
 public:
  FakeServer();
  ~FakeServer();

  const std::string& address() const { return address_; }

  FakeBlobs blobs;
  FakeExploration exploration{blobs};

 private:
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace mico
