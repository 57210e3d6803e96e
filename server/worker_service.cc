#include "server/worker_service.h"

#include "proto/convert.h"

namespace mico {

grpc::Status WorkerServiceImpl::Synchronize(grpc::ServerContext*,
                                            const v1::SynchronizeRequest* request,
                                            v1::SynchronizeResponse* response) {
  const absl::StatusOr<WorkerReport> report = FromProto(*request);
  if (!report.ok()) return ToGrpc(report.status());

  const absl::StatusOr<WorkerOrder> order = coordinator_.Synchronize(*report);
  if (!order.ok()) return ToGrpc(order.status());

  *response = ToProto(*order);
  return grpc::Status::OK;
}

}  // namespace mico
