#pragma once

#include "proto/worker.grpc.pb.h"
#include "server/coordinator.h"

namespace mico {

class WorkerServiceImpl final : public v1::WorkerService::Service {
 public:
  explicit WorkerServiceImpl(Coordinator& coordinator) : coordinator_(coordinator) {}

  grpc::Status Synchronize(grpc::ServerContext* context, const v1::SynchronizeRequest* request,
                           v1::SynchronizeResponse* response) override;

 private:
  Coordinator& coordinator_;
};

}  // namespace mico
