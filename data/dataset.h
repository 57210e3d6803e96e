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

// Samples in storage order NCHW (or N x features) and what belongs to them: labels or targets.
struct SplitData {
  int64_t count = 0;
  std::vector<uint8_t> bytes;   // filled when the file holds uint8 ...
  std::vector<float> floats;    // ... or float32
  std::vector<int32_t> labels;  // [count], class indices ...
  std::vector<float> targets;   // ... or [count][target_elements], what the network should answer
};

// What it was made from.
enum class DatasetSource { kArrays, kImages };

// A data set in memory, of class indices or of targets. Immutable once loaded; thread-safe to read.
struct Dataset {
  Shape sample_shape;
  bool is_uint8 = false;
  // Largest label + 1 over all splits; of images: class folders; 0 where there are targets.
  int num_classes = 0;
  int64_t target_elements = 0;  // numbers that y has for a sample; 0 where there are labels
  std::vector<std::string> class_names;  // of images: the folders' names, by label; else empty
  DatasetSource source = DatasetSource::kArrays;
  InputPreparation preparation;
  SplitData train, val, test;
  Digest digest;  // of the file it was parsed from; empty for one made in memory
  bool val_taken_from_train = false;   // no val was given: the last tenth of a seeded shuffle
  bool test_taken_from_train = false;  // neither was given: the last two tenths of each class

  const SplitData& split(Split which) const;
  // Sample `index` as network inputs, channels x height x width.
  std::vector<float> Prepared(Split which, int64_t index) const;
  // What the network should answer to sample `index`, flattened as ONNX does: its targets, or where
  // there are none the prepared sample itself (an autoencoder).
  std::vector<float> Target(Split which, int64_t index) const;
  // The mean over the elements of their variance over the targets of a split: the squared error of
  // whoever always answers the mean.
  double TargetVariance(Split which) const;
  // True when no prepared value of any split is negative.
  bool PreparedNonNegative() const;
  // How many numbers mean or std has: 1, or one for each channel.
  int64_t PreparationChannels() const;
};

// What a stranger's file may cost.
// Whether stored samples are, element for element, network inputs of another shape: the extents
// other than 1 agree in their order. So the network's input decides whether a (N, 12, 100) array is
// images of one channel or signals of twelve, and a (N, 784) array features or one long signal.
bool HaveSameExtents(const Shape& stored, const Shape& input);
// The same for a data set; where its mean or std is one per channel, the channels must agree too.
// InvalidArgument names both shapes.
absl::Status CheckReadableAs(const Dataset& dataset, const Shape& input);
// What of a data set decides it: `channels` is how many numbers its mean or std has.
absl::Status CheckReadableAs(const Shape& stored, int64_t channels, const Shape& input);

struct DatasetLimits {
  uint64_t most_bytes_unpacked = uint64_t{2} << 30;
  // A file may unpack to so many times its size, which no real data exceed ...
  uint64_t most_expansion = 250;
  // ... or to this many bytes, whatever its size.
  uint64_t free_bytes = uint64_t{64} << 20;
  int64_t most_samples = 10'000'000;
  int most_classes = 10'000;
  int64_t most_image_files = 2'000'000;
  uint64_t most_image_file_bytes = uint64_t{64} << 20;
  int64_t most_image_side = 4096;
};

// What the contents of a file of `packed_bytes` may take.
uint64_t MostUnpackedBytes(const DatasetLimits& limits, uint64_t packed_bytes);

// Parses either kind of data set, told apart by its first bytes. Everything is checked before it is
// allocated; errors name the array or the file, what was found and what was needed.
absl::StatusOr<Dataset> ParseDataset(std::string_view bytes, const DatasetLimits& limits = {});

// Parses an .npz (docs/formats/dataset.md): x_train y_train [x_val y_val] x_test y_test, optional
// scale mean std.
absl::StatusOr<Dataset> ParseNpz(std::string_view bytes, const DatasetLimits& limits = {});

// Parses a folder of class folders of PNG and JPEG images, packed as a tar archive
// (docs/formats/dataset.md). The samples are uint8 NCHW.
absl::StatusOr<Dataset> ParseImages(std::string_view bytes, const DatasetLimits& limits = {});

// One line for listings.
std::string Describe(const Dataset& dataset);

}  // namespace mico
