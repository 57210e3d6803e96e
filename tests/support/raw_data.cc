#include "tests/support/raw_data.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr size_t kCifarRecord = 1 + 3 * 32 * 32;

uint32_t BigEndian(const std::string& bytes, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])); };
  return byte(at) << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 | byte(at + 3);
}

// Images (rank 3) and labels (rank 1) of two IDX files.
absl::StatusOr<SplitData> ReadIdxPair(const std::filesystem::path& folder,
                                      const std::string& name) {
  MICO_ASSIGN_OR_RETURN(const std::string images,
                        ReadGzip(folder / (name + "-images-idx3-ubyte.gz")));
  MICO_ASSIGN_OR_RETURN(const std::string labels,
                        ReadGzip(folder / (name + "-labels-idx1-ubyte.gz")));
  if (images.size() < 16 || BigEndian(images, 0) != 0x803 || labels.size() < 8 ||
      BigEndian(labels, 0) != 0x801) {
    return absl::InvalidArgumentError(fmt::format("{}: not a pair of IDX files", name));
  }
  SplitData data;
  data.count = BigEndian(images, 4);
  const uint64_t size = uint64_t{BigEndian(images, 8)} * BigEndian(images, 12);
  if (images.size() != 16 + data.count * size ||
      labels.size() != 8 + static_cast<uint64_t>(data.count)) {
    return absl::InvalidArgumentError(fmt::format("{}: sizes do not agree", name));
  }
  data.bytes.assign(images.begin() + 16, images.end());
  data.labels.assign(labels.begin() + 8, labels.end());
  return data;
}

absl::StatusOr<SplitData> ReadCifarBatch(const std::filesystem::path& path) {
  MICO_ASSIGN_OR_RETURN(const std::string bytes, ReadGzip(path));
  if (bytes.empty() || bytes.size() % kCifarRecord != 0) {
    return absl::InvalidArgumentError(fmt::format("{}: {} bytes are not whole records of {}",
                                                  path.string(), bytes.size(), kCifarRecord));
  }
  SplitData data;
  data.count = static_cast<int64_t>(bytes.size() / kCifarRecord);
  for (size_t begin = 0; begin < bytes.size(); begin += kCifarRecord) {
    data.labels.push_back(static_cast<uint8_t>(bytes[begin]));
    data.bytes.insert(data.bytes.end(), bytes.begin() + begin + 1,
                      bytes.begin() + begin + kCifarRecord);
  }
  return data;
}

SplitData Part(const SplitData& all, int64_t sample_size, int64_t first, int64_t last) {
  SplitData part;
  part.count = last - first;
  if (!all.bytes.empty()) {
    part.bytes.assign(all.bytes.begin() + first * sample_size,
                      all.bytes.begin() + last * sample_size);
  }
  part.labels.assign(all.labels.begin() + first, all.labels.begin() + last);
  return part;
}

Dataset Assemble(SplitData train, const SplitData& test, const Shape& shape,
                 const std::string& name) {
  Dataset dataset;
  dataset.sample_shape = shape;
  dataset.is_uint8 = true;
  dataset.num_classes = 10;
  dataset.train = std::move(train);
  dataset.val = Part(test, shape.elements(), 0, test.count / 2);
  dataset.test = Part(test, shape.elements(), test.count / 2, test.count);
  dataset.digest = Digest::Of(name);
  return dataset;
}

constexpr int kSide = 28;
constexpr int64_t kMnistPixels = int64_t{kSide} * kSide;

// One element of a bilinear resize along one axis: which elements it reads, and how much of each.
struct Taps {
  int first = 0;
  std::vector<float> weights;
};

// A triangle over the neighbours; where the result is smaller it is as wide as what becomes one
// element, so that nothing is skipped.
Taps TapsAt(int out, int size) {
  const float scale = static_cast<float>(kSide) / static_cast<float>(size);
  const float reach = std::max(scale, 1.0f);
  const float center = (static_cast<float>(out) + 0.5f) * scale;
  Taps taps{.first = kSide};
  float sum = 0.0f;
  for (int i = 0; i < kSide; ++i) {
    const float weight = 1.0f - std::fabs(static_cast<float>(i) + 0.5f - center) / reach;
    if (weight <= 0.0f) continue;
    taps.first = std::min(taps.first, i);
    taps.weights.push_back(weight);
    sum += weight;
  }
  for (float& weight : taps.weights) weight /= sum;
  return taps;
}

// Lines of 28 to lines of `size`; element i of line l is at l * line_step + i * step of `in`.
std::vector<uint8_t> ResizeLines(const uint8_t* in, int lines, int line_step, int step, int size) {
  std::vector<Taps> all;
  all.reserve(static_cast<size_t>(size));
  for (int i = 0; i < size; ++i) all.push_back(TapsAt(i, size));
  std::vector<uint8_t> out;
  for (int line = 0; line < lines; ++line) {
    for (const Taps& taps : all) {
      const uint8_t* from = in + ptrdiff_t{line} * line_step + ptrdiff_t{taps.first} * step;
      float sum = 0.0f;
      for (size_t i = 0; i < taps.weights.size(); ++i) {
        sum += taps.weights[i] * from[static_cast<ptrdiff_t>(i) * step];
      }
      out.push_back(static_cast<uint8_t>(std::floor(sum + 0.5f)));
    }
  }
  return out;
}

