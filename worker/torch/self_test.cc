#include "worker/torch/self_test.h"

#include <cstdint>
#include <exception>
#include <memory>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "fmt/format.h"
#include "worker/torch/convolution.h"

namespace mico {
namespace {

struct Case {
  int64_t in_channels, out_channels, size, kernel, groups;
};

constexpr Case kCases[] = {
    {16, 16, 14, 3, 1},  // where Winograd would be chosen
    {64, 32, 5, 5, 1},
    {48, 10, 4, 1, 1},
    {16, 16, 9, 3, 16},  // depthwise
};
constexpr int64_t kSamples = 4;

std::vector<int32_t> Draw(Random& random, int64_t count, int32_t least, int32_t most) {
  std::vector<int32_t> values(count);
  for (int32_t& value : values) value = static_cast<int32_t>(random.Between(least, most));
  return values;
}

// Output element (sample, y, x, out) with the padding of "same", all in NHWC.
int64_t SumOfProducts(const Case& c, const std::vector<int32_t>& input,
                      const std::vector<int32_t>& weights, int64_t sample, int64_t y, int64_t x,
                      int64_t out) {
  const int64_t in_channels = c.in_channels / c.groups;
  const int64_t first = out / (c.out_channels / c.groups) * in_channels;
  int64_t sum = 0;
  for (int64_t ky = 0; ky < c.kernel; ++ky) {
    for (int64_t kx = 0; kx < c.kernel; ++kx) {
      const int64_t row = y + ky - c.kernel / 2, column = x + kx - c.kernel / 2;
      if (row < 0 || row >= c.size || column < 0 || column >= c.size) continue;
      for (int64_t i = 0; i < in_channels; ++i) {
        sum +=
            int64_t{
                input[((sample * c.size + row) * c.size + column) * c.in_channels + first + i]} *
            weights[((out * c.kernel + ky) * c.kernel + kx) * in_channels + i];
      }
    }
  }
  return sum;
}

template <typename T>
absl::Status Check(const Case& c, std::string_view type_name) {
  Random random(7);
  const auto input = Draw(random, kSamples * c.size * c.size * c.in_channels, 0, 255);
  // Few enough bits that 1,600 products stay below 2^24.
  const auto weights =
      Draw(random, c.out_channels * c.kernel * c.kernel * c.in_channels / c.groups, -39, 39);
  const std::vector<T> real_input(input.begin(), input.end());
  const std::vector<T> real_weights(weights.begin(), weights.end());
  const ConvolutionSizes sizes{.in_channels = c.in_channels,
                               .out_channels = c.out_channels,
                               .kernel_height = c.kernel,
                               .kernel_width = c.kernel,
                               .padding_rows = c.kernel / 2,
                               .padding_columns = c.kernel / 2,
                               .groups = c.groups};
  const std::shared_ptr<T> output = Convolution<T>(sizes, real_weights.data(), nullptr)
                                        .Run(real_input.data(), kSamples, c.size, c.size);
  const T* values = output.get();
  for (int64_t sample = 0; sample < kSamples; ++sample) {
    for (int64_t y = 0; y < c.size; ++y) {
      for (int64_t x = 0; x < c.size; ++x) {
        for (int64_t out = 0; out < c.out_channels; ++out) {
          const int64_t needed = SumOfProducts(c, input, weights, sample, y, x, out);
          const T found = *values++;
          if (found == static_cast<T>(needed)) continue;
          return absl::InternalError(fmt::format(
              "self-test: a {}x{} convolution in {} gave {}; integers give {}. This libtorch or "
              "this processor cannot be used for exact evaluation",
              c.kernel, c.kernel, type_name, found, needed));
        }
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckConvolutionsAreExact() {
  try {
    for (const Case& c : kCases) {
      absl::Status status = Check<float>(c, "float32");
      if (status.ok()) status = Check<double>(c, "float64");
      if (!status.ok()) return status;
    }
  } catch (const std::exception& error) {
    return absl::InternalError(fmt::format("self-test: libtorch: {}", error.what()));
  }
  return absl::OkStatus();
}

}  // namespace mico
