// The vector loops give what the contract says, on every instruction set that this machine has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "quant/requantize.h"
#include "quant/score.h"
#include "worker/integers/answers.h"
#include "worker/integers/convolution.h"
#include "worker/integers/kernels.h"
#include "worker/integers/self_test.h"
#include "worker/integers/vector_level.h"

namespace mico {
namespace {

using ::testing::DoubleNear;

class IntegersTest : public ::testing::TestWithParam<VectorLevel> {
 protected:
  void SetUp() override {
    if (LimitVectorLevel(GetParam()) != GetParam()) GTEST_SKIP() << "this processor has less";
  }
  void TearDown() override { LimitVectorLevel(VectorLevel::kAvx512Vnni); }

  // Factors with shifts in [least, most], one per channel.
  std::vector<FixedPointScale> Scales(int64_t channels, int least, int most) {
    std::vector<FixedPointScale> scales(channels);
    for (FixedPointScale& scale : scales) {
      scale.multiplier = static_cast<int32_t>(random_.Between(1 << 30, (int64_t{1} << 31) - 1));
      scale.shift = static_cast<int>(random_.Between(least, most));
    }
    return scales;
  }

  std::vector<int32_t> Integers(int64_t count, int32_t magnitude) {
    std::vector<int32_t> values(count);
    for (int32_t& value : values) {
      // Small and large ones alike, and the ends.
      const int32_t limit = magnitude >> random_.Below(24);
      value = static_cast<int32_t>(random_.Between(-int64_t{limit}, limit));
    }
    values.front() = magnitude;
    values.back() = -magnitude;
    return values;
  }

  std::vector<int8_t> Weights(int64_t count) {
    std::vector<int8_t> weights(count);
    for (int8_t& weight : weights) weight = static_cast<int8_t>(random_.Between(-127, 127));
    return weights;
  }

  // Every byte value, the ends among them.
  IntegerBatch Bytes(int64_t count, const Shape& shape, bool is_signed) {
    IntegerBatch batch = IntegerBatch::Empty(count, shape, {8, is_signed});
    for (int64_t i = 0; i < batch.elements(); ++i) {
      batch.As<uint8_t>()[i] = static_cast<uint8_t>(random_.Below(256));
    }
    return batch;
  }

  void ExpectRequantized(int64_t channels, const std::vector<FixedPointScale>& scales,
                         int32_t lowest, int32_t highest, TensorType type) {
    const Shape shape{channels, 1, 37};
    const IntegerBatch sums = IntegerBatch::Empty(1, shape, kSums);
    const std::vector<int32_t> drawn = Integers(sums.elements(), 1 << 30);
    std::copy(drawn.begin(), drawn.end(), sums.As<int32_t>());
    const std::vector<int32_t> bias = Integers(channels, (1 << 30) - 1);
    const IntegerBatch results = IntegerBatch::Empty(1, shape, type);

    RequantizeTable(bias, scales, lowest, highest, type)
        .Apply(sums.As<int32_t>(), sums.elements(), results.As<uint8_t>());

    const std::vector<int32_t> found = ToIntegers(results, 0);
    for (int64_t i = 0; i < sums.elements(); ++i) {
      const int32_t exact = Requantize(drawn[i] + bias[i % channels], scales[i % channels]);
      ASSERT_EQ(found[i], std::clamp(exact, lowest, highest))
          << "sum " << drawn[i] << " bias " << bias[i % channels] << " shift "
          << scales[i % channels].shift;
    }
  }

  // As the numerics say it, element by element.
  static int32_t SumOfProducts(const ConvAttributes& conv, const std::vector<int32_t>& input,
                               const Shape& shape, const std::vector<int8_t>& weights, int64_t row,
                               int64_t column, int64_t out) {
    const int64_t in_channels = shape.channels / conv.groups;
    const int64_t first = out / (conv.out_channels / conv.groups) * in_channels;
    int32_t sum = 0;
    for (int64_t y = 0; y < conv.kernel_height; ++y) {
      for (int64_t x = 0; x < conv.kernel_width; ++x) {
        const int64_t in_y = row * conv.stride_height - conv.padding.top + y * conv.dilation_height;
        const int64_t in_x =
            column * conv.stride_width - conv.padding.left + x * conv.dilation_width;
        if (in_y < 0 || in_y >= shape.height || in_x < 0 || in_x >= shape.width) continue;
        for (int64_t i = 0; i < in_channels; ++i) {
          sum +=
              input[(in_y * shape.width + in_x) * shape.channels + first + i] *
              weights[((out * conv.kernel_height + y) * conv.kernel_width + x) * in_channels + i];
        }
      }
    }
    return sum;
  }