// Along rows, then along columns, rounded to bytes both times: what imaging libraries do, and what
// MANIFEST.md was measured with (to 32 without rounding 99.08 % instead of 99.07 %). Of the result
// `margin` elements are cut away on each side.
void Resize(SplitData& data, int size, int margin) {
  std::vector<uint8_t> resized;
  for (int64_t sample = 0; sample < data.count; ++sample) {
    const std::vector<uint8_t> wide =
        ResizeLines(&data.bytes[sample * kSide * kSide], kSide, kSide, 1, size);
    const std::vector<uint8_t> columns = ResizeLines(wide.data(), size, 1, size, size);
    for (int row = margin; row < size - margin; ++row) {
      for (int column = margin; column < size - margin; ++column) {
        resized.push_back(columns[column * size + row]);
      }
    }
  }
  data.bytes = std::move(resized);
}

}  // namespace

std::optional<std::filesystem::path> DataFolder(const std::filesystem::path& source_folder) {
  const char* named = std::getenv("MICO_TEST_DATA");
  const std::filesystem::path folder =
      named != nullptr ? std::filesystem::path(named) : source_folder / ".." / "shared" / "data";
  if (!std::filesystem::exists(folder / "MANIFEST.md")) return std::nullopt;
  return folder;
}

absl::StatusOr<std::string> ReadGzip(const std::filesystem::path& path) {
  const gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) {
    return absl::NotFoundError(fmt::format("{} cannot be opened", path.string()));
  }
  std::string content;
  std::string chunk(1 << 20, '\0');
  int got = 0;
  while ((got = gzread(file, chunk.data(), static_cast<unsigned>(chunk.size()))) > 0) {
    content.append(chunk, 0, got);
  }
  gzclose(file);
  if (got < 0) return absl::DataLossError(fmt::format("{} is not a gzip file", path.string()));
  return content;
}

namespace {

constexpr int kCifarBatches = 5;
constexpr int64_t kMnistImages = 60'000;

absl::StatusOr<Dataset> LoadCifarBatches(const std::filesystem::path& data_folder, int batches) {
  SplitData train;
  for (int number = 1; number <= batches; ++number) {
    const std::string name = fmt::format("data_batch_{}.bin.gz", number);
    MICO_ASSIGN_OR_RETURN(const SplitData batch, ReadCifarBatch(data_folder / "cifar10" / name));
    train.bytes.insert(train.bytes.end(), batch.bytes.begin(), batch.bytes.end());
    train.labels.insert(train.labels.end(), batch.labels.begin(), batch.labels.end());
    train.count += batch.count;
  }
  MICO_ASSIGN_OR_RETURN(const SplitData test,
                        ReadCifarBatch(data_folder / "cifar10" / "test_batch.bin.gz"));
  Dataset dataset = Assemble(std::move(train), test, {3, 32, 32}, "cifar10");
  dataset.preparation = {
      .scale = 1.0 / 255.0, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}};
  return dataset;
}

}  // namespace

absl::StatusOr<Dataset> LoadCifar10(const std::filesystem::path& data_folder) {
  return LoadCifarBatches(data_folder, 1);
}

absl::StatusOr<Dataset> LoadWholeCifar10(const std::filesystem::path& data_folder) {
  return LoadCifarBatches(data_folder, kCifarBatches);
}

namespace {

absl::StatusOr<Dataset> LoadMnistPart(const std::filesystem::path& data_folder,
                                      int64_t training_images) {
  MICO_ASSIGN_OR_RETURN(const SplitData train, ReadIdxPair(data_folder / "mnist", "train"));
  MICO_ASSIGN_OR_RETURN(const SplitData test, ReadIdxPair(data_folder / "mnist", "t10k"));
  return Assemble(Part(train, kMnistPixels, 0, std::min(training_images, train.count)), test,
                  {1, 28, 28}, "mnist");
}

absl::StatusOr<Dataset> LoadMnist32Part(const std::filesystem::path& data_folder,
                                        int64_t training_images) {
  MICO_ASSIGN_OR_RETURN(Dataset dataset, LoadMnistPart(data_folder, training_images));
  for (SplitData* split : {&dataset.train, &dataset.val, &dataset.test}) Resize(*split, 32, 0);
  dataset.sample_shape = {1, 32, 32};
  dataset.preparation.scale = 1.0 / 255.0;
  dataset.digest = Digest::Of("mnist32");
  return dataset;
}

}  // namespace

absl::StatusOr<Dataset> LoadMnist(const std::filesystem::path& data_folder) {
  return LoadMnistPart(data_folder, 10'000);
}

absl::StatusOr<Dataset> LoadMnist32(const std::filesystem::path& data_folder) {
  return LoadMnist32Part(data_folder, 2'000);
}

absl::StatusOr<Dataset> LoadWholeMnist32(const std::filesystem::path& data_folder) {
  return LoadMnist32Part(data_folder, kMnistImages);
}

absl::StatusOr<Dataset> LoadMnistFlat(const std::filesystem::path& data_folder) {
  MICO_ASSIGN_OR_RETURN(Dataset dataset, LoadMnist(data_folder));
  dataset.sample_shape = {kMnistPixels, 1, 1};
  dataset.preparation.scale = 1.0 / 255.0;
  dataset.digest = Digest::Of("mnist-flat");
  return dataset;
}

absl::StatusOr<Dataset> LoadMnistBinary14(const std::filesystem::path& data_folder) {
  // The first byte above 0.3 of 255.
  constexpr uint8_t kFirstWhite = 77;
  MICO_ASSIGN_OR_RETURN(Dataset dataset, LoadMnist(data_folder));
  dataset.train = Part(dataset.train, kMnistPixels, 0, 2'000);
  for (SplitData* split : {&dataset.train, &dataset.val, &dataset.test}) {
    Resize(*split, 16, 1);
    for (uint8_t& byte : split->bytes) byte = byte >= kFirstWhite ? 1 : 0;
  }
  dataset.sample_shape = {1, 14, 14};
  dataset.digest = Digest::Of("mnist-binary-14");
  return dataset;
}

}  // namespace mico
