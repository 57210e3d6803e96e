#include "client/connection.h"

#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr uint64_t kMostDownloadBytes = uint64_t{1} << 30;
constexpr int kMostMessageBytes = 64 * 1024 * 1024;
constexpr int kMostMetadataBytes = 1024 * 1024;
constexpr int kConnectMs = 5'000;

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMostMessageBytes);
  // The refusal of a network is as long as the list of what is not supported in it.
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMostMetadataBytes);
  // The time one attempt to connect may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMs);
  // Servers listen on loopback, where a proxy of the environment cannot reach them.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

absl::Status StatusOf(const grpc::Status& status) {
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

Connection::Connection(const std::string& address)
    : address_(address),
      channel_(MakeChannel(address)),
      exploration_(v1::ExplorationService::NewStub(channel_)),
      blobs_(v1::BlobService::NewStub(channel_)) {}

absl::Status Connection::Explain(const absl::Status& status) const {
  const std::string message(status.message());
  const bool connected = channel_->GetState(false) == GRPC_CHANNEL_READY;
  if (status.code() == absl::StatusCode::kUnavailable && !connected) {
    return absl::UnavailableError(
        fmt::format("server {} does not answer: {}; start one with `mico-server --data-dir DIR "
                    "--with-worker`, or name it with --server or MICO_SERVER",
                    address_, message));
  }
  if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    return absl::DeadlineExceededError(
        fmt::format("server {} gave no answer within {} minutes", address_, kLongestCall.count()));
  }
  if (message.empty() && status.code() == absl::StatusCode::kUnimplemented) {
    return absl::UnimplementedError(fmt::format(
        "server {} does not know this call; needed: a mico-server as new as mico-cli", address_));
  }
  return status;
}

absl::StatusOr<Digest> Connection::UploadOnce(const ByteSource& source) {
  DigestBuilder builder;
  MICO_RETURN_IF_ERROR(source([&](std::string_view chunk) {
    builder.Update(chunk);
    return true;
  }));
  const Digest digest = builder.Finish();
  MICO_ASSIGN_OR_RETURN(const bool missing, IsMissing(digest));
  if (missing) MICO_RETURN_IF_ERROR(Upload(digest, source));
  return digest;
}

absl::StatusOr<bool> Connection::IsMissing(const Digest& digest) {
  v1::FindMissingRequest request;
  request.add_digests(digest.hex());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kLongestCall);
  v1::FindMissingResponse response;
  const grpc::Status status = blobs_->FindMissing(&context, request, &response);
  if (!status.ok()) return Explain(StatusOf(status));
  return response.missing_size() > 0;
}

absl::Status Connection::Upload(const Digest& digest, const ByteSource& source) {
  grpc::ClientContext context;
  v1::UploadResponse response;
  const auto writer = blobs_->Upload(&context, &response);
  v1::UploadRequest part;
  part.set_digest(digest.hex());
  writer->Write(part);
  // A refused Write means that the server has ended the call: Finish says why.
  const absl::Status read = source([&](std::string_view chunk) {
    part.set_chunk(chunk.data(), chunk.size());
    return writer->Write(part);
  });
  if (!read.ok()) context.TryCancel();
  writer->WritesDone();
  const absl::Status sent = Explain(StatusOf(writer->Finish()));
  return read.ok() ? sent : read;
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
    if (bytes.size() > kMostDownloadBytes) {
      context.TryCancel();
      return absl::ResourceExhaustedError(
          fmt::format("blob {}: larger than {} bytes", digest.ShortHex(), kMostDownloadBytes));
    }
  }
  const grpc::Status status = reader->Finish();
  if (!status.ok()) return Explain(StatusOf(status));
  const Digest found = Digest::Of(bytes);
  if (found != digest) {
    return absl::DataLossError(fmt::format("blob {}: the {} bytes received have digest {}",
                                           digest.ShortHex(), bytes.size(), found.ShortHex()));
  }
  return bytes;
}

}  // namespace mico
