#pragma once

#include <cstdint>
#include <span>

#include "base/random.h"
#include "model/graph.h"

namespace mico {

// How far samples are moved and whether they are mirrored when a network is trained, so that it
// sees each differently every time.
struct AugmentationRange {
  int64_t rows = 0, columns = 0;  // moved by at most so many either way
  bool mirrors = false;           // left and right, every other time
};

// Pictures, which have rows and columns, are moved by an eighth of their extents; those in colour
// are mirrored too: what has one channel is often writing or sound, which a mirror makes into
// something else.
AugmentationRange ChooseAugmentation(const Shape& sample);

// Changes `samples`, each [height][width][channels], in place; 0 comes in from outside.
void Augment(const Shape& sample, const AugmentationRange& range, Random& random,
             std::span<float> samples);

}  // namespace mico
