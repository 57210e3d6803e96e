#include "data/image_layout.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "data/split_samples.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr std::string_view kNeeded =
    "needed train/CLASS/FILE, test/CLASS/FILE and perhaps val/CLASS/FILE, or CLASS/FILE throughout";

// Files of each class of one split, in the order of their names.
using ClassFiles = std::map<std::string, std::vector<size_t>>;

template <typename... Args>
absl::Status Invalid(fmt::format_string<Args...> format, Args&&... args) {
  return absl::InvalidArgumentError(fmt::format(format, std::forward<Args>(args)...));
}

bool IsSplitName(std::string_view name) {
  return name == "train" || name == "val" || name == "test";
}

absl::StatusOr<std::vector<std::string>> PartsOf(const std::string& path) {
  const std::vector<std::string> parts = absl::StrSplit(path, '/');
  for (const std::string& part : parts) {
    if (part.empty() || part == "." || part == ".." || !IsPlainText(part)) {
      return Invalid("entry '{}': needed a plain relative name in UTF-8", PrintableLine(path));
    }
  }
  return parts;
}

class Planner {
 public:
  Planner(const std::vector<FolderEntry>& entries, const DatasetLimits& limits)
      : entries_(entries), limits_(limits) {}

  absl::StatusOr<ImageLayout> Plan() {
    MICO_RETURN_IF_ERROR(SortEntries());
    for (const size_t index : sorted_) MICO_RETURN_IF_ERROR(Place(index));
    MICO_RETURN_IF_ERROR(NameClasses());
    if (has_splits_) {
      MICO_RETURN_IF_ERROR(FillGivenSplits());
    } else {
      MICO_RETURN_IF_ERROR(SplitClasses());
    }
    return std::move(layout_);
  }

 private:
  // By name, so that the order in an archive does not matter.
  absl::Status SortEntries() {
    if (static_cast<int64_t>(entries_.size()) > limits_.most_image_files) {
      return absl::ResourceExhaustedError(
          fmt::format("{} files; needed at most {}", entries_.size(), limits_.most_image_files));
    }
    sorted_.resize(entries_.size());
    for (size_t i = 0; i < sorted_.size(); ++i) sorted_[i] = i;
    const auto path = [&](size_t index) -> const std::string& { return entries_[index].path; };
    std::sort(sorted_.begin(), sorted_.end(),
              [&](size_t a, size_t b) { return path(a) < path(b); });
    const auto twice = std::adjacent_find(sorted_.begin(), sorted_.end(),
                                          [&](size_t a, size_t b) { return path(a) == path(b); });
    if (twice == sorted_.end()) return absl::OkStatus();
    return Invalid("two entries are named '{}'", PrintableLine(path(*twice)));
  }

  absl::Status Place(size_t index) {
    const FolderEntry& entry = entries_[index];
    if (entry.path == kPreparationFile && !entry.is_folder) return absl::OkStatus();
    MICO_ASSIGN_OR_RETURN(const std::vector<std::string> parts, PartsOf(entry.path));
    const bool in_split = IsSplitName(parts[0]);
    (in_split ? has_splits_ : has_bare_classes_) = true;
    if (has_splits_ && has_bare_classes_) {
      return Invalid("'{}' lies {} a folder train, val or test, others do not; {}", entry.path,
                     in_split ? "in" : "outside of", kNeeded);
    }
    const size_t folders = parts.size() - (entry.is_folder ? 0 : 1);
    const size_t class_depth = in_split ? 2 : 1;
    if (folders > class_depth || (!entry.is_folder && folders < class_depth)) {
      return Invalid("'{}' lies {}; {}", entry.path,
                     folders > class_depth ? "too deep" : "in no class folder", kNeeded);
    }
    if (folders < class_depth) return absl::OkStatus();  // the folder of a split
    std::vector<size_t>& files = SplitNamed(in_split ? parts[0] : "")[parts[class_depth - 1]];
    if (!entry.is_folder) files.push_back(index);
    return absl::OkStatus();
  }

  ClassFiles& SplitNamed(const std::string& name) { return splits_[name]; }

