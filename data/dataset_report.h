#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace mico {

struct ClassReport {
  std::string name;  // of images; else empty
  int64_t train = 0, val = 0, test = 0;
};

struct SplitReport {
  Split split = Split::kTrain;
  int64_t samples = 0;
  int64_t classes = 0;  // that have a sample
  std::string origin;   // "x_val", "folder val", "the last tenth of train, shuffled"
};

// Over all samples of all splits; the deviation is that of a population.
struct ValueRange {
  double least = 0.0, most = 0.0, mean = 0.0, deviation = 0.0;
};

struct ChannelReport {
  ValueRange stored, prepared;
};

// What was understood of a data set, for people to check before they believe an accuracy.
struct DatasetReport {
  std::vector<ClassReport> classes;  // by label
  std::vector<SplitReport> splits;   // train, val, test
  // One per channel; a single one over all of them where there are more than kMostChannels, as in
  // sets of features.
  std::vector<ChannelReport> channels;
  bool prepared_non_negative = false;
  std::vector<std::string> warnings;  // one sentence each

  static constexpr int64_t kMostChannels = 16;
};

DatasetReport Inspect(const Dataset& dataset);

}  // namespace mico
