#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace mico {

// PNG and JPEG files of every kind, for tests.
struct PngFile {
  uint32_t width = 2, height = 2;
  int color_type = 0;  // PNG's: 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha
  int bit_depth = 8;
  bool interlaced = false;
  bool transparent_colour = false;  // a tRNS chunk
  std::vector<std::array<uint8_t, 3>> palette;
  std::vector<uint8_t> rows;  // as PNG stores them: 16 bits big-endian, few bits packed

  std::string Bytes() const;
};

struct JpegFile {
  uint32_t width = 2, height = 2;
  int components = 1;  // 1 grey, 3 RGB, 4 CMYK
  int quality = 90;
  bool progressive = false;
  bool arithmetic = false;
  std::vector<uint8_t> pixels;

  // Colour is stored at half the resolution in both directions, as most programs do.
  std::string Bytes() const;
};

std::vector<uint8_t> RandomBytes(size_t count, uint64_t seed);

// A grey or RGB PNG of one value.
std::string PlainPng(uint32_t width, uint32_t height, int channels, uint8_t value);

}  // namespace mico