  absl::Status NameClasses() {
    std::set<std::string> names;
    for (const auto& [split, classes] : splits_) {
      for (const auto& [name, files] : classes) names.insert(name);
    }
    if (names.empty()) return Invalid("no class folder; {}", kNeeded);
    if (names.size() == 1) {
      return Invalid("one class folder, '{}'; needed at least two", *names.begin());
    }
    if (static_cast<int>(names.size()) > limits_.most_classes) {
      return absl::ResourceExhaustedError(
          fmt::format("{} class folders; needed at most {}", names.size(), limits_.most_classes));
    }
    layout_.classes.assign(names.begin(), names.end());
    return absl::OkStatus();
  }

  int32_t LabelOf(const std::string& name) const {
    const auto found = std::lower_bound(layout_.classes.begin(), layout_.classes.end(), name);
    return static_cast<int32_t>(found - layout_.classes.begin());
  }

  absl::StatusOr<std::vector<LabelledFile>> FilesOf(const std::string& split) {
    std::vector<LabelledFile> files;
    for (const auto& [name, indices] : SplitNamed(split)) {
      for (const size_t index : indices) files.push_back({index, LabelOf(name)});
    }
    if (files.empty()) return Invalid("no image in folder '{}'; {}", split, kNeeded);
    return files;
  }

  absl::Status FillGivenSplits() {
    MICO_ASSIGN_OR_RETURN(layout_.train, FilesOf("train"));
    MICO_ASSIGN_OR_RETURN(layout_.test, FilesOf("test"));
    if (splits_.contains("val")) {
      MICO_ASSIGN_OR_RETURN(layout_.val, FilesOf("val"));
      return absl::OkStatus();
    }
    if (layout_.train.size() < 2) {
      return Invalid("one image in folder 'train'; without 'val' needed at least 2");
    }
    const std::vector<LabelledFile> all = std::move(layout_.train);
    const SampleSplit split = TakeVal(static_cast<int64_t>(all.size()));
    layout_.train = Select(all, split.train);
    layout_.val = Select(all, split.val);
    layout_.val_taken_from_train = true;
    return absl::OkStatus();
  }

  // Class by class, so that each has its share everywhere and none depends on another.
  absl::Status SplitClasses() {
    bool any = false;
    for (const auto& [name, indices] : SplitNamed("")) {
      if (indices.empty()) continue;
      any = true;
      if (indices.size() < 3) {
        return Invalid("class '{}' has {} image{}; to be split into train, val and test needed 3",
                       name, indices.size(), indices.size() == 1 ? "" : "s");
      }
      std::vector<LabelledFile> all;
      for (const size_t index : indices) all.push_back({index, LabelOf(name)});
      const SampleSplit split = TakeValAndTest(static_cast<int64_t>(all.size()));
      Append(Select(all, split.train), layout_.train);
      Append(Select(all, split.val), layout_.val);
      Append(Select(all, split.test), layout_.test);
    }
    if (!any) return Invalid("no image in any class folder; {}", kNeeded);
    layout_.val_taken_from_train = layout_.test_taken_from_train = true;
    return absl::OkStatus();
  }

  static std::vector<LabelledFile> Select(const std::vector<LabelledFile>& all,
                                          const std::vector<int64_t>& indices) {
    std::vector<LabelledFile> selected;
    selected.reserve(indices.size());
    for (const int64_t index : indices) selected.push_back(all[index]);
    return selected;
  }

  static void Append(const std::vector<LabelledFile>& from, std::vector<LabelledFile>& to) {
    to.insert(to.end(), from.begin(), from.end());
  }

  const std::vector<FolderEntry>& entries_;
  const DatasetLimits& limits_;
  std::vector<size_t> sorted_;
  std::map<std::string, ClassFiles> splits_;  // "" for a folder of classes
  bool has_splits_ = false, has_bare_classes_ = false;
  ImageLayout layout_;
};

}  // namespace

absl::StatusOr<ImageLayout> PlanImages(const std::vector<FolderEntry>& entries,
                                       const DatasetLimits& limits) {
  return Planner(entries, limits).Plan();
}

}  // namespace mico
