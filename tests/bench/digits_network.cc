#include "tests/bench/digits_network.h"

#include <charconv>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "model/text_form.h"
#include "tests/bench/train_digits.h"
#include "tests/support/raw_data.h"

namespace mico {
namespace {

// Rows of 64 values from 0 to 16 and a label: the first 897 are train, then 600 val, 300 test.
absl::StatusOr<Dataset> LoadDigits(const std::filesystem::path& data) {
  MICO_ASSIGN_OR_RETURN(const std::string text, ReadGzip(data / "digits/digits.csv.gz"));
  std::vector<int> numbers;
  for (const char *at = text.data(), *end = at + text.size(); at < end;) {
    int number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc()) return absl::DataLossError("digits.csv.gz: not numbers");
    numbers.push_back(number);
    at = next + 1;
  }
  constexpr size_t kRow = 65;
  Dataset dataset;
  dataset.sample_shape = {1, 8, 8};
  dataset.is_uint8 = true;
  dataset.num_classes = 10;
  dataset.preparation.scale = 1.0 / 16.0;
  for (size_t row = 0; row < numbers.size() / kRow; ++row) {
    SplitData& split = row < 897 ? dataset.train : row < 1497 ? dataset.val : dataset.test;
    const auto begin = numbers.begin() + static_cast<std::ptrdiff_t>(row * kRow);
    split.bytes.insert(split.bytes.end(), begin, begin + kRow - 1);
    split.labels.push_back(begin[kRow - 1]);
    ++split.count;
  }
  dataset.digest = Digest::Of(text);
  return dataset;
}

}  // namespace

absl::StatusOr<BenchNetwork> LoadDigitsNetwork(const NetworkBenchOptions& options,
                                               TorchEvaluator& evaluator) {
  MICO_ASSIGN_OR_RETURN(Dataset dataset, LoadDigits(options.data));
  const SplitData& train = dataset.train;
  std::vector<float> images;
  for (const uint8_t byte : train.bytes) images.push_back(static_cast<float>(byte) / 16.0f);
  std::vector<DigitsLayer> layers{{1, 16}, {16, 32}, {32, 64, 2}, {64, 64, 2}, {64, 10, 1, 1}};
  TrainDigits(images, {train.labels.begin(), train.labels.end()}, train.count, 8, 1, layers);
  MICO_ASSIGN_OR_RETURN(Graph graph, ParseGraph("input x 1x8x8\n"
                                                "a = Conv(x) k=3x3 p=1,1,1,1 out=16 relu\n"
                                                "b = Conv(a) k=3x3 p=1,1,1,1 out=32 relu\n"
                                                "c = Conv(b) k=3x3 s=2x2 p=1,1,1,1 out=64 relu\n"
                                                "d = Conv(c) k=3x3 s=2x2 p=1,1,1,1 out=64 relu\n"
                                                "mean = AveragePool(d) k=2x2\n"
                                                "e = Conv(mean) k=1x1 out=10\n"
                                                "output e\n"));
  Weights weights;
  for (DigitsLayer& layer : layers) {
    weights.layers.push_back({std::move(layer.weights), std::move(layer.bias)});
  }
  MICO_ASSIGN_OR_RETURN(ModelPackage package,
                        MakeModelPackage(std::move(graph), std::move(weights)));
  return Calibrated("digits", std::move(package), std::move(dataset), 256, evaluator);
}

}  // namespace mico
