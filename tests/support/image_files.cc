#include "tests/support/image_files.h"

#include <png.h>

#include <cstdio>   // jpeglib.h needs FILE
#include <cstdlib>  // and free

#include <jpeglib.h>

#include "base/random.h"

namespace mico {
namespace {

void Append(png_structp png, png_bytep bytes, size_t count) {
  static_cast<std::string*>(png_get_io_ptr(png))
      ->append(reinterpret_cast<const char*>(bytes), count);
}

}  // namespace

std::string PngFile::Bytes() const {
  std::string bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &bytes, &Append, nullptr);
  png_set_IHDR(png, info, width, height, bit_depth, color_type,
               interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  std::vector<png_color> colours;
  for (const auto& [red, green, blue] : palette) colours.push_back({red, green, blue});
  if (!colours.empty()) png_set_PLTE(png, info, colours.data(), static_cast<int>(colours.size()));
  if (transparent_colour) {
    png_byte alpha = 0;
    png_color_16 colour{};
    png_set_tRNS(png, info, &alpha, 1, &colour);
  }
  png_write_info(png, info);
  const size_t row_bytes = png_get_rowbytes(png, info);
  std::vector<uint8_t> copy = rows;
  copy.resize(row_bytes * height);
  std::vector<png_bytep> pointers;
  for (uint32_t i = 0; i < height; ++i) pointers.push_back(copy.data() + i * row_bytes);
  png_write_image(png, pointers.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

std::string JpegFile::Bytes() const {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_width = width;
  info.image_height = height;
  info.input_components = components;
  info.in_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  info.arith_code = arithmetic ? TRUE : FALSE;
  if (progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  std::vector<uint8_t> copy = pixels;
  copy.resize(size_t{width} * height * components);
  while (info.next_scanline < height) {
    JSAMPROW row = copy.data() + size_t{info.next_scanline} * width * components;
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string bytes(reinterpret_cast<const char*>(buffer), size);
  std::free(buffer);
  return bytes;
}

std::vector<uint8_t> RandomBytes(size_t count, uint64_t seed) {
  Random random(seed);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.Below(256));
  return bytes;
}

std::string PlainPng(uint32_t width, uint32_t height, int channels, uint8_t value) {
  PngFile file;
  file.width = width;
  file.height = height;
  file.color_type = channels == 1 ? 0 : 2;
  file.rows.assign(size_t{width} * height * channels, value);
  return file.Bytes();
}

}  // namespace mico
