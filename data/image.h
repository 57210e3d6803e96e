#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/graph.h"

namespace mico {

// One PNG or JPEG file: its header first, which costs nothing, then its pixels. Every machine reads
// the same bytes (docs/formats/dataset.md says how). Not thread-safe.
class ImageReader {
 public:
  virtual ~ImageReader() = default;

  // 1 channel for grey, 3 for RGB.
  const Shape& shape() const { return shape_; }
  // Writes the pixels row by row, channels interleaved: shape().elements() bytes. May be called
  // once. InvalidArgument for a file that ends early or is corrupt; `pixels` are then undefined.
  virtual absl::Status Read(uint8_t* pixels) = 0;

 protected:
  Shape shape_;
};

// Reads the header; `bytes` must outlive the reader. InvalidArgument for what is neither PNG nor
// JPEG, and for kinds whose values would change on the way to 8-bit grey or RGB (alpha, 16 bits,
// CMYK); ResourceExhausted for more than `most_side` pixels in a row or a column. Errors do not
// name the file.
absl::StatusOr<std::unique_ptr<ImageReader>> OpenImage(std::string_view bytes, int64_t most_side);

// "32x32 RGB".
std::string ImageText(const Shape& shape);

// Not for callers: the two kinds.
absl::StatusOr<std::unique_ptr<ImageReader>> OpenPng(std::string_view bytes, int64_t most_side);
absl::StatusOr<std::unique_ptr<ImageReader>> OpenJpeg(std::string_view bytes, int64_t most_side);
absl::Status CheckSides(int64_t width, int64_t height, int64_t most_side);
constexpr std::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);
constexpr std::string_view kJpegSignature("\xff\xd8\xff", 3);

}  // namespace mico