  void ExpectExactConvolution(const ConvAttributes& conv, const Shape& input, const Shape& output,
                              bool is_signed) {
    const IntegerBatch batch = Bytes(3, input, is_signed);
    const std::vector<int8_t> weights = Weights(conv.out_channels * conv.kernel_height *
                                                conv.kernel_width * input.channels / conv.groups);
    const std::vector<FixedPointScale> scales = Scales(conv.out_channels, -1, 12);
    const std::vector<int32_t> bias = Integers(conv.out_channels, 1 << 20);
    const TensorType type{8, false};
    const RequantizeTable table(bias, scales, 0, 255, type);

    const IntegerConvolution convolution(conv, weights, input, batch.type, output);
    const IntegerBatch sums = convolution.Sums(batch);
    const IntegerBatch results = convolution.Run(batch, table, type);

    for (int64_t sample = 0; sample < batch.count; ++sample) {
      const std::vector<int32_t> in = ToIntegers(batch, sample);
      const std::vector<int32_t> found = ToIntegers(sums, sample);
      const std::vector<int32_t> requantized = ToIntegers(results, sample);
      int64_t at = 0;
      for (int64_t row = 0; row < output.height; ++row) {
        for (int64_t column = 0; column < output.width; ++column) {
          for (int64_t out = 0; out < output.channels; ++out, ++at) {
            const int32_t sum = SumOfProducts(conv, in, input, weights, row, column, out);
            ASSERT_EQ(found[at], sum) << "sample " << sample << " element " << at;
            ASSERT_EQ(requantized[at],
                      std::clamp(Requantize(sum + bias[out], scales[out]), 0, 255));
          }
        }
      }
    }
  }

