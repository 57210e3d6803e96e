#pragma once

#include <algorithm>

#include "base/random.h"
#include "data/dataset.h"

namespace mico {

// A data set of random samples, for networks in tests: uint8 with a mean (so that inputs are
// negative too) or without, or float32.
struct RandomDatasetOptions {
  int64_t samples = 40;
  int num_classes = 2;
  bool is_uint8 = true;
  bool can_be_negative = true;
};

inline SplitData RandomSplit(const Shape& shape, const RandomDatasetOptions& options,
                             Random& random) {
  SplitData data;
  data.count = options.samples;
  for (int64_t i = 0; i < options.samples * shape.elements(); ++i) {
    if (options.is_uint8) {
      data.bytes.push_back(static_cast<uint8_t>(random.Below(256)));
    } else {
      const double value = random.Gaussian();
      data.floats.push_back(
          static_cast<float>(options.can_be_negative || value >= 0.0 ? value : -value));
    }
  }
  for (int64_t i = 0; i < options.samples; ++i) {
    data.labels.push_back(static_cast<int32_t>(random.Below(options.num_classes)));
  }
  return data;
}

inline Dataset RandomDataset(const Shape& shape, uint64_t seed,
                             const RandomDatasetOptions& options = {}) {
  Random random(seed);
  Dataset dataset;
  dataset.sample_shape = shape;
  dataset.is_uint8 = options.is_uint8;
  dataset.num_classes = options.num_classes;
  if (options.is_uint8) {
    dataset.preparation = {
        .scale = 1.0 / 64.0, .mean = {options.can_be_negative ? 2.0 : 0.0}, .std = {1.0}};
  }
  dataset.train = RandomSplit(shape, options, random);
  dataset.val = RandomSplit(shape, options, random);
  dataset.test = RandomSplit(shape, options, random);
  return dataset;
}

// Pictures with something in them, in place of the noise of train: in noise no weight's error can
// make up for another's. Each channel is a plane from `darkest` to `levels` above it, which falls
// or rises by up to half of `slope` from one pixel to the next. Of uint8 data.
inline void DrawPlanes(double darkest, double levels, double slope, Dataset& dataset) {
  const Shape& shape = dataset.sample_shape;
  const int64_t pixels = shape.height * shape.width;
  Random random(5);
  for (int64_t plane = 0; plane < shape.channels * dataset.train.count; ++plane) {
    const double level = darkest + levels * random.Unit();
    const double across = slope * random.Unit() - slope / 2;
    const double down = slope * random.Unit() - slope / 2;
    for (int64_t i = 0; i < pixels; ++i) {
      const int64_t row = i / shape.width - shape.height / 2;
      const int64_t column = i % shape.width - shape.width / 2;
      const double value = level + across * static_cast<double>(column) +
                           down * static_cast<double>(row) + 4 * random.Gaussian();
      dataset.train.bytes[plane * pixels + i] = static_cast<uint8_t>(std::clamp(value, 0.0, 255.0));
    }
  }
}

}  // namespace mico
