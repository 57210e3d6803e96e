#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "data/dataset.h"
#include "data/npy.h"
#include "data/preparation.h"
#include "data/split_samples.h"
#include "data/zip_archive.h"
#include "fmt/format.h"

namespace mico {
namespace {

const std::set<std::string> kEntries = {
    "x_train.npy", "y_train.npy", "x_val.npy", "y_val.npy", "x_test.npy",
    "y_test.npy",  "scale.npy",   "mean.npy",  "std.npy",
};

template <typename... Args>
absl::Status Invalid(fmt::format_string<Args...> format, Args&&... args) {
  return absl::InvalidArgumentError(fmt::format(format, std::forward<Args>(args)...));
}

// Assembles a data set from the unpacked arrays, checking each against the others.
class NpzReader {
 public:
  NpzReader(std::map<std::string, std::string> entries, const DatasetLimits& limits)
      : entries_(std::move(entries)), limits_(limits) {}

  absl::StatusOr<Dataset> Read() {
    MICO_RETURN_IF_ERROR(ReadSplit("train", dataset_.train));
    MICO_RETURN_IF_ERROR(ReadSplit("test", dataset_.test));
    if (Has("x_val") || Has("y_val")) {
      MICO_RETURN_IF_ERROR(ReadSplit("val", dataset_.val));
    } else {
      MICO_RETURN_IF_ERROR(TakeValFromTrain());
    }
    MICO_RETURN_IF_ERROR(ReadPreparation());
    return std::move(dataset_);
  }

 private:
  bool Has(const std::string& name) const { return entries_.contains(name + ".npy"); }

  absl::StatusOr<NpyArray> Array(const std::string& name) const {
    const auto entry = entries_.find(name + ".npy");
    if (entry == entries_.end()) return Invalid("array '{}' is missing", name);
    return ParseNpy(entry->second, name);
  }

  absl::Status ReadSplit(const std::string& split, SplitData& data) {
    const std::string x_name = "x_" + split, y_name = "y_" + split;
    MICO_RETURN_IF_ERROR(ReadSamples(x_name, data));
    entries_.erase(x_name + ".npy");  // the bytes are copied: a large file is not held twice
    MICO_ASSIGN_OR_RETURN(const NpyArray answers, Array(y_name));
    const bool targets = answers.type == NpyType::kF32;
    MICO_RETURN_IF_ERROR(targets ? ReadTargets(y_name, answers, data)
                                 : ReadLabels(y_name, answers, data));
    if (answers.shape[0] != data.count) {
      return Invalid("array '{}' has {} {}; '{}' has {} samples", y_name, answers.shape[0],
                     targets ? "targets" : "labels", x_name, data.count);
    }
    return absl::OkStatus();
  }

  absl::Status ReadSamples(const std::string& name, SplitData& data) {
    MICO_ASSIGN_OR_RETURN(const NpyArray array, Array(name));
    MICO_RETURN_IF_ERROR(AgreeOnType(name, array.type));
    MICO_RETURN_IF_ERROR(AgreeOnShape(name, array));
    data.count = array.shape[0];
    if (dataset_.is_uint8) {
      const auto* values = reinterpret_cast<const uint8_t*>(array.values.data());
      data.bytes.assign(values, values + array.values.size());
      return absl::OkStatus();
    }
    data.floats.resize(array.elements());
    std::memcpy(data.floats.data(), array.values.data(), array.values.size());
    return CheckFinite(name, data.floats);
  }

  absl::Status AgreeOnType(const std::string& name, NpyType type) {
    if (type != NpyType::kU8 && type != NpyType::kF32) {
      return Invalid("array '{}' is {}; needed uint8 or float32", name, ToString(type));
    }
    const bool is_uint8 = type == NpyType::kU8;
    if (has_shape_ && is_uint8 != dataset_.is_uint8) {
      return Invalid("array '{}' is {}; 'x_train' is not", name, ToString(type));
    }
    dataset_.is_uint8 = is_uint8;
    return absl::OkStatus();
  }

