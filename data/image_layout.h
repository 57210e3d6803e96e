#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"

namespace mico {

constexpr std::string_view kPreparationFile = "preparation.json";

// One entry of a folder of images. Folders count: a class that has no image keeps its number.
struct FolderEntry {
  std::string path;  // from the folder on: "train/cat/1.png"
  bool is_folder = false;
};

struct LabelledFile {
  size_t entry = 0;  // index of the entry
  int32_t label = 0;
};

// Which image is which sample.
struct ImageLayout {
  std::vector<std::string> classes;  // folder names, sorted by their bytes: label i is classes[i]
  std::vector<LabelledFile> train, val, test;
  bool val_taken_from_train = false, test_taken_from_train = false;
};

// Understands the two layouts of docs/formats/dataset.md, from names alone:
//   train/CLASS/FILE [val/CLASS/FILE] test/CLASS/FILE
//   CLASS/FILE, which is split by a seeded shuffle of each class
// InvalidArgument names the entry, what was found and what was needed.
absl::StatusOr<ImageLayout> PlanImages(const std::vector<FolderEntry>& entries,
                                       const DatasetLimits& limits);

}  // namespace mico
