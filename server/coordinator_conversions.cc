#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "model/model_package.h"
#include "server/coordinator.h"
#include "spdlog/spdlog.h"

namespace mico {
namespace {

std::string ShapeText(const ConvertTask& task) {
  return fmt::format("{}", fmt::join(task.input_shape, "x"));
}

absl::Status About(const std::string& name, const absl::Status& error) {
  return absl::Status(error.code(),
                      fmt::format("model '{}': {}", name, std::string(error.message())));
}

// Its size, if it is there and TorchScript.
absl::StatusOr<int64_t> CheckFile(const BlobStore& blobs, const Digest& digest) {
  const absl::StatusOr<std::unique_ptr<BlobReader>> reader = blobs.NewReader(digest);
  if (!reader.ok()) {
    if (!absl::IsNotFound(reader.status())) return reader.status();
    return absl::NotFoundError(
        fmt::format("{}: upload it", std::string(reader.status().message())));
  }
  MICO_ASSIGN_OR_RETURN(const std::string beginning, (*reader)->Read(0, 4));
  if (IsTorchScript(beginning)) return (*reader)->total_bytes();
  return absl::InvalidArgumentError(
      "not a TorchScript file, which is a zip archive as torch.jit.save() writes it; ONNX files "
      "need no conversion");
}

}  // namespace

bool IsTorchScript(std::string_view file) { return file.starts_with("PK\x03\x04"); }

ModelRecord Coordinator::DescribeModel(const ModelPackage& package) {
  ModelRecord record;
  record.digest = record.package = package.digest;
  record.input_shape = ToString(package.graph.values[package.graph.input].shape);
  const std::vector<int> nodes = package.graph.QuantizedLayers();
  record.layers = static_cast<int64_t>(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    const LayerWeights& layer = package.weights.layers[i];
    record.parameters += static_cast<int64_t>(layer.weights.size() + layer.bias.size());
    record.macs += CountMacs(package.graph, package.graph.nodes[nodes[i]]);
  }
  return record;
}

const OpenTask* Coordinator::FindConversionTask(const ConvertTask& wanted) const {
  for (const auto& [id, task] : tasks_) {
    const auto* convert = std::get_if<ConvertTask>(&task.task);
    if (convert != nullptr && *convert == wanted) return &task;
  }
  return nullptr;
}

// Null: nobody has asked for it. What memory knows may not have reached the disk yet.
absl::StatusOr<ConversionRecord*> Coordinator::FindConversion(const ConvertTask& wanted) {
  const std::string key = fmt::format("{}/{}", wanted.file.hex(), ShapeText(wanted));
  const auto known = conversions_.find(key);
  if (known != conversions_.end()) return &known->second;
  MICO_ASSIGN_OR_RETURN(const std::optional<ConversionRecord> stored,
                        store_.Read([&](StoreView& view) {
                          return view.FindConversion(wanted.file, ShapeText(wanted));
                        }));
  if (!stored) return nullptr;
  return &conversions_.emplace(key, *stored).first->second;
}

absl::StatusOr<ConversionRecord> Coordinator::OrderConversion(const ConvertTask& wanted,
                                                              const std::string& name,
                                                              int64_t file_bytes, bool retry,
                                                              PendingChange& change) {
  MICO_ASSIGN_OR_RETURN(ConversionRecord * known, FindConversion(wanted));
  if (known != nullptr) {
    // A network that turned out to be damaged is made again.
    const bool is_done = known->state == ConversionState::kReady && blobs_.Has(known->package);
    const bool has_failed = known->state == ConversionState::kFailed && !retry;
    if (is_done || has_failed || FindConversionTask(wanted) != nullptr) return *known;
  }
  spdlog::info("model '{}': to be converted for inputs of {}", name, ShapeText(wanted));
  ConversionRecord ordered{wanted.file, ShapeText(wanted), name};
  ordered.created = clock_.Now();
  conversions_[fmt::format("{}/{}", wanted.file.hex(), ShapeText(wanted))] = ordered;
  change.Add([ordered, file_bytes](StoreTransaction& transaction) {
    transaction.AddBlob(ordered.file, file_bytes, ordered.created);
    transaction.PutConversion(ordered);
  });
  AddTask({0, "", Purpose::kConvert, wanted, {}, 0}, change);
  return ordered;
}

absl::StatusOr<ConversionSnapshot> Coordinator::ConvertModel(const ConvertTask& wanted,
                                                             const std::string& name, bool retry) {
  const absl::StatusOr<int64_t> bytes = CheckFile(blobs_, wanted.file);
  if (!bytes.ok()) return About(name, bytes.status());
  ConversionSnapshot snapshot;
  std::future<absl::Status> committed;
  {
    absl::MutexLock lock(&mutex_);
    MICO_RETURN_IF_ERROR(ReloadAfterFailure());
    PendingChange change;
    MICO_ASSIGN_OR_RETURN(snapshot.record, OrderConversion(wanted, name, *bytes, retry, change));
    const OpenTask* task = FindConversionTask(wanted);
    const Lease* lease = task == nullptr ? nullptr : queue_.LeaseOfTask(task->id);
    snapshot.running = lease != nullptr;
    if (lease != nullptr) {
      const auto worker = workers_.find(lease->worker);
      if (worker != workers_.end()) snapshot.worker_name = worker->second.record.name;
    } else if (task != nullptr) {
      snapshot.waits = WhyNobodyDoes(task->task);
    }
    // Also when nothing changes: what is answered is on disk.
    committed = Commit(change);
  }
  MICO_RETURN_IF_ERROR(committed.get());
  return snapshot;
}

// Nothing is believed of the worker: the network is read as one from outside.
void Coordinator::ReadConverted(const ConvertResult& result, Delivery& delivery) const {
  const absl::StatusOr<std::string> bytes = blobs_.Read(result.package);
  delivery.status = bytes.status();
  if (!bytes.ok()) return;
  const absl::StatusOr<ModelPackage> package = ParseModelPackage(*bytes);
  delivery.status = package.status();
  if (!package.ok()) return;
  delivery.blob_bytes = static_cast<int64_t>(bytes->size());
  delivery.model = DescribeModel(*package);
}

// A network is known by the digest of its package: the same file may become several, one for each
// shape of the input, and the same network come in several files.
void Coordinator::ApplyConversion(const OpenTask& task, const Delivery& delivery,
                                  PendingChange& change) {
  ModelRecord model = delivery.model;
  const auto known = FindConversion(std::get<ConvertTask>(task.task));
  if (known.ok() && *known != nullptr) model.name = (*known)->name;
  model.created = clock_.Now();
  change.Add([model, bytes = delivery.blob_bytes](StoreTransaction& transaction) {
    transaction.AddBlob(model.package, bytes, model.created);
    transaction.AddModel(model);
  });
  EndConversion(task, ConversionState::kReady, "", model.package, change);
}

void Coordinator::EndConversion(const OpenTask& task, ConversionState state,
                                const std::string& error, const Digest& package,
                                PendingChange& change) {
  const auto known = FindConversion(std::get<ConvertTask>(task.task));
  if (!known.ok() || *known == nullptr) return;  // whoever asks next orders it again
  ConversionRecord& record = **known;
  record.state = state;
  record.error = error;
  record.package = package;
  change.Add([record](StoreTransaction& transaction) { transaction.PutConversion(record); });
}

}  // namespace mico