  Random random_{11};
};

TEST_P(IntegersTest, RequantizesLikeTheContractAtEveryShift) {
  for (const int64_t channels : {1, 3, 10, 16, 33, 64, 100}) {
    ExpectRequantized(channels, Scales(channels, 0, 29), 0, 255, {8, false});
    ExpectRequantized(channels, Scales(channels, -30, -1), -128, 127, {8, true});
    ExpectRequantized(channels, Scales(channels, -30, 29), -32768, 32767, {16, true});
    ExpectRequantized(channels, Scales(channels, -3, 3), 0, 1, {1, false});
  }
}

TEST_P(IntegersTest, RequantizesStoredIntegers) {
  for (const bool is_signed : {false, true}) {
    const IntegerBatch batch = Bytes(2, {5, 3, 7}, is_signed);
    StepNumbers numbers;
    numbers.scales = Scales(1, -2, 4);
    numbers.bias = {RoundingTerm(numbers.scales[0])};
    numbers.lowest = is_signed ? -8 : 0;
    numbers.highest = is_signed ? 7 : 15;

    const IntegerBatch narrow = RequantizeIntegers(batch, numbers, {4, is_signed});

    const std::vector<int32_t> in = ToIntegers(batch, 1), out = ToIntegers(narrow, 1);
    for (size_t i = 0; i < in.size(); ++i) {
      ASSERT_EQ(out[i], std::clamp(Requantize(in[i] + numbers.bias[0], numbers.scales[0]),
                                   numbers.lowest, numbers.highest));
    }
  }
}

TEST_P(IntegersTest, AddsLikeTheContract) {
  const Shape shape{5, 3, 7};
  const IntegerBatch a = Bytes(2, shape, true), b = Bytes(2, shape, false);
  StepNumbers numbers;
  numbers.multiplier_a = 1'234'567;
  numbers.multiplier_b = 3'210'987;
  numbers.shift = 22;
  numbers.lowest = -128;
  numbers.highest = 127;

  const IntegerBatch sum = AddIntegers(a, b, numbers, {8, true});

  for (int64_t sample = 0; sample < 2; ++sample) {
    const std::vector<int32_t> x = ToIntegers(a, sample), y = ToIntegers(b, sample);
    const std::vector<int32_t> found = ToIntegers(sum, sample);
    for (size_t i = 0; i < x.size(); ++i) {
      const int32_t exact = (x[i] * 1'234'567 + y[i] * 3'210'987 + (1 << 21)) >> 22;
      ASSERT_EQ(found[i], std::clamp(exact, -128, 127));
    }
  }
}

TEST_P(IntegersTest, ConvolvesExactlyInEveryShape) {
  const auto conv = [](int64_t out, int64_t kernel, int64_t stride, int64_t pad) {
    ConvAttributes attributes;
    attributes.out_channels = out;
    attributes.kernel_height = attributes.kernel_width = kernel;
    attributes.stride_height = attributes.stride_width = stride;
    attributes.padding = {pad, pad, pad, pad};
    return attributes;
  };
  for (const bool is_signed : {false, true}) {
    ExpectExactConvolution(conv(16, 3, 1, 1), {16, 9, 33}, {16, 9, 33}, is_signed);
    ExpectExactConvolution(conv(7, 3, 1, 1), {3, 5, 6}, {7, 5, 6}, is_signed);
    ExpectExactConvolution(conv(64, 3, 2, 1), {32, 8, 8}, {64, 4, 4}, is_signed);
    ExpectExactConvolution(conv(80, 1, 1, 0), {20, 6, 6}, {80, 6, 6}, is_signed);
    ExpectExactConvolution(conv(10, 1, 1, 0), {300, 1, 1}, {10, 1, 1}, is_signed);
    ExpectExactConvolution(conv(33, 4, 1, 0), {5, 4, 4}, {33, 1, 1}, is_signed);

    ConvAttributes uneven = conv(20, 3, 1, 0);
    uneven.kernel_height = 2;
    uneven.stride_width = 2;
    uneven.dilation_width = 2;
    uneven.padding = {1, 0, 0, 3};
    ExpectExactConvolution(uneven, {6, 5, 9}, {20, 5, 4}, is_signed);

    ConvAttributes groups = conv(24, 3, 1, 1);
    groups.groups = 4;
    ExpectExactConvolution(groups, {12, 5, 7}, {24, 5, 7}, is_signed);

    ConvAttributes depthwise = conv(37, 3, 2, 1);
    depthwise.groups = 37;
    ExpectExactConvolution(depthwise, {37, 7, 7}, {37, 4, 4}, is_signed);
  }
}

TEST_P(IntegersTest, PassesTheSelfTestOfAWorker) {
  EXPECT_TRUE(CheckIntegersAreExact().ok()) << CheckIntegersAreExact();
}

// The formulas, one sample at a time.
double Divergence(const std::vector<float>& reference, const int16_t* integers, double scale) {
  const auto norm = [](const auto& logit, size_t count) {
    double largest = -HUGE_VAL, sum = 0.0;
    for (size_t i = 0; i < count; ++i) largest = std::max(largest, logit(i));
    for (size_t i = 0; i < count; ++i) sum += std::exp(logit(i) - largest);
    return largest + std::log(sum);
  };
  const auto p = [&](size_t i) { return static_cast<double>(reference[i]); };
  const auto q = [&](size_t i) { return scale * integers[i]; };
  const double p_norm = norm(p, reference.size()), q_norm = norm(q, reference.size());
  double divergence = 0.0;
  for (size_t i = 0; i < reference.size(); ++i) {
    divergence += std::exp(p(i) - p_norm) * (p(i) - p_norm - q(i) + q_norm);
  }
  return std::max(divergence, 0.0);
}

TEST_P(IntegersTest, JudgesAnswersLikeTheFormulas) {
  constexpr int64_t kSamples = 21, kWidth = 10;
  constexpr double kScale = 0.37;
  std::vector<float> logits(kSamples * kWidth);
  for (float& logit : logits) logit = static_cast<float>(random_.Between(-400, 400)) / 100.0f;
  std::vector<int64_t> places(kSamples);
  std::iota(places.rbegin(), places.rend(), 0);
  std::vector<int16_t> integers(kSamples * kWidth);
  for (int16_t& integer : integers) integer = static_cast<int16_t>(random_.Between(-12, 12));
  integers[0] = 32767;  // the others' share is nothing
  std::vector<int32_t> labels(kSamples);
  for (int32_t& label : labels) label = static_cast<int32_t>(random_.Below(kWidth));
  const FloatDistributions distributions(logits, kWidth);

  for (const int among : {1, 5}) {
    std::vector<double> hits(kSamples), divergences(kSamples);
    AnsweredBatch(distributions, places, labels)
        .Judge(integers.data(), kScale, among, hits, divergences);

    for (int64_t i = 0; i < kSamples; ++i) {
      const int16_t* outputs = integers.data() + i * kWidth;
      const std::vector<float> floats(outputs, outputs + kWidth);
      EXPECT_EQ(hits[places[i]], IsAmongLargest(floats, labels[i], among) ? 1.0 : 0.0);
      const std::vector<float> reference(logits.begin() + places[i] * kWidth,
                                         logits.begin() + (places[i] + 1) * kWidth);
      const double expected = Divergence(reference, outputs, kScale);
      EXPECT_THAT(divergences[places[i]], DoubleNear(expected, 1e-12 * (1.0 + expected)));
    }
  }
}

TEST_P(IntegersTest, AJudgementDoesNotDependOnWhatStandsBeside) {
  const std::vector<float> logits{1.0f, 2.0f, -1.0f, 0.5f, 0.25f, 3.0f};
  const FloatDistributions distributions(logits, 3);
  const std::vector<int64_t> both{0, 1}, second{1};
  const std::vector<int32_t> labels{1, 2};
  const std::vector<int16_t> integers{5, 9, -7, 3, 1, 20};
  std::vector<double> hits(2), together(2), alone(2);

  AnsweredBatch(distributions, both, labels).Judge(integers.data(), 0.1, 1, hits, together);
  AnsweredBatch(distributions, second, std::span(labels).subspan(1))
      .Judge(integers.data() + 3, 0.1, 1, hits, alone);

  EXPECT_EQ(together[1], alone[1]);
}

INSTANTIATE_TEST_SUITE_P(EveryLevel, IntegersTest,
                         ::testing::Values(VectorLevel::kBase, VectorLevel::kAvx2,
                                           VectorLevel::kAvx512, VectorLevel::kAvx512Vnni));

}  // namespace
}  // namespace mico
