#pragma once

#include "base/clock.h"
#include "db/blob_store.h"
#include "db/store.h"
#include "proto/exploration.grpc.pb.h"

namespace mico {

// Blobs in and out, in chunks; their names are in the database so that other rows can refer to
// them.
class BlobServiceImpl final : public v1::BlobService::Service {
 public:
  BlobServiceImpl(const BlobStore& blobs, Store& store, const Clock& clock)
      : blobs_(blobs), store_(store), clock_(clock) {}

  grpc::Status FindMissing(grpc::ServerContext* context, const v1::FindMissingRequest* request,
                           v1::FindMissingResponse* response) override;
  grpc::Status Upload(grpc::ServerContext* context, grpc::ServerReader<v1::UploadRequest>* reader,
                      v1::UploadResponse* response) override;
  grpc::Status Download(grpc::ServerContext* context, const v1::DownloadRequest* request,
                        grpc::ServerWriter<v1::DownloadResponse>* writer) override;

 private:
  absl::Status Receive(grpc::ServerReader<v1::UploadRequest>& reader, v1::UploadResponse& response);

  const BlobStore& blobs_;
  Store& store_;
  const Clock& clock_;
};

}  // namespace mico
