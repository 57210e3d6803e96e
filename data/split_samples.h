#pragma once

#include <cstdint>
#include <vector>

namespace mico {

// Which samples go where when a data set does not say; part of the format
// (docs/formats/dataset.md): a seeded shuffle, so everybody gets the same.
struct SampleSplit {
  std::vector<int64_t> train, val, test;
};

// The last tenth of the shuffle, at least one sample, is val; the rest is train. At least 2.
SampleSplit TakeVal(int64_t count);

// The last tenth of the shuffle, at least one sample, is test, the tenth before it val. At least 3.
SampleSplit TakeValAndTest(int64_t count);

}  // namespace mico
