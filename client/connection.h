#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/digest.h"
#include "grpcpp/grpcpp.h"
#include "proto/exploration.grpc.pb.h"

namespace mico {

absl::Status FromGrpc(const grpc::Status& status);

// The API of one server. Calls that find nobody fail with Unavailable within a few seconds.
class Connection {
 public:
  explicit Connection(const std::string& address);

  v1::ExplorationService::Stub& exploration() { return *exploration_; }
  const std::string& address() const { return address_; }

  // One unary call: call([&](auto* context, auto* response) { return stub.X(context, request, response); })
  template <typename Response, typename Method, typename Request>
  absl::StatusOr<Response> Call(Method method, const Request& request) {
    grpc::ClientContext context;
    context.set_wait_for_ready(false);
    Response response;
    const grpc::Status status = (exploration_.get()->*method)(&context, request, &response);
    if (!status.ok()) return Explain(FromGrpc(status));
    return response;
  }

  // Sends the file's bytes unless the server has them; returns their digest.
  absl::StatusOr<Digest> UploadOnce(const std::filesystem::path& path);
  // The blob's bytes, checked against its digest.
  absl::StatusOr<std::string> Download(const Digest& digest);

  // Adds the address to an Unavailable.
  absl::Status Explain(absl::Status status) const;

 private:
  absl::Status Upload(const Digest& digest, std::string_view bytes);

  std::string address_;
  std::unique_ptr<v1::ExplorationService::Stub> exploration_;
  std::unique_ptr<v1::BlobService::Stub> blobs_;
};

}  // namespace mico
