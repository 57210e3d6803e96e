#include "worker/blob_cache.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "proto/convert.h"
#include "worker/retry.h"

namespace mico {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunkBytes = 256 * 1024;
constexpr std::chrono::minutes kCallDeadline(10);

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kCallDeadline);
}

// Calls until the answer is final.
template <typename Call>
auto Persist(const Call& call, const std::atomic<bool>* cancelled) -> decltype(call()) {
  Backoff backoff;
  while (true) {
    auto result = call();
    const absl::Status& status = [&result]() -> const absl::Status& {
      if constexpr (std::is_same_v<decltype(call()), absl::Status>) {
        return result;
      } else {
        return result.status();
      }
    }();
    if (status.ok() || !IsTransient(status)) return result;
    if (!WaitUnlessCancelled(backoff.Next(), cancelled)) {
      return absl::CancelledError("no longer wanted while the server was away");
    }
  }
}

}  // namespace

BlobCache::BlobCache(const std::shared_ptr<grpc::ChannelInterface>& channel,
                     BlobCacheOptions options)
    : options_(std::move(options)), stub_(v1::BlobService::NewStub(channel)) {}

absl::StatusOr<std::unique_ptr<BlobCache>> BlobCache::Open(
    const std::shared_ptr<grpc::ChannelInterface>& channel, const BlobCacheOptions& options) {
  std::error_code error;
  fs::create_directories(options.folder, error);
  if (error) {
    return absl::FailedPreconditionError(
        fmt::format("cache folder {}: {}", options.folder.string(), error.message()));
  }
  return std::unique_ptr<BlobCache>(new BlobCache(channel, options));
}

absl::StatusOr<std::string> BlobCache::Get(const Digest& digest,
                                           const std::atomic<bool>* cancelled) {
  std::string kept = ReadKept(digest);
  if (!kept.empty()) return kept;
  absl::StatusOr<std::string> bytes =
      Persist([this, &digest] { return Download(digest); }, cancelled);
  if (bytes.ok()) Keep(digest, *bytes);
  return bytes;
}

absl::StatusOr<Digest> BlobCache::Put(std::string_view bytes, const std::atomic<bool>* cancelled) {
  const Digest digest = Digest::Of(bytes);
  MICO_RETURN_IF_ERROR(
      Persist([this, &digest, bytes] { return UploadIfMissing(digest, bytes); }, cancelled));
  return digest;
}

absl::StatusOr<std::string> BlobCache::Download(const Digest& digest) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::DownloadRequest request;
  request.set_digest(digest.hex());
  const auto reader = stub_->Download(&context, request);

  std::string bytes;
  v1::DownloadResponse response;
  absl::Status too_large;
  while (reader->Read(&response)) {
    if (bytes.size() + response.chunk().size() > options_.most_blob_bytes) {
      too_large = absl::ResourceExhaustedError(
          fmt::format("blob {}: more than {} bytes", digest.hex(), options_.most_blob_bytes));
      context.TryCancel();
      break;
    }
    bytes.append(response.chunk());
  }
  const grpc::Status status = reader->Finish();
  MICO_RETURN_IF_ERROR(too_large);
  if (!status.ok()) return FromGrpc(status);
  if (const Digest found = Digest::Of(bytes); found != digest) {
    return absl::DataLossError(
        fmt::format("blob {}: the server sent bytes of digest {}", digest.hex(), found.hex()));
  }
  return bytes;
}

absl::Status BlobCache::UploadIfMissing(const Digest& digest, std::string_view bytes) {
  v1::FindMissingRequest question;
  question.add_digests(digest.hex());
  v1::FindMissingResponse answer;
  grpc::ClientContext question_context;
  SetDeadline(question_context);
  const grpc::Status asked = stub_->FindMissing(&question_context, question, &answer);
  if (!asked.ok()) return FromGrpc(asked);
  if (answer.missing().empty()) return absl::OkStatus();

  grpc::ClientContext context;
  SetDeadline(context);
  v1::UploadResponse response;
  const auto writer = stub_->Upload(&context, &response);
  v1::UploadRequest request;
  request.set_digest(digest.hex());
  bool goes_on = writer->Write(request);
  for (; goes_on && !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), kChunkBytes))) {
    const std::string_view chunk = bytes.substr(0, kChunkBytes);
    request.set_chunk(chunk.data(), chunk.size());
    goes_on = writer->Write(request);
  }
  writer->WritesDone();
  return FromGrpc(writer->Finish());
}

std::string BlobCache::ReadKept(const Digest& digest) {
  const fs::path path = options_.folder / digest.hex();
  absl::StatusOr<std::string> bytes = ReadFile(path, options_.most_blob_bytes);
  if (!bytes.ok()) return "";
  std::error_code error;
  if (Digest::Of(*bytes) != digest) {
    fs::remove(path, error);
    return "";
  }
  // The time of the last change is the time of the last use.
  fs::last_write_time(path, fs::file_time_type::clock::now(), error);
  return *std::move(bytes);
}

// A cache that cannot be written costs time, nothing else.
void BlobCache::Keep(const Digest& digest, std::string_view bytes) {
  if (bytes.size() > options_.most_bytes) return;
  const absl::MutexLock lock(&mutex_);
  WriteFileDurably(options_.folder / digest.hex(), bytes).IgnoreError();
  DeleteOldest();
}

void BlobCache::DeleteOldest() {
  struct Kept {
    fs::file_time_type used;
    uint64_t bytes;
    fs::path path;
  };
  std::vector<Kept> all;
  uint64_t total = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(options_.folder, error)) {
    std::error_code gone;  // another worker may be deleting, too
    if (!entry.is_regular_file(gone)) continue;
    const uint64_t bytes = entry.file_size(gone);
    if (gone) continue;
    all.push_back({entry.last_write_time(gone), bytes, entry.path()});
    total += bytes;
  }
  std::sort(all.begin(), all.end(), [](const Kept& a, const Kept& b) { return a.used < b.used; });
  for (const Kept& kept : all) {
    if (total <= options_.most_bytes) return;
    std::error_code gone;
    fs::remove(kept.path, gone);
    total -= kept.bytes;
  }
}

}  // namespace mico
