#include "worker/torch/answer_key.h"

#include <algorithm>
#include <numeric>

namespace mico {
namespace {

// Targets are flattened as ONNX does, channel by channel; tensors have channels last.
std::vector<float> ChannelsFirst(std::span<const float> values, const Shape& shape) {
  const int64_t plane = shape.height * shape.width;
  std::vector<float> result(values.size());
  for (int64_t position = 0; position < plane; ++position) {
    for (int64_t channel = 0; channel < shape.channels; ++channel) {
      result[channel * plane + position] = values[position * shape.channels + channel];
    }
  }
  return result;
}

}  // namespace

std::vector<float> AnswerKey::Target(int64_t i) const {
  if (CountsAnswers(metric_)) return {};
  return dataset_.Target(split_, indices_[i]);
}

double AnswerKey::Judge(int64_t i, std::span<const float> outputs, const Shape& shape, double scale,
                        std::span<const float> target) const {
  if (CountsAnswers(metric_)) {
    return IsAmongLargest(outputs, Label(i), metric_ == Metric::kTop1 ? 1 : 5);
  }
  const bool flat = shape.height * shape.width == 1 || shape.channels == 1;
  return flat ? MeanSquaredDifference(outputs, scale, target)
              : MeanSquaredDifference(ChannelsFirst(outputs, shape), scale, target);
}

Score AnswerKey::Total(std::span<const double> contributions) const {
  if (metric_ == Metric::kMse) return MseScore(contributions);
  if (CountsAnswers(metric_)) {
    const int64_t correct = std::count(contributions.begin(), contributions.end(), 1.0);
    return CountScore(metric_, correct, static_cast<int64_t>(contributions.size()));
  }
  std::vector<int32_t> labels;
  for (const int64_t index : indices_) labels.push_back(dataset_.split(split_).labels[index]);
  return AucScore(contributions, labels);
}

}  // namespace mico
