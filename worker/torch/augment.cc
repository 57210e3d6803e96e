#include "worker/torch/augment.h"

#include <algorithm>
#include <vector>

namespace mico {
namespace {

// Less has no room to be moved in.
constexpr int64_t kLeastExtent = 8;
constexpr int64_t kShareOfExtent = 8;
constexpr int64_t kColours = 3;

// One sample as it is `rows` further down and `columns` further right, mirrored or not.
void Move(const Shape& shape, int64_t rows, int64_t columns, bool mirrored, const float* from,
          float* to) {
  for (int64_t row = 0; row < shape.height; ++row) {
    const int64_t source_row = row - rows;
    const bool has_row = source_row >= 0 && source_row < shape.height;
    for (int64_t column = 0; column < shape.width; ++column, to += shape.channels) {
      const int64_t moved = column - columns;
      if (!has_row || moved < 0 || moved >= shape.width) {
        std::fill_n(to, shape.channels, 0.0f);
        continue;
      }
      const int64_t source = mirrored ? shape.width - 1 - moved : moved;
      std::copy_n(from + (source_row * shape.width + source) * shape.channels, shape.channels, to);
    }
  }
}

}  // namespace

AugmentationRange ChooseAugmentation(const Shape& sample) {
  if (sample.height < kLeastExtent || sample.width < kLeastExtent) return {};
  return {sample.height / kShareOfExtent, sample.width / kShareOfExtent,
          sample.channels == kColours};
}

void Augment(const Shape& sample, const AugmentationRange& range, Random& random,
             std::span<float> samples) {
  if (range.rows == 0 && range.columns == 0 && !range.mirrors) return;
  std::vector<float> original(sample.elements());
  for (size_t begin = 0; begin < samples.size(); begin += original.size()) {
    const auto one = samples.subspan(begin, original.size());
    std::copy(one.begin(), one.end(), original.begin());
    const int64_t rows = random.Between(-range.rows, range.rows);
    const int64_t columns = random.Between(-range.columns, range.columns);
    const bool mirrored = range.mirrors && random.Below(2) == 1;
    Move(sample, rows, columns, mirrored, original.data(), one.data());
  }
}

}  // namespace mico