  absl::Status AgreeOnShape(const std::string& name, const NpyArray& array) {
    const std::vector<int64_t>& shape = array.shape;
    if (shape.size() < 2 || shape.size() > 4) {
      return Invalid(
          "array '{}' has shape {}; needed (N, features), (N, H, W), (N, C, L) or (N, C, H, W)",
          name, ShapeText(shape));
    }
    if (std::find(shape.begin(), shape.end(), 0) != shape.end()) {
      return Invalid("array '{}' has shape {}; needed at least one sample and one value", name,
                     ShapeText(shape));
    }
    if (shape[0] > limits_.most_samples) {
      return absl::ResourceExhaustedError(fmt::format("array '{}' has {} samples; at most {}", name,
                                                      shape[0], limits_.most_samples));
    }
    Shape sample;
    if (shape.size() == 2) sample = {shape[1], 1, 1};
    if (shape.size() == 3) sample = {1, shape[1], shape[2]};
    if (shape.size() == 4) sample = {shape[1], shape[2], shape[3]};
    if (has_shape_ && sample != dataset_.sample_shape) {
      return Invalid("array '{}' has samples of {}; those of 'x_train' are {}", name,
                     ToString(sample), ToString(dataset_.sample_shape));
    }
    dataset_.sample_shape = sample;
    may_be_signals_ = shape.size() == 3 && (may_be_signals_ || !has_shape_);
    has_shape_ = true;
    return absl::OkStatus();
  }

  static absl::Status CheckFinite(const std::string& name, const std::vector<float>& values) {
    const auto bad = std::find_if(values.begin(), values.end(),
                                  [](float value) { return !std::isfinite(value); });
    if (bad == values.end()) return absl::OkStatus();
    return Invalid("array '{}' has {} at position {}; needed finite numbers", name, *bad,
                   bad - values.begin());
  }

  // y as numbers: what the network should answer, any shape of its outputs.
  absl::Status ReadTargets(const std::string& name, const NpyArray& array, SplitData& data) {
    if (dataset_.num_classes > 0) {
      return Invalid("array '{}' is float32; needed integers, as 'y_train' has", name);
    }
    if (array.shape.empty() || array.elements() == 0) {
      return Invalid("array '{}' has shape {}; needed (N, outputs)", name, ShapeText(array.shape));
    }
    const int64_t elements = array.elements() / array.shape[0];
    if (dataset_.target_elements > 0 && dataset_.target_elements != elements) {
      return Invalid("array '{}' has {} numbers a sample; 'y_train' has {}", name, elements,
                     dataset_.target_elements);
    }
    dataset_.target_elements = elements;
    data.targets.resize(array.elements());
    std::memcpy(data.targets.data(), array.values.data(), array.values.size());
    return CheckFinite(name, data.targets);
  }

  absl::Status ReadLabels(const std::string& name, const NpyArray& array, SplitData& data) {
    if (!IsInteger(array.type)) {
      return Invalid("array '{}' is {}; needed integers (classes) or float32 (targets)", name,
                     ToString(array.type));
    }
    if (dataset_.target_elements > 0) {
      return Invalid("array '{}' is {}; 'y_train' is float32", name, ToString(array.type));
    }
    const bool is_column = array.shape.size() == 2 && array.shape[1] == 1;
    if (array.shape.size() != 1 && !is_column) {
      return Invalid("array '{}' has shape {}; needed (N,)", name, ShapeText(array.shape));
    }
    data.labels.resize(array.elements());
    for (int64_t i = 0; i < array.elements(); ++i) {
      const int64_t label = array.Integer(i);
      if (label < 0 || label >= limits_.most_classes) {
        return Invalid("array '{}' has label {} at position {}; needed 0 to {}", name, label, i,
                       limits_.most_classes - 1);
      }
      data.labels[i] = static_cast<int32_t>(label);
      dataset_.num_classes = std::max(dataset_.num_classes, static_cast<int>(label) + 1);
    }
    return absl::OkStatus();
  }

