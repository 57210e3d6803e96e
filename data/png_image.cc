#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/status_macros.h"
#include "data/image.h"
#include "fmt/format.h"

namespace mico {
namespace {

// What libpng's callbacks share with the reader. Nothing here needs a destructor: libpng leaves by
// longjmp, so no object that has one may live between setjmp and a call into libpng.
struct PngState {
  const char* bytes;
  size_t size;
  size_t position;
  char error[160];
};

[[noreturn]] void OnError(png_structp png, png_const_charp message) {
  auto* state = static_cast<PngState*>(png_get_error_ptr(png));
  std::snprintf(state->error, sizeof(state->error), "%s", message);
  png_longjmp(png, 1);
}

void OnWarning(png_structp, png_const_charp) {}  // of chunks that say nothing about pixels

void OnRead(png_structp png, png_bytep to, size_t count) {
  auto* state = static_cast<PngState*>(png_get_io_ptr(png));
  if (count > state->size - state->position) png_error(png, "the file ends early");
  std::memcpy(to, state->bytes + state->position, count);
  state->position += count;
}

bool ReadHeader(png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_read_info(png, info);
  return true;
}

// Every kind that OpenPng lets through becomes 8-bit grey or RGB without loss.
bool PrepareRows(png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png))) return false;
  if (png_get_color_type(png, info) == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (png_get_bit_depth(png, info) < 8) png_set_expand_gray_1_2_4_to_8(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  return true;
}

// Interlaced images come in passes, each of which fills in what the last one left out.
bool ReadRows(png_structp png, png_bytepp rows) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_read_image(png, rows);
  png_read_end(png, nullptr);
  return true;
}

class PngReader final : public ImageReader {
 public:
  explicit PngReader(std::string_view bytes) : state_{bytes.data(), bytes.size(), 0, {}} {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state_, &OnError, &OnWarning);
    info_ = png_ != nullptr ? png_create_info_struct(png_) : nullptr;
  }
  ~PngReader() override { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  absl::Status Open() {
    if (info_ == nullptr) return absl::ResourceExhaustedError("no memory for a PNG reader");
    png_set_read_fn(png_, &state_, &OnRead);
    // Texts and profiles are of no interest; what they unpack to is bounded.
    png_set_chunk_malloc_max(png_, 1 << 20);
    png_set_chunk_cache_max(png_, 100);
    if (!ReadHeader(png_, info_)) return Error();
    MICO_RETURN_IF_ERROR(CheckKind());
    if (!PrepareRows(png_, info_)) return Error();
    shape_ = {png_get_channels(png_, info_), png_get_image_height(png_, info_),
              png_get_image_width(png_, info_)};
    return absl::OkStatus();
  }

  absl::Status Read(uint8_t* pixels) override {
    const auto row_bytes = static_cast<size_t>(shape_.width * shape_.channels);
    if (png_get_rowbytes(png_, info_) != row_bytes) return absl::InternalError("PNG row size");
    std::vector<png_bytep> rows(shape_.height);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = pixels + i * row_bytes;
    return ReadRows(png_, rows.data()) ? absl::OkStatus() : Error();
  }

 private:
  absl::Status CheckKind() const {
    const bool alpha = (png_get_color_type(png_, info_) & PNG_COLOR_MASK_ALPHA) != 0 ||
                       png_get_valid(png_, info_, PNG_INFO_tRNS) != 0;
    if (alpha) {
      return absl::InvalidArgumentError("a PNG with transparency; needed grey or RGB without");
    }
    if (png_get_bit_depth(png_, info_) > 8) {
      return absl::InvalidArgumentError("a PNG of 16 bits a channel; needed at most 8");
    }
    return absl::OkStatus();
  }

  absl::Status Error() const {
    return absl::InvalidArgumentError(fmt::format("a broken PNG: {}", state_.error));
  }

  PngState state_;
  png_structp png_;
  png_infop info_;
};

uint32_t BigEndian(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ImageReader>> OpenPng(std::string_view bytes, int64_t most_side) {
  // The first chunk holds the size, at a place that never changes: looked at before libpng
  // allocates anything.
  constexpr size_t kWidth = 16, kHeight = 20, kEnd = 24;
  if (bytes.size() < kEnd) return absl::InvalidArgumentError("a broken PNG: the file ends early");
  MICO_RETURN_IF_ERROR(CheckSides(BigEndian(bytes, kWidth), BigEndian(bytes, kHeight), most_side));
  auto reader = std::make_unique<PngReader>(bytes);
  MICO_RETURN_IF_ERROR(reader->Open());
  return reader;
}

}  // namespace mico
