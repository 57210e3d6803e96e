#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE
#include <cstring>

#include <jpeglib.h>
// jpeglib.h first
#include <jerror.h>

#include "base/status_macros.h"
#include "data/image.h"
#include "fmt/format.h"

namespace mico {
namespace {

// A progressive file may repeat scans without end, each of which costs time; real ones have ten.
constexpr int kMostScans = 100;

// What libjpeg's callbacks share with the reader. Nothing here needs a destructor: libjpeg leaves
// by longjmp, so no object that has one may live between setjmp and a call into libjpeg.
struct JpegState {
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  jmp_buf escape;
  char error[JMSG_LENGTH_MAX];
};

JpegState* StateOf(j_common_ptr info) { return static_cast<JpegState*>(info->client_data); }

[[noreturn]] void OnError(j_common_ptr info) {
  JpegState* state = StateOf(info);
  info->err->format_message(info, state->error);
  std::longjmp(state->escape, 1);
}

// A level below 0 is a warning: data that are missing or wrong, for which libjpeg would put
// something in. Such a file is refused.
void OnMessage(j_common_ptr info, int level) {
  if (level < 0) OnError(info);
}

void OnOutput(j_common_ptr) {}  // nothing is ever printed

void OnProgress(j_common_ptr info) {
  const auto* decompress = reinterpret_cast<jpeg_decompress_struct*>(info);
  if (decompress->input_scan_number <= kMostScans) return;
  JpegState* state = StateOf(info);
  std::snprintf(state->error, sizeof(state->error), "more than %d scans", kMostScans);
  std::longjmp(state->escape, 1);
}

bool ReadHeader(jpeg_decompress_struct* info, JpegState* state, const unsigned char* bytes,
                unsigned long size) {
  if (setjmp(state->escape)) return false;
  jpeg_create_decompress(info);
  info->progress = &state->progress;
  jpeg_mem_src(info, bytes, size);
  jpeg_read_header(info, TRUE);
  return true;
}

// Settings under which libjpeg-turbo gives the same bytes with and without SIMD, on every machine,
// and which training pipelines use too (they are libjpeg's defaults, said here to stay).
bool ReadRows(jpeg_decompress_struct* info, JpegState* state, unsigned char* pixels,
              size_t row_bytes) {
  if (setjmp(state->escape)) return false;
  info->dct_method = JDCT_ISLOW;
  info->do_fancy_upsampling = TRUE;
  info->do_block_smoothing = FALSE;
  jpeg_start_decompress(info);
  while (info->output_scanline < info->output_height) {
    JSAMPROW row = pixels + info->output_scanline * row_bytes;
    jpeg_read_scanlines(info, &row, 1);
  }
  jpeg_finish_decompress(info);
  return true;
}

class JpegReader final : public ImageReader {
 public:
  JpegReader() : info_{}, state_{} {
    info_.err = jpeg_std_error(&state_.errors);
    info_.client_data = &state_;
    state_.errors.error_exit = &OnError;
    state_.errors.emit_message = &OnMessage;
    state_.errors.output_message = &OnOutput;
    state_.progress.progress_monitor = &OnProgress;
  }
  ~JpegReader() override { jpeg_destroy_decompress(&info_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  absl::Status Open(std::string_view bytes, int64_t most_side) {
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    if (!ReadHeader(&info_, &state_, data, bytes.size())) return Error();
    MICO_RETURN_IF_ERROR(CheckSides(info_.image_width, info_.image_height, most_side));
    if (info_.num_components != 1 && info_.num_components != 3) {
      return absl::InvalidArgumentError(fmt::format(
          "a JPEG of {} components (CMYK has 4); needed grey or RGB", info_.num_components));
    }
    if (info_.arith_code) {
      return absl::InvalidArgumentError("a JPEG with arithmetic coding; needed Huffman coding");
    }
    info_.out_color_space = info_.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    shape_ = {info_.num_components, info_.image_height, info_.image_width};
    return absl::OkStatus();
  }

  absl::Status Read(uint8_t* pixels) override {
    const auto row_bytes = static_cast<size_t>(shape_.width * shape_.channels);
    return ReadRows(&info_, &state_, pixels, row_bytes) ? absl::OkStatus() : Error();
  }

 private:
  absl::Status Error() const {
    return absl::InvalidArgumentError(fmt::format("a broken JPEG: {}", state_.error));
  }

  jpeg_decompress_struct info_;
  JpegState state_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ImageReader>> OpenJpeg(std::string_view bytes, int64_t most_side) {
  auto reader = std::make_unique<JpegReader>();
  MICO_RETURN_IF_ERROR(reader->Open(bytes, most_side));
  return reader;
}

}  // namespace mico
