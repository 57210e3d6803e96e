#include "server/blob_service.h"

#include "base/status_macros.h"
#include "fmt/format.h"
#include "proto/convert.h"

namespace mico {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;
constexpr int kMostDigests = 10'000;

}  // namespace

grpc::Status BlobServiceImpl::FindMissing(grpc::ServerContext*,
                                          const v1::FindMissingRequest* request,
                                          v1::FindMissingResponse* response) {
  if (request->digests_size() > kMostDigests) {
    return ToGrpc(absl::InvalidArgumentError(fmt::format("digests: {} entries; needed: at most {}",
                                                         request->digests_size(), kMostDigests)));
  }
  for (const std::string& hex : request->digests()) {
    const absl::StatusOr<Digest> digest = Digest::FromHex(hex);
    if (!digest.ok()) return ToGrpc(digest.status());
    const absl::StatusOr<bool> known =
        store_.Read([&](StoreView& view) { return view.HasBlob(*digest); });
    if (!known.ok()) return ToGrpc(known.status());
    // A server that died between the two has the file, but not the row.
    if (!*known || !blobs_.Has(*digest)) response->add_missing(hex);
  }
  return grpc::Status::OK;
}

grpc::Status BlobServiceImpl::Upload(grpc::ServerContext*,
                                     grpc::ServerReader<v1::UploadRequest>* reader,
                                     v1::UploadResponse* response) {
  return ToGrpc(Receive(*reader, *response));
}

absl::Status BlobServiceImpl::Receive(grpc::ServerReader<v1::UploadRequest>& reader,
                                      v1::UploadResponse& response) {
  v1::UploadRequest part;
  if (!reader.Read(&part) || part.part_case() != v1::UploadRequest::kDigest) {
    return absl::InvalidArgumentError("upload: the first message must be the digest");
  }
  MICO_ASSIGN_OR_RETURN(const Digest digest, Digest::FromHex(part.digest()));
  MICO_ASSIGN_OR_RETURN(const std::unique_ptr<BlobWriter> writer, blobs_.NewWriter(digest));
  while (reader.Read(&part)) {
    if (part.part_case() != v1::UploadRequest::kChunk) {
      return absl::InvalidArgumentError("upload: after the digest only chunks may follow");
    }
    if (part.chunk().size() > kChunkBytes) {
      return absl::InvalidArgumentError(
          fmt::format("chunk: {} bytes; needed: at most {}", part.chunk().size(), kChunkBytes));
    }
    MICO_RETURN_IF_ERROR(writer->Append(part.chunk()));
  }
  MICO_RETURN_IF_ERROR(writer->Commit());
  const int64_t bytes = writer->bytes();
  MICO_RETURN_IF_ERROR(store_.Write([&](StoreTransaction& transaction) {
    transaction.AddBlob(digest, bytes, clock_.Now());
    return absl::OkStatus();
  }));
  response.set_digest(digest.hex());
  response.set_bytes(bytes);
  return absl::OkStatus();
}

grpc::Status BlobServiceImpl::Download(grpc::ServerContext*, const v1::DownloadRequest* request,
                                       grpc::ServerWriter<v1::DownloadResponse>* writer) {
  const absl::StatusOr<Digest> digest = Digest::FromHex(request->digest());
  if (!digest.ok()) return ToGrpc(digest.status());
  const absl::StatusOr<std::unique_ptr<BlobReader>> blob = blobs_.NewReader(*digest);
  if (!blob.ok()) return ToGrpc(blob.status());
  const int64_t total = (*blob)->total_bytes();
  if (request->offset() < 0 || request->offset() > total) {
    return ToGrpc(absl::OutOfRangeError(
        fmt::format("offset: {}; needed: 0 to {}", request->offset(), total)));
  }
  int64_t offset = request->offset();
  do {
    absl::StatusOr<std::string> chunk = (*blob)->Read(offset, kChunkBytes);
    if (!chunk.ok()) return ToGrpc(chunk.status());
    offset += static_cast<int64_t>(chunk->size());
    v1::DownloadResponse response;
    response.set_total_bytes(total);
    const bool ended_early = chunk->empty() && offset < total;
    response.set_chunk(*std::move(chunk));
    if (ended_early || !writer->Write(response)) {
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "download: interrupted");
    }
  } while (offset < total);
  return grpc::Status::OK;
}

}  // namespace mico
