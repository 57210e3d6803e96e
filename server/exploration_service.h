#pragma once

#include <atomic>
#include <chrono>

#include "proto/exploration.grpc.pb.h"
#include "server/coordinator.h"
#include "server/storage_look.h"

namespace mico {

class ExplorationServiceImpl final : public v1::ExplorationService::Service {
 public:
  ExplorationServiceImpl(Coordinator& coordinator, StorageLook& storage, const Clock& clock)
      : coordinator_(coordinator), storage_(storage), clock_(clock) {}

  // Streams end soon after.
  void StopWatching() { stopping_ = true; }

  grpc::Status SubmitJob(grpc::ServerContext*, const v1::SubmitJobRequest* request,
                         v1::SubmitJobResponse* response) override;
  grpc::Status ConvertModel(grpc::ServerContext* context, const v1::ConvertModelRequest* request,
                            v1::ConvertModelResponse* response) override;
  grpc::Status GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                      v1::Job* response) override;
  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* response) override;
  grpc::Status WatchJob(grpc::ServerContext* context, const v1::WatchJobRequest* request,
                        grpc::ServerWriter<v1::Job>* writer) override;
  grpc::Status CancelJob(grpc::ServerContext*, const v1::CancelJobRequest* request,
                         v1::Job* response) override;
  grpc::Status GetArtifact(grpc::ServerContext*, const v1::GetArtifactRequest* request,
                           v1::GetArtifactResponse* response) override;
  grpc::Status ListTrials(grpc::ServerContext*, const v1::ListTrialsRequest* request,
                          v1::ListTrialsResponse* response) override;
  grpc::Status ListModels(grpc::ServerContext*, const v1::ListModelsRequest* request,
                          v1::ListModelsResponse* response) override;
  grpc::Status ListDatasets(grpc::ServerContext*, const v1::ListDatasetsRequest* request,
                            v1::ListDatasetsResponse* response) override;
  grpc::Status DescribeDataset(grpc::ServerContext*, const v1::DescribeDatasetRequest* request,
                               v1::DatasetDescription* response) override;
  grpc::Status ListTargets(grpc::ServerContext*, const v1::ListTargetsRequest* request,
                           v1::ListTargetsResponse* response) override;
  grpc::Status ListWorkers(grpc::ServerContext*, const v1::ListWorkersRequest* request,
                           v1::ListWorkersResponse* response) override;
  grpc::Status Diagnose(grpc::ServerContext*, const v1::DiagnoseRequest* request,
                        v1::Diagnosis* response) override;

 private:
  Coordinator& coordinator_;
  StorageLook& storage_;
  const Clock& clock_;
  std::atomic<bool> stopping_ = false;
};

}  // namespace mico
