#include <optional>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "data/dataset.h"
#include "data/image.h"
#include "data/image_layout.h"
#include "data/preparation.h"
#include "data/tar_archive.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr int64_t kMostPreparationBytes = 64 * 1024;

absl::Status About(const std::string& path, const absl::Status& error) {
  return absl::Status(error.code(), fmt::format("'{}': {}", path, std::string(error.message())));
}

// Where in the data set the image of an entry goes.
struct Place {
  SplitData* split = nullptr;
  int64_t index = 0;
};

// Reads an archive twice: names first, which say what is needed, then images, one at a time, each
// straight into its place. No more is allocated than the data set itself and one image.
class ImagesReader {
 public:
  ImagesReader(std::string_view bytes, const DatasetLimits& limits)
      : bytes_(bytes), limits_(limits) {}

  absl::StatusOr<Dataset> Read() {
    MICO_RETURN_IF_ERROR(ReadNames());
    MICO_ASSIGN_OR_RETURN(ImageLayout layout, PlanImages(entries_, limits_));
    PlaceImages(layout);
    dataset_.source = DatasetSource::kImages;
    dataset_.is_uint8 = true;
    dataset_.num_classes = static_cast<int>(layout.classes.size());
    dataset_.class_names = std::move(layout.classes);
    dataset_.val_taken_from_train = layout.val_taken_from_train;
    dataset_.test_taken_from_train = layout.test_taken_from_train;
    MICO_RETURN_IF_ERROR(ReadFiles());
    if (!preparation_.empty()) {
      MICO_ASSIGN_OR_RETURN(dataset_.preparation,
                            ParsePreparation(preparation_, dataset_.sample_shape.channels));
    }
    MICO_RETURN_IF_ERROR(CheckPreparedFinite(dataset_));
    return std::move(dataset_);
  }

 private:
  absl::Status ReadNames() {
    return VisitTar(bytes_, limits_.most_image_file_bytes, [&](const TarEntry& entry) {
      if (static_cast<int64_t>(entries_.size()) == limits_.most_image_files) {
        return absl::ResourceExhaustedError(
            fmt::format("more than {} files", limits_.most_image_files));
      }
      entries_.push_back({entry.path, entry.is_folder});
      return absl::OkStatus();
    });
  }

  void PlaceImages(const ImageLayout& layout) {
    places_.resize(entries_.size());
    const auto place = [&](const std::vector<LabelledFile>& files, SplitData& split) {
      for (const LabelledFile& file : files) {
        places_[file.entry] = {&split, split.count++};
        split.labels.push_back(file.label);
      }
    };
    place(layout.train, dataset_.train);
    place(layout.val, dataset_.val);
    place(layout.test, dataset_.test);
  }

  absl::Status ReadFiles() {
    size_t index = 0;
    std::string content;
    return VisitTar(bytes_, limits_.most_image_file_bytes, [&](const TarEntry& entry) {
      const Place place = places_[index++];
      if (place.split != nullptr) {
        MICO_RETURN_IF_ERROR(entry.read(content));
        const absl::Status read = ReadImage(entry.path, content, place);
        return read.ok() ? read : About(entry.path, read);
      }
      if (entry.path == kPreparationFile && !entry.is_folder) return ReadPreparation(entry);
      return absl::OkStatus();
    });
  }

  absl::Status ReadPreparation(const TarEntry& entry) {
    if (entry.bytes == 0 || entry.bytes > kMostPreparationBytes) {
      return absl::InvalidArgumentError(fmt::format("'{}' has {} bytes; needed 1 to {}", entry.path,
                                                    entry.bytes, kMostPreparationBytes));
    }
    return entry.read(preparation_);
  }

  absl::Status ReadImage(const std::string& path, std::string_view content, Place place) {
    MICO_ASSIGN_OR_RETURN(const std::unique_ptr<ImageReader> image,
                          OpenImage(content, limits_.most_image_side));
    if (first_path_.empty()) {
      MICO_RETURN_IF_ERROR(Allocate(image->shape()));
      first_path_ = path;
    }
    if (image->shape() != dataset_.sample_shape) {
      return absl::InvalidArgumentError(fmt::format("{}; needed {}, which '{}' is",
                                                    ImageText(image->shape()),
                                                    ImageText(dataset_.sample_shape), first_path_));
    }
    MICO_RETURN_IF_ERROR(image->Read(pixels_.data()));
    ToPlanes(place.split->bytes.data() + place.index * dataset_.sample_shape.elements());
    return absl::OkStatus();
  }

  // The first image says how large all of them are.
  absl::Status Allocate(const Shape& shape) {
    const uint64_t image_bytes = static_cast<uint64_t>(shape.elements());
    const uint64_t images =
        static_cast<uint64_t>(dataset_.train.count + dataset_.val.count + dataset_.test.count);
    const uint64_t most = MostUnpackedBytes(limits_, bytes_.size());
    if (image_bytes > most / images) {
      return absl::ResourceExhaustedError(
          fmt::format("{}, and so {} images unpack to more than {} bytes, the most for an archive "
                      "of {}",
                      ImageText(shape), images, most, bytes_.size()));
    }
    dataset_.sample_shape = shape;
    pixels_.resize(image_bytes);
    for (SplitData* split : {&dataset_.train, &dataset_.val, &dataset_.test}) {
      split->bytes.resize(static_cast<size_t>(split->count) * image_bytes);
    }
    return absl::OkStatus();
  }

  // Channels interleaved become channels one after another.
  void ToPlanes(uint8_t* planes) const {
    const int64_t channels = dataset_.sample_shape.channels;
    const int64_t plane = dataset_.sample_shape.height * dataset_.sample_shape.width;
    for (int64_t channel = 0; channel < channels; ++channel) {
      for (int64_t i = 0; i < plane; ++i) {
        planes[channel * plane + i] = pixels_[i * channels + channel];
      }
    }
  }

  const std::string_view bytes_;
  const DatasetLimits& limits_;
  std::vector<FolderEntry> entries_;
  std::vector<Place> places_;  // parallel to the entries
  std::vector<uint8_t> pixels_;
  std::string first_path_, preparation_;
  Dataset dataset_;
};

}  // namespace

absl::StatusOr<Dataset> ParseImages(std::string_view bytes, const DatasetLimits& limits) {
  MICO_ASSIGN_OR_RETURN(Dataset dataset, ImagesReader(bytes, limits).Read());
  dataset.digest = Digest::Of(bytes);
  return dataset;
}

}  // namespace mico