  absl::Status TakeValFromTrain() {
    const SplitData all = std::move(dataset_.train);
    if (all.count < 2) {
      return Invalid("array 'x_train' has {} sample; without 'x_val' needed at least 2", all.count);
    }
    const SampleSplit split = TakeVal(all.count);
    dataset_.train = Select(all, split.train);
    dataset_.val = Select(all, split.val);
    dataset_.val_taken_from_train = true;
    return absl::OkStatus();
  }

  SplitData Select(const SplitData& all, const std::vector<int64_t>& indices) const {
    const int64_t size = dataset_.sample_shape.elements();
    SplitData selected;
    selected.count = static_cast<int64_t>(indices.size());
    const auto copy = [](const auto& from, auto& to, int64_t index, int64_t size) {
      if (from.empty()) return;
      const auto begin = from.begin() + index * size;
      to.insert(to.end(), begin, begin + size);
    };
    if (!all.bytes.empty()) selected.bytes.reserve(indices.size() * size);
    if (!all.floats.empty()) selected.floats.reserve(indices.size() * size);
    for (const int64_t index : indices) {
      copy(all.bytes, selected.bytes, index, size);
      copy(all.floats, selected.floats, index, size);
      copy(all.labels, selected.labels, index, 1);
      copy(all.targets, selected.targets, index, dataset_.target_elements);
    }
    return selected;
  }

  absl::Status ReadPreparation() {
    InputPreparation& preparation = dataset_.preparation;
    std::vector<double> scale{preparation.scale};
    MICO_RETURN_IF_ERROR(ReadNumbers("scale", 1, scale));
    preparation.scale = scale[0];
    MICO_RETURN_IF_ERROR(DecideOnSignals());
    const int64_t channels = dataset_.sample_shape.channels;
    MICO_RETURN_IF_ERROR(ReadNumbers("mean", channels, preparation.mean));
    MICO_RETURN_IF_ERROR(ReadNumbers("std", channels, preparation.std));
    MICO_RETURN_IF_ERROR(CheckPreparation(preparation, "array"));
    return CheckPreparedFinite(dataset_);
  }

  // A mean or std for each row of (N, A, B) samples says that the rows are channels of signals.
  absl::Status DecideOnSignals() {
    for (const std::string name : {"mean", "std"}) {
      if (!may_be_signals_ || !Has(name)) continue;
      MICO_ASSIGN_OR_RETURN(const NpyArray array, Array(name));
      Shape& sample = dataset_.sample_shape;
      if (array.elements() == 1 || array.elements() != sample.height) continue;
      sample = {sample.height, 1, sample.width};
      may_be_signals_ = false;
    }
    return absl::OkStatus();
  }

  // Reads a scalar or one number per channel into `numbers`; leaves it alone if there is no array.
  absl::Status ReadNumbers(const std::string& name, int64_t most,
                           std::vector<double>& numbers) const {
    if (!Has(name)) return absl::OkStatus();
    MICO_ASSIGN_OR_RETURN(const NpyArray array, Array(name));
    if (array.elements() != 1 && array.elements() != most) {
      return Invalid("array '{}' has shape {}; needed a scalar{}", name, ShapeText(array.shape),
                     most > 1 ? fmt::format(" or one number for each of {} channels", most) : "");
    }
    numbers.clear();
    for (int64_t i = 0; i < array.elements(); ++i) numbers.push_back(array.Number(i));
    return absl::OkStatus();
  }

  std::map<std::string, std::string> entries_;
  const DatasetLimits limits_;
  Dataset dataset_;
  bool has_shape_ = false;
  bool may_be_signals_ = false;  // all samples are (N, A, B)
};

}  // namespace

absl::StatusOr<Dataset> ParseNpz(std::string_view bytes, const DatasetLimits& limits) {
  MICO_ASSIGN_OR_RETURN(auto entries,
                        UnpackZip(bytes, kEntries, MostUnpackedBytes(limits, bytes.size())));
  if (entries.empty()) {
    return Invalid(
        "no array named x_train, y_train, x_test or y_test; an .npz of numpy.savez has them");
  }
  MICO_ASSIGN_OR_RETURN(Dataset dataset, NpzReader(std::move(entries), limits).Read());
  dataset.digest = Digest::Of(bytes);
  return dataset;
}

}  // namespace mico
