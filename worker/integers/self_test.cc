#include "worker/integers/self_test.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "fmt/format.h"
#include "worker/integers/convolution.h"

namespace mico {
namespace {

struct Case {
  int64_t in_channels, out_channels, size, kernel, groups;
  bool is_signed;
};

constexpr Case kCases[] = {
    {16, 32, 14, 3, 1, false}, {64, 64, 5, 5, 1, true},  {3, 10, 7, 3, 1, true},
    {48, 10, 1, 1, 1, false},  {16, 16, 9, 3, 16, true},
};
constexpr int64_t kSamples = 2;

std::vector<int8_t> Draw(Random& random, int64_t count, int32_t least, int32_t most) {
  std::vector<int8_t> values(count);
  for (int8_t& value : values) value = static_cast<int8_t>(random.Between(least, most));
  return values;
}

int32_t ValueOf(const IntegerBatch& batch, int64_t index) {
  return batch.type.is_signed ? int32_t{batch.As<int8_t>()[index]}
                              : int32_t{batch.As<uint8_t>()[index]};
}

// Output element (sample, y, x, out) with the padding of "same", all in NHWC.
int32_t SumOfProducts(const Case& c, const IntegerBatch& input, const std::vector<int8_t>& weights,
                      int64_t sample, int64_t y, int64_t x, int64_t out) {
  const int64_t in_channels = c.in_channels / c.groups;
  const int64_t first = out / (c.out_channels / c.groups) * in_channels;
  int32_t sum = 0;
  for (int64_t ky = 0; ky < c.kernel; ++ky) {
    for (int64_t kx = 0; kx < c.kernel; ++kx) {
      const int64_t row = y + ky - c.kernel / 2, column = x + kx - c.kernel / 2;
      if (row < 0 || row >= c.size || column < 0 || column >= c.size) continue;
      for (int64_t i = 0; i < in_channels; ++i) {
        const int64_t at = ((sample * c.size + row) * c.size + column) * c.in_channels + first + i;
        sum +=
            ValueOf(input, at) * weights[((out * c.kernel + ky) * c.kernel + kx) * in_channels + i];
      }
    }
  }
  return sum;
}

absl::Status Compare(const Case& c, const IntegerBatch& input, const std::vector<int8_t>& weights,
                     const IntegerBatch& sums, const IntegerBatch& results,
                     const std::vector<FixedPointScale>& scales) {
  int64_t at = 0;
  for (int64_t position = 0; position < kSamples * c.size * c.size; ++position) {
    const int64_t sample = position / (c.size * c.size), pixel = position % (c.size * c.size);
    for (int64_t out = 0; out < c.out_channels; ++out, ++at) {
      const int32_t sum =
          SumOfProducts(c, input, weights, sample, pixel / c.size, pixel % c.size, out);
      const int32_t result = std::clamp(Requantize(sum, scales[out]), -128, 127);
      if (sums.As<int32_t>()[at] == sum && ValueOf(results, at) == result) continue;
      return absl::InternalError(fmt::format(
          "self-test: a {}x{} convolution of {} channels gave {} and {}; integers give {} and {}. "
          "This processor cannot be used for exact evaluation",
          c.kernel, c.kernel, c.in_channels, sums.As<int32_t>()[at], ValueOf(results, at), sum,
          result));
    }
  }
  return absl::OkStatus();
}

absl::Status Check(const Case& c) {
  Random random(7);
  const TensorType type{8, c.is_signed};
  const Shape in_shape{c.in_channels, c.size, c.size}, out_shape{c.out_channels, c.size, c.size};
  const IntegerBatch input = IntegerBatch::Empty(kSamples, in_shape, type);
  const auto values = Draw(random, input.elements(), -128, 127);
  std::copy(values.begin(), values.end(), input.As<int8_t>());
  const auto weights =
      Draw(random, c.out_channels * c.kernel * c.kernel * c.in_channels / c.groups, -127, 127);
  ConvAttributes conv;
  conv.out_channels = c.out_channels;
  conv.kernel_height = conv.kernel_width = c.kernel;
  conv.padding = {c.kernel / 2, c.kernel / 2, c.kernel / 2, c.kernel / 2};
  conv.groups = c.groups;
  std::vector<FixedPointScale> scales(c.out_channels);
  for (int64_t out = 0; out < c.out_channels; ++out) {
    scales[out].multiplier = static_cast<int32_t>(random.Between(1 << 30, (int64_t{1} << 31) - 1));
    scales[out].shift = static_cast<int>(random.Between(-2, 14));
  }
  const TensorType result_type{8, true};
  const RequantizeTable table(std::vector<int32_t>(c.out_channels, 0), scales, -128, 127,
                              result_type);
  const IntegerConvolution convolution(conv, weights, in_shape, type, out_shape);
  return Compare(c, input, weights, convolution.Sums(input),
                 convolution.Run(input, table, result_type), scales);
}

}  // namespace

absl::Status CheckIntegersAreExact() {
  for (const Case& c : kCases) {
    absl::Status status = Check(c);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace mico
