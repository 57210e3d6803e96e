#include "client/connection.h"

#include <algorithm>

#include "base/file.h"
#include "base/status_macros.h"
#include "client/exit_code.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr size_t kChunkBytes = 256 * 1024;
constexpr uint64_t kMostBlobBytes = uint64_t{1} << 32;
constexpr int kMostMessageBytes = 64 * 1024 * 1024;

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMostMessageBytes);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

ExitCode ToExitCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kDone;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return ExitCode::kServerUnreachable;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return ExitCode::kNotAllowed;
    case absl::StatusCode::kCancelled:
      return ExitCode::kInterrupted;
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kDataLoss:
      return ExitCode::kJobFailed;
    default:
      return ExitCode::kWrongInput;
  }
}

absl::Status FromGrpc(const grpc::Status& status) {
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

Connection::Connection(const std::string& address) : address_(address) {
  const std::shared_ptr<grpc::Channel> channel = MakeChannel(address);
  exploration_ = v1::ExplorationService::NewStub(channel);
  blobs_ = v1::BlobService::NewStub(channel);
}

absl::Status Connection::Explain(absl::Status status) const {
  if (status.code() != absl::StatusCode::kUnavailable) return status;
  return absl::UnavailableError(
      fmt::format("server {} does not answer: {}; start one with `mico-server --data-dir DIR "
                  "--with-worker`, or name it with --server or MICO_SERVER",
                  address_, std::string(status.message())));
}

absl::StatusOr<Digest> Connection::UploadOnce(const std::filesystem::path& path) {
  MICO_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMostBlobBytes));
  const Digest digest = Digest::Of(bytes);
  v1::FindMissingRequest request;
  request.add_digests(digest.hex());
  grpc::ClientContext context;
  v1::FindMissingResponse response;
  const grpc::Status status = blobs_->FindMissing(&context, request, &response);
  if (!status.ok()) return Explain(FromGrpc(status));
  if (response.missing_size() > 0) MICO_RETURN_IF_ERROR(Upload(digest, bytes));
  return digest;
}

absl::Status Connection::Upload(const Digest& digest, std::string_view bytes) {
  grpc::ClientContext context;
  v1::UploadResponse response;
  const auto writer = blobs_->Upload(&context, &response);
  v1::UploadRequest part;
  part.set_digest(digest.hex());
  bool open = writer->Write(part);
  for (size_t at = 0; open && at < bytes.size(); at += kChunkBytes) {
    part.set_chunk(std::string(bytes.substr(at, kChunkBytes)));
    open = writer->Write(part);
  }
  writer->WritesDone();
  return Explain(FromGrpc(writer->Finish()));
}

absl::StatusOr<std::string> Connection::Download(const Digest& digest) {
  grpc::ClientContext context;
  v1::DownloadRequest request;
  request.set_digest(digest.hex());
  const auto reader = blobs_->Download(&context, request);
  std::string bytes;
  v1::DownloadResponse part;
  while (reader->Read(&part)) {
    bytes += part.chunk();
    if (bytes.size() > kMostBlobBytes) {
      context.TryCancel();
      return absl::ResourceExhaustedError(
          fmt::format("blob {}: larger than {} bytes", digest.ShortHex(), kMostBlobBytes));
    }
  }
  const grpc::Status status = reader->Finish();
  if (!status.ok()) return Explain(FromGrpc(status));
  if (Digest::Of(bytes) != digest) {
    return absl::DataLossError(fmt::format("blob {}: the {} bytes received have digest {}",
                                           digest.ShortHex(), bytes.size(),
                                           Digest::Of(bytes).ShortHex()));
  }
  return bytes;
}

}  // namespace mico
