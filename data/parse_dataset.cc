#include <algorithm>
#include <array>

#include "absl/status/status.h"
#include "data/dataset.h"
#include "data/image.h"
#include "data/tar_archive.h"
#include "fmt/format.h"

namespace mico {
namespace {

struct KnownKind {
  std::string_view beginning;
  std::string_view name;
};

// What people hand over by mistake.
constexpr std::array kOtherKinds = {
    KnownKind{std::string_view("\x93NUMPY", 6), "a single .npy array"},
    KnownKind{kPngSignature, "a single PNG image"},
    KnownKind{kJpegSignature, "a single JPEG image"},
    KnownKind{std::string_view("\x1f\x8b", 2), "a gzip file"},
    KnownKind{std::string_view("\x89HDF", 4), "an HDF5 file"},
    KnownKind{std::string_view("\x80", 1), "a Python pickle"},
};

std::string_view KindOf(std::string_view bytes) {
  if (bytes.empty()) return "an empty file";
  for (const KnownKind& kind : kOtherKinds) {
    if (bytes.starts_with(kind.beginning)) return kind.name;
  }
  return "of no known kind by its first bytes";
}

bool IsZip(std::string_view bytes) {
  return bytes.starts_with(std::string_view("PK\x03\x04", 4)) ||
         bytes.starts_with(std::string_view("PK\x05\x06", 4));
}

}  // namespace

uint64_t MostUnpackedBytes(const DatasetLimits& limits, uint64_t packed_bytes) {
  const uint64_t by_size = std::max(limits.free_bytes, packed_bytes * limits.most_expansion);
  return std::min(limits.most_bytes_unpacked, by_size);
}

absl::StatusOr<Dataset> ParseDataset(std::string_view bytes, const DatasetLimits& limits) {
  if (IsZip(bytes)) return ParseNpz(bytes, limits);
  if (IsTar(bytes)) return ParseImages(bytes, limits);
  return absl::InvalidArgumentError(
      fmt::format("{}; needed an .npz, or a folder of images as mico-cli packs it", KindOf(bytes)));
}

}  // namespace mico
