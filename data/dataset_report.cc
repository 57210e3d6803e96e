#include "data/dataset_report.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <string_view>

#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mico {
namespace {

constexpr int kByteValues = 256;
constexpr size_t kMostNamed = 5;
constexpr int64_t kUnbalanced = 10;
constexpr int64_t kFewSamples = 100;
// Beyond these, somebody forgot a scale or applied it twice: networks are trained on about -3 to 3.
constexpr double kLargePrepared = 16.0;
constexpr double kSmallPrepared = 0.05;

const SplitData& DataOf(const Dataset& dataset, size_t split) {
  constexpr std::array kSplits{Split::kTrain, Split::kVal, Split::kTest};
  return dataset.split(kSplits[split]);
}

// Sums of many values, taken from the first one so that little is lost.
class RangeBuilder {
 public:
  void Add(double value, double times = 1.0) {
    if (count_ == 0.0) first_ = value;
    least_ = std::min(least_, value);
    most_ = std::max(most_, value);
    const double moved = value - first_;
    count_ += times;
    sum_ += moved * times;
    squares_ += moved * moved * times;
  }

  ValueRange Build() const {
    const double moved_mean = sum_ / count_;
    const double variance = squares_ / count_ - moved_mean * moved_mean;
    return {least_, most_, first_ + moved_mean, std::sqrt(std::max(0.0, variance))};
  }

 private:
  double least_ = std::numeric_limits<double>::infinity();
  double most_ = -std::numeric_limits<double>::infinity();
  double first_ = 0.0, count_ = 0.0, sum_ = 0.0, squares_ = 0.0;
};

// Calls `use` with each stored value and its channel, in the order of memory.
template <typename Use>
void ForEachStored(const Dataset& dataset, Use use) {
  const int64_t channels = dataset.sample_shape.channels;
  const int64_t plane = dataset.sample_shape.height * dataset.sample_shape.width;
  const auto visit = [&](const auto& values) {
    int64_t channel = 0;
    for (size_t begin = 0; begin < values.size(); begin += plane) {
      for (int64_t i = 0; i < plane; ++i) use(values[begin + i], channel);
      channel = channel + 1 == channels ? 0 : channel + 1;
    }
  };
  for (size_t split = 0; split < 3; ++split) {
    const SplitData& data = DataOf(dataset, split);
    dataset.is_uint8 ? visit(data.bytes) : visit(data.floats);
  }
}

struct ChannelBuilder {
  RangeBuilder stored, prepared;
  std::array<int64_t, kByteValues> histogram{};
};

std::vector<ChannelReport> ReportChannels(const Dataset& dataset) {
  const int64_t channels = dataset.sample_shape.channels;
  const bool each = channels <= DatasetReport::kMostChannels;
  std::vector<ChannelBuilder> builders(each ? channels : 1);
  const auto add = [&](double value, int64_t channel, double times) {
    ChannelBuilder& builder = builders[each ? channel : 0];
    builder.stored.Add(value, times);
    builder.prepared.Add(dataset.preparation.Apply(value, channel), times);
  };
  const bool by_histogram = each && dataset.is_uint8;
  ForEachStored(dataset, [&](auto value, int64_t channel) {
    if (by_histogram) {
      ++builders[channel].histogram[static_cast<uint8_t>(value)];
    } else {
      add(value, channel, 1.0);
    }
  });
  std::vector<ChannelReport> reports;
  for (size_t channel = 0; channel < builders.size(); ++channel) {
    for (int value = 0; value < kByteValues; ++value) {
      const int64_t times = builders[channel].histogram[value];
      if (times > 0) add(value, static_cast<int64_t>(channel), static_cast<double>(times));
    }
    reports.push_back({builders[channel].stored.Build(), builders[channel].prepared.Build()});
  }
  return reports;
}

std::vector<ClassReport> CountClasses(const Dataset& dataset) {
  std::vector<ClassReport> classes(dataset.num_classes);
  for (size_t i = 0; i < dataset.class_names.size(); ++i) classes[i].name = dataset.class_names[i];
  for (const int32_t label : dataset.train.labels) ++classes[label].train;
  for (const int32_t label : dataset.val.labels) ++classes[label].val;
  for (const int32_t label : dataset.test.labels) ++classes[label].test;
  return classes;
}

std::string OriginOf(const Dataset& dataset, Split split) {
  if (dataset.test_taken_from_train) {
    const std::string_view part = split == Split::kTrain ? "the rest"
                                  : split == Split::kVal ? "the tenth before it"
                                                         : "the last tenth";
    return fmt::format("{} of each class, shuffled", part);
  }
  if (split == Split::kVal && dataset.val_taken_from_train) {
    return "the last tenth of train, shuffled";
  }
  const bool images = dataset.source == DatasetSource::kImages;
  return fmt::format("{}{}", images ? "folder " : "x_", ToString(split));
}

std::vector<SplitReport> ReportSplits(const Dataset& dataset,
                                      const std::vector<ClassReport>& classes) {
  const auto count = [&](int64_t ClassReport::*member) {
    return std::count_if(classes.begin(), classes.end(),
                         [&](const ClassReport& report) { return report.*member > 0; });
  };
  return {
      {Split::kTrain, dataset.train.count, count(&ClassReport::train),
       OriginOf(dataset, Split::kTrain)},
      {Split::kVal, dataset.val.count, count(&ClassReport::val), OriginOf(dataset, Split::kVal)},
      {Split::kTest, dataset.test.count, count(&ClassReport::test),
       OriginOf(dataset, Split::kTest)}};
}

std::string NameOf(const std::vector<ClassReport>& classes, size_t label) {
  return classes[label].name.empty() ? fmt::format("{}", label)
                                     : fmt::format("'{}'", classes[label].name);
}

// "class 3", "classes 'cat', 'dog' and 7 others".
std::string Listed(const std::vector<ClassReport>& classes, const std::vector<size_t>& labels) {
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min(labels.size(), kMostNamed); ++i) {
    names.push_back(NameOf(classes, labels[i]));
  }
  const size_t others = labels.size() - names.size();
  return fmt::format("{} {}{}", labels.size() == 1 ? "class" : "classes", fmt::join(names, ", "),
                     others > 0 ? fmt::format(" and {} more", others) : "");
}

