#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/digest.h"
#include "client/byte_source.h"
#include "grpcpp/grpcpp.h"
#include "proto/exploration.grpc.pb.h"

namespace mico {

absl::Status StatusOf(const grpc::Status& status);

// The API of one server. Calls that find nobody fail with Unavailable within seconds.
class Connection {
 public:
  // A server checks a large model for seconds; one that is silent this long will not answer.
  static constexpr std::chrono::minutes kLongestCall{5};

  // `address` is HOST:PORT, or unix:PATH.
  explicit Connection(const std::string& address);

  v1::ExplorationService::Stub& exploration() { return *exploration_; }
  const std::string& address() const { return address_; }

  // One unary call:
  //   server.Call<v1::Job>(&v1::ExplorationService::Stub::GetJob, request)
  template <typename Response, typename Method, typename Request>
  absl::StatusOr<Response> Call(Method method, const Request& request,
                                std::chrono::milliseconds patience = kLongestCall) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + patience);
    Response response;
    const grpc::Status status = (exploration_.get()->*method)(&context, request, &response);
    if (!status.ok()) return Explain(StatusOf(status));
    return response;
  }

  // Sends the bytes unless the server has them; returns their digest. The source is read twice and
  // never held whole; its errors are returned as they are.
  absl::StatusOr<Digest> UploadOnce(const ByteSource& source);
  absl::StatusOr<Digest> UploadOnce(const std::filesystem::path& file) {
    return UploadOnce(FileSource(file));
  }
  // The blob's bytes, at most 1 GiB, checked against its digest.
  absl::StatusOr<std::string> Download(const Digest& digest);

  // Adds what the user can do about it, where there is something.
  absl::Status Explain(const absl::Status& status) const;

 private:
  absl::StatusOr<bool> IsMissing(const Digest& digest);
  absl::Status Upload(const Digest& digest, const ByteSource& source);

  std::string address_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ExplorationService::Stub> exploration_;
  std::unique_ptr<v1::BlobService::Stub> blobs_;
};

}  // namespace mico
