#include "data/image.h"

#include "fmt/format.h"

namespace mico {

absl::Status CheckSides(int64_t width, int64_t height, int64_t most_side) {
  if (width > 0 && height > 0 && width <= most_side && height <= most_side) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(
      fmt::format("{}x{} pixels; needed 1 to {} a side", width, height, most_side));
}

absl::StatusOr<std::unique_ptr<ImageReader>> OpenImage(std::string_view bytes, int64_t most_side) {
  if (bytes.starts_with(kPngSignature)) return OpenPng(bytes, most_side);
  if (bytes.starts_with(kJpegSignature)) return OpenJpeg(bytes, most_side);
  return absl::InvalidArgumentError(
      bytes.empty() ? "an empty file; needed a PNG or JPEG image"
                    : "neither PNG nor JPEG by its first bytes; needed one of them");
}

std::string ImageText(const Shape& shape) {
  return fmt::format("{}x{} {}", shape.width, shape.height, shape.channels == 1 ? "grey" : "RGB");
}

}  // namespace mico