class Warner {
 public:
  Warner(const Dataset& dataset, const DatasetReport& report)
      : dataset_(dataset), report_(report) {}

  std::vector<std::string> Warn() {
    WarnAboutClasses();
    WarnAboutNames();
    WarnAboutFewSamples();
    WarnAboutRepeats();
    WarnAboutValues();
    return std::move(warnings_);
  }

 private:
  template <typename... Args>
  void Add(fmt::format_string<Args...> format, Args&&... args) {
    warnings_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  template <typename Condition>
  std::vector<size_t> LabelsWhere(Condition condition) const {
    std::vector<size_t> labels;
    for (size_t i = 0; i < report_.classes.size(); ++i) {
      if (condition(report_.classes[i])) labels.push_back(i);
    }
    return labels;
  }

  void WarnAboutClasses() {
    const std::vector<ClassReport>& classes = report_.classes;
    const auto is_empty = [](const ClassReport& one) {
      return one.train + one.val + one.test == 0;
    };
    const auto empty = LabelsWhere(is_empty);
    if (!empty.empty()) Add("no sample of {} in any split", Listed(classes, empty));
    const auto missing = [&](int64_t ClassReport::*member, std::string_view split) {
      const auto labels =
          LabelsWhere([&](const ClassReport& one) { return one.*member == 0 && !is_empty(one); });
      if (!labels.empty()) Add("{} has no sample of {}", split, Listed(classes, labels));
    };
    missing(&ClassReport::train, "train");
    missing(&ClassReport::val, "val");
    missing(&ClassReport::test, "test");
    WarnAboutBalance();
  }

  void WarnAboutBalance() {
    const auto present = LabelsWhere([](const ClassReport& one) { return one.train > 0; });
    if (present.empty()) return;  // y is numbers
    const auto fewer = [&](size_t a, size_t b) {
      return report_.classes[a].train < report_.classes[b].train;
    };
    const auto [least, most] = std::minmax_element(present.begin(), present.end(), fewer);
    const int64_t few = report_.classes[*least].train, many = report_.classes[*most].train;
    if (many < few * kUnbalanced) return;
    Add("train is unbalanced: class {} has {} samples, class {} has {}",
        NameOf(report_.classes, *most), many, NameOf(report_.classes, *least), few);
  }

  // "10" comes before "2": whoever numbered the folders may have expected labels to follow.
  void WarnAboutNames() {
    for (size_t label = 0; label < report_.classes.size(); ++label) {
      const std::string& name = report_.classes[label].name;
      size_t number = 0;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
      if (name.empty() || error != std::errc() || end != name.data() + name.size()) return;
      if (number >= report_.classes.size() || number == label) continue;
      Add("class folders are numbers but sorted as text: '{}' is label {}", name, label);
      return;
    }
  }

  void WarnAboutFewSamples() {
    for (const SplitReport& split : report_.splits) {
      if (split.split == Split::kTrain || split.samples >= kFewSamples) continue;
      Add("{} has {} samples: one of them is {:.1f} points of accuracy", ToString(split.split),
          split.samples, 100.0 / static_cast<double>(split.samples));
    }
  }

  // Hashes of the samples' bytes, sorted: at 10^7 samples one false alarm in 10^5 data sets.
  std::vector<size_t> HashesOf(const SplitData& data) const {
    const auto size = static_cast<size_t>(dataset_.sample_shape.elements()) *
                      (dataset_.is_uint8 ? sizeof(uint8_t) : sizeof(float));
    const char* bytes = dataset_.is_uint8 ? reinterpret_cast<const char*>(data.bytes.data())
                                          : reinterpret_cast<const char*>(data.floats.data());
    std::vector<size_t> hashes;
    for (size_t i = 0; i < static_cast<size_t>(data.count); ++i) {
      hashes.push_back(std::hash<std::string_view>()({bytes + i * size, size}));
    }
    std::sort(hashes.begin(), hashes.end());
    return hashes;
  }

  void WarnAboutRepeats() {
    const auto train = HashesOf(dataset_.train), val = HashesOf(dataset_.val);
    const auto test = HashesOf(dataset_.test);
    const auto compare = [&](const std::vector<size_t>& samples, std::string_view name,
                             const std::vector<size_t>& others, std::string_view other_name) {
      const auto repeated = std::count_if(samples.begin(), samples.end(), [&](size_t hash) {
        return std::binary_search(others.begin(), others.end(), hash);
      });
      if (repeated == 0) return;
      Add("{} of {} {} samples are also in {}: accuracy on them says too much", repeated,
          samples.size(), name, other_name);
    };
    compare(val, "val", train, "train");
    compare(test, "test", train, "train");
    compare(test, "test", val, "val");
  }

  void WarnAboutValues() {
    double least = std::numeric_limits<double>::infinity(), most = -least;
    for (size_t channel = 0; channel < report_.channels.size(); ++channel) {
      const ChannelReport& report = report_.channels[channel];
      if (report.stored.least == report.stored.most) {
        Add("channel {} is {} everywhere", channel, report.stored.least);
      }
      least = std::min(least, report.prepared.least);
      most = std::max(most, report.prepared.most);
    }
    const double magnitude = std::max(std::abs(least), std::abs(most));
    if (magnitude > kLargePrepared) {
      Add("network inputs go from {:.6g} to {:.6g}: unusually large; is scale, mean or std "
          "missing?",
          least, most);
    } else if (magnitude < kSmallPrepared) {
      Add("network inputs go from {:.6g} to {:.6g}: unusually small; are the data scaled twice?",
          least, most);
    }
  }

  const Dataset& dataset_;
  const DatasetReport& report_;
  std::vector<std::string> warnings_;
};

}  // namespace

DatasetReport Inspect(const Dataset& dataset) {
  DatasetReport report;
  report.classes = CountClasses(dataset);
  report.splits = ReportSplits(dataset, report.classes);
  report.channels = ReportChannels(dataset);
  report.prepared_non_negative = dataset.PreparedNonNegative();
  report.warnings = Warner(dataset, report).Warn();
  return report;
}

}  // namespace mico
