#include "proto/messages.h"

#include <array>

#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mico {
namespace {

constexpr std::array<std::string_view, 2> kOptimizers{"adamw", "sgd"};
constexpr std::array<std::string_view, 4> kAugmentations{"auto", "none", "shift", "shift+flip"};

template <typename Choice, size_t n>
absl::StatusOr<Choice> ParseChoice(const std::array<std::string_view, n>& names,
                                   std::string_view what, std::string_view name) {
  for (size_t i = 0; i < n; ++i) {
    if (names[i] == name) return static_cast<Choice>(i);
  }
  return absl::InvalidArgumentError(
      fmt::format("{} '{}'; known: {}", what, name.substr(0, 80), fmt::join(names, ", ")));
}

}  // namespace

std::string_view KindOf(const Task& task) {
  constexpr std::string_view kNames[] = {"calibrate", "profile",     "evaluate", "artifact",
                                         "convert",   "reconstruct", "train"};
  return kNames[task.index()];
}

std::string_view ToString(PtqMode mode) {
  return mode == PtqMode::kReconstruct ? "reconstruct" : "fast";
}

std::string_view ToString(Optimizer optimizer) {
  return kOptimizers[static_cast<size_t>(optimizer)];
}
absl::StatusOr<Optimizer> ParseOptimizer(std::string_view name) {
  return ParseChoice<Optimizer>(kOptimizers, "optimizer", name);
}

std::string_view ToString(Augmentation augmentation) {
  return kAugmentations[static_cast<size_t>(augmentation)];
}
absl::StatusOr<Augmentation> ParseAugmentation(std::string_view name) {
  return ParseChoice<Augmentation>(kAugmentations, "augmentation", name);
}

std::string ToString(const QatSpec& qat) {
  switch (qat.mode) {
    case QatMode::kNone:
      return "none";
    case QatMode::kAll:
      return "all";
    case QatMode::kTop:
      return fmt::format("top:{}", qat.top);
  }
  return "none";
}

}  // namespace mico
