#include "data/dataset.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "fmt/format.h"

namespace mico {
namespace {

// The least stored value of each channel.
std::vector<double> LeastStored(const Dataset& dataset) {
  const int64_t channels = dataset.sample_shape.channels;
  const int64_t plane = dataset.sample_shape.height * dataset.sample_shape.width;
  std::vector<double> least(channels, std::numeric_limits<double>::infinity());
  const auto scan = [&](const auto& values) {
    for (size_t begin = 0; begin < values.size(); begin += plane) {
      double& slot = least[begin / plane % channels];
      const auto first = values.begin() + static_cast<ptrdiff_t>(begin);
      slot = std::min<double>(slot, *std::min_element(first, first + plane));
    }
  };
  for (const SplitData* split : {&dataset.train, &dataset.val, &dataset.test}) {
    scan(split->bytes);
    scan(split->floats);
  }
  return least;
}

std::vector<int64_t> LongExtents(const Shape& shape) {
  std::vector<int64_t> extents{shape.channels, shape.height, shape.width};
  std::erase(extents, 1);
  return extents;
}

// The variance of each of `elements` numbers over the samples, in two passes.
template <typename T>
std::vector<double> Variances(const std::vector<T>& values, int64_t elements) {
  const size_t count = values.size() / elements;
  const auto samples = static_cast<double>(count);
  std::vector<double> means(elements), variances(elements);
  for (size_t i = 0; i < values.size(); ++i) means[i % elements] += values[i];
  for (double& mean : means) mean /= samples;
  for (size_t i = 0; i < values.size(); ++i) {
    const double distance = values[i] - means[i % elements];
    variances[i % elements] += distance * distance;
  }
  for (double& variance : variances) variance /= samples;
  return variances;
}

std::string DescribeAnswers(const Dataset& dataset) {
  return dataset.target_elements == 0 ? fmt::format("{} classes", dataset.num_classes)
                                      : fmt::format("{} float32 targets", dataset.target_elements);
}

}  // namespace

bool HaveSameExtents(const Shape& stored, const Shape& input) {
  return LongExtents(stored) == LongExtents(input);
}

int64_t Dataset::PreparationChannels() const {
  return static_cast<int64_t>(std::max(preparation.mean.size(), preparation.std.size()));
}

absl::Status CheckReadableAs(const Dataset& dataset, const Shape& input) {
  return CheckReadableAs(dataset.sample_shape, dataset.PreparationChannels(), input);
}

absl::Status CheckReadableAs(const Shape& stored, int64_t channels, const Shape& input) {
  if (!HaveSameExtents(stored, input)) {
    return absl::InvalidArgumentError(fmt::format(
        "the data set's samples are {}; the network reads {}", ToString(stored), ToString(input)));
  }
  if (channels > 1 && channels != input.channels) {
    return absl::InvalidArgumentError(
        fmt::format("the data set has a mean or std for each of {} channels of its {} samples; the "
                    "network reads {}",
                    channels, ToString(stored), ToString(input)));
  }
  return absl::OkStatus();
}

std::string_view ToString(Split split) {
  switch (split) {
    case Split::kTrain:
      return "train";
    case Split::kVal:
      return "val";
    case Split::kTest:
      return "test";
  }
  return "?";
}

double InputPreparation::Apply(double stored, int64_t channel) const {
  const double channel_mean = mean.size() == 1 ? mean[0] : mean[channel];
  const double channel_std = std.size() == 1 ? std[0] : std[channel];
  return static_cast<float>((stored * scale - channel_mean) / channel_std);
}

const SplitData& Dataset::split(Split which) const {
  switch (which) {
    case Split::kTrain:
      return train;
    case Split::kVal:
      return val;
    case Split::kTest:
      break;
  }
  return test;
}

std::vector<float> Dataset::Prepared(Split which, int64_t index) const {
  const SplitData& data = split(which);
  const int64_t plane = sample_shape.height * sample_shape.width;
  const int64_t begin = index * sample_shape.elements();
  std::vector<float> prepared(sample_shape.elements());
  for (int64_t i = 0; i < sample_shape.elements(); ++i) {
    const double stored = is_uint8 ? data.bytes[begin + i] : data.floats[begin + i];
    prepared[i] = static_cast<float>(preparation.Apply(stored, i / plane));
  }
  return prepared;
}

std::vector<float> Dataset::Target(Split which, int64_t index) const {
  if (target_elements == 0) return Prepared(which, index);
  const auto first = split(which).targets.begin() + index * target_elements;
  return {first, first + target_elements};
}

double Dataset::TargetVariance(Split which) const {
  const SplitData& data = split(which);
  if (target_elements > 0) {
    const std::vector<double> variances = Variances(data.targets, target_elements);
    return std::accumulate(variances.begin(), variances.end(), 0.0) /
           static_cast<double>(target_elements);
  }
  const int64_t elements = sample_shape.elements();
  const int64_t plane = sample_shape.height * sample_shape.width;
  // Of what is stored; preparation only moves and stretches it, channel by channel.
  const std::vector<double> stored =
      is_uint8 ? Variances(data.bytes, elements) : Variances(data.floats, elements);
  double sum = 0.0;
  for (int64_t i = 0; i < elements; ++i) {
    const double deviation =
        preparation.std.size() == 1 ? preparation.std[0] : preparation.std[i / plane];
    const double stretch = preparation.scale / deviation;
    sum += stored[i] * stretch * stretch;
  }
  return sum / static_cast<double>(elements);
}

bool Dataset::PreparedNonNegative() const {
  // Scale and deviation are positive, so the least stored value gives the least prepared one.
  const std::vector<double> least = LeastStored(*this);
  for (size_t channel = 0; channel < least.size(); ++channel) {
    if (preparation.Apply(least[channel], static_cast<int64_t>(channel)) < 0.0) return false;
  }
  return true;
}

std::string Describe(const Dataset& dataset) {
  return fmt::format("{}{} {}, {}; {} train, {} val{}, {} test{}",
                     dataset.source == DatasetSource::kImages ? "images of " : "",
                     ToString(dataset.sample_shape), dataset.is_uint8 ? "uint8" : "float32",
                     DescribeAnswers(dataset), dataset.train.count, dataset.val.count,
                     dataset.val_taken_from_train && !dataset.test_taken_from_train
                         ? " (the last tenth of train, shuffled)"
                         : "",
                     dataset.test.count,
                     dataset.test_taken_from_train ? " (each class shuffled and split)" : "");
}

}  // namespace mico
