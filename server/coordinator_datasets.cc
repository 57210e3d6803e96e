#include <algorithm>
#include <utility>

#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "data/dataset.h"
#include "fmt/format.h"
#include "server/coordinator.h"

namespace mico {
namespace {

constexpr size_t kDigestDigits = 64;
constexpr size_t kShortestPrefix = 4;

// The parser does not know what the thing it reads is called.
absl::Status AboutDataset(const std::string& name, const absl::Status& error) {
  return absl::Status(error.code(), fmt::format("data set '{}': {}", PrintableLine(name),
                                                std::string(error.message())));
}

int64_t CountOnes(const SplitData& split) {
  return std::count(split.labels.begin(), split.labels.end(), 1);
}

}  // namespace

absl::StatusOr<std::pair<Dataset, int64_t>> Coordinator::ParseDatasetBlob(const Digest& digest,
                                                                          const std::string& name) {
  const absl::StatusOr<std::string> file = blobs_.Read(digest);
  if (!file.ok() && file.status().code() == absl::StatusCode::kNotFound) {
    return AboutDataset(name, absl::NotFoundError(fmt::format(
                                  "blob {} is not on this server: upload it", digest.hex())));
  }
  if (!file.ok()) return AboutDataset(name, file.status());
  absl::StatusOr<Dataset> parsed = ParseDataset(*file);
  if (!parsed.ok()) return AboutDataset(name, parsed.status());
  return std::pair(*std::move(parsed), static_cast<int64_t>(file->size()));
}

absl::Status Coordinator::LoadDataset(const JobSpec& spec, CheckedSpec& checked) {
  MICO_ASSIGN_OR_RETURN(const std::optional<DatasetRecord> known, store_.Read([&](StoreView& view) {
    return view.FindDataset(spec.dataset);
  }));
  // One that was read before there were several metrics is read again.
  if (known && known->targets) {
    checked.dataset = *known;
    return absl::OkStatus();
  }
  absl::MutexLock lock(&parsing_);
  MICO_ASSIGN_OR_RETURN(const auto parsed, ParseDatasetBlob(spec.dataset, spec.dataset_name));
  const Dataset& dataset = parsed.first;
  DatasetRecord& record = checked.dataset;
  record.digest = spec.dataset;
  record.name = spec.dataset_name;
  record.description = Describe(dataset);
  record.sample_shape = ToString(dataset.sample_shape);
  record.bytes = parsed.second;
  record.val_samples = dataset.val.count;
  record.test_samples = dataset.test.count;
  record.classes = dataset.num_classes;
  record.input_non_negative = dataset.PreparedNonNegative();
  record.val_taken_from_train = dataset.val_taken_from_train;
  record.created = clock_.Now();
  record.preparation_channels = dataset.PreparationChannels();
  record.warnings = Inspect(dataset).warnings;
  record.targets = TargetFacts{dataset.target_elements, CountOnes(dataset.val),
                               CountOnes(dataset.test), dataset.TargetVariance(Split::kVal)};
  return absl::OkStatus();
}

absl::StatusOr<Digest> Coordinator::ResolveDataset(const std::string& digest) {
  if (digest.size() == kDigestDigits) return Digest::FromHex(digest);
  if (digest.size() < kShortestPrefix || digest.size() > kDigestDigits) {
    return absl::InvalidArgumentError(fmt::format(
        "data set '{}': needed: a digest of {} digits, or at least its first {}",
        PrintableLine(digest.substr(0, kDigestDigits)), kDigestDigits, kShortestPrefix));
  }
  MICO_ASSIGN_OR_RETURN(const std::vector<std::string> digests, store_.Read([&](StoreView& view) {
    return view.FindDatasetDigests(digest, 3);
  }));
  if (digests.empty()) {
    return absl::NotFoundError(fmt::format(
        "data set '{}': no job has used one; see `mico-cli datasets`", PrintableLine(digest)));
  }
  if (digests.size() > 1) {
    return absl::InvalidArgumentError(fmt::format(
        "data set '{}': more than one: {}", PrintableLine(digest), absl::StrJoin(digests, ", ")));
  }
  return Digest::FromHex(digests[0]);
}

absl::StatusOr<DatasetDescription> Coordinator::DescribeDataset(const std::string& digest_text,
                                                                const std::string& name) {
  MICO_ASSIGN_OR_RETURN(const Digest digest, ResolveDataset(digest_text));
  DatasetDescription description;
  description.name = name;
  if (name.empty()) {
    MICO_ASSIGN_OR_RETURN(const std::optional<DatasetRecord> known,
                          store_.Read([&](StoreView& view) { return view.FindDataset(digest); }));
    description.name = known ? known->name : digest.ShortHex();
  }
  absl::MutexLock lock(&parsing_);
  MICO_ASSIGN_OR_RETURN(auto parsed, ParseDatasetBlob(digest, description.name));
  description.bytes = parsed.second;
  description.report = Inspect(parsed.first);
  description.dataset = std::move(parsed.first);
  description.dataset.train = description.dataset.val = description.dataset.test = {};
  return description;
}

}  // namespace mico
