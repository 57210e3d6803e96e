#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/digest.h"
#include "model/graph.h"

namespace mico {

enum class Split { kTrain, kVal, kTest };
std::string_view ToString(Split split);

// How stored values become network inputs: (x * scale - mean) / std, in double, mean and std one
// per channel (or one for all); then rounded to float32, which is what networks read. Everybody who
// prepares a value calls Apply, so that all get the same bits.
struct InputPreparation {
  double scale = 1.0;
  std::vector<double> mean{0.0};
  std::vector<double> std{1.0};

  double Apply(double stored, int64_t channel) const;
  friend bool operator==(const InputPreparation&, const InputPreparation&) = default;
};

// Samples in storage order NCHW (or N x features) and their labels.
struct SplitData {
  int64_t count = 0;
  std::vector<uint8_t> bytes;   // filled when the file holds uint8 ...
  std::vector<float> floats;    // ... or float32
  std::vector<int32_t> labels;  // [count]
};

// A labelled data set of class indices, in memory. Immutable once loaded; thread-safe to read.
struct Dataset {
  Shape sample_shape;
  bool is_uint8 = false;
  int num_classes = 0;  // largest label + 1 over all splits
  InputPreparation preparation;
  SplitData train, val, test;
  Digest digest;  // of the file it was parsed from; empty for one made in memory
  bool val_taken_from_train = false;  // no x_val in the file: the last tenth of a seeded shuffle

  const SplitData& split(Split which) const;
  // Sample `index` as network inputs, channels x height x width.
  std::vector<float> Prepared(Split which, int64_t index) const;
  // True when no prepared value of any split is negative.
  bool PreparedNonNegative() const;
};

struct DatasetLimits {
  uint64_t most_bytes_unpacked = uint64_t{2} << 30;
  int64_t most_samples = 10'000'000;
  int most_classes = 10'000;
};

// Parses an .npz (docs/formats/dataset.md): x_train y_train [x_val y_val] x_test y_test, optional
// scale mean std. Everything is checked before it is allocated; errors name the array, what was
// found and what was needed.
absl::StatusOr<Dataset> ParseNpz(std::string_view bytes, const DatasetLimits& limits = {});

// What a submit shows of a data set.
std::string Describe(const Dataset& dataset);

}  // namespace mico
