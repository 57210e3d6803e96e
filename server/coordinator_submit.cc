#include <algorithm>
#include <utility>

#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/model_package.h"
#include "model/text_form.h"
#include "proto/convert.h"
#include "quant/equalize.h"
#include "server/coordinator.h"
#include "server/limits.h"
#include "server/metrics.h"
#include "spdlog/spdlog.h"

namespace mico {
namespace {

// Twelve digits: short enough to type, and a chance of one in a million at 16,000 jobs.
constexpr size_t kIdDigits = 12;
constexpr int64_t kMostTargetsNamed = 50;

// Everything that a job's outcome depends on; names are for people.
std::string JobId(JobSpec spec, const Target& target) {
  spec.model_name.clear();
  spec.dataset_name.clear();
  const std::string content = SerializeDeterministically(ToProto(spec)) + "\n" + target.profile_key;
  return Digest::Of(content).hex().substr(0, kIdDigits);
}

std::vector<LayerSummary> SummarizeLayers(const Graph& graph, const SearchSpace& space,
                                          const std::vector<int64_t>& parameters) {
  std::vector<LayerSummary> layers;
  const std::vector<int> nodes = graph.QuantizedLayers();
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = graph.nodes[nodes[i]];
    layers.push_back({node.name, node.type, ToString(graph.values[node.inputs[0]].shape),
                      ToString(graph.values[node.output].shape), CountMacs(graph, node),
                      parameters[i], space.weight_bits[i], space.input_bits[i]});
  }
  return layers;
}

// An error of a parser, which does not know what the thing it read is called.
absl::Status About(std::string_view kind, std::string_view name, const absl::Status& error) {
  return absl::Status(error.code(),
                      fmt::format("{} '{}': {}", kind, name, std::string(error.message())));
}

absl::Status NotConverted() {
  return absl::FailedPreconditionError(
      "a TorchScript file, which a worker has to convert first: `mico-cli submit --model FILE` "
      "has it done, and so does ConvertModel, whose answer is then the model");
}

absl::Status CheckAgreement(Metric metric, const DatasetRecord& dataset, const Graph& graph) {
  const Shape& input = graph.values[graph.input].shape;
  MICO_ASSIGN_OR_RETURN(const Shape samples, ParseShape(dataset.sample_shape));
  if (!HaveSameExtents(samples, input)) {
    return absl::InvalidArgumentError(
        fmt::format("data set '{}': samples of {}; the network reads {}", dataset.name,
                    dataset.sample_shape, ToString(input)));
  }
  const absl::Status readable = CheckReadableAs(samples, dataset.preparation_channels, input);
  if (!readable.ok()) return About("data set", dataset.name, readable);
  return CheckMetric(metric, dataset, graph);
}

}  // namespace

absl::StatusOr<Target> Coordinator::FindTarget(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  const auto found = targets_.find(name);
  if (found != targets_.end()) return found->second;
  if (targets_.empty()) {
    return absl::NotFoundError(fmt::format(
        "target '{}': no worker has announced any target yet; start one: mico-worker --target FILE",
        name));
  }
  std::vector<std::string> names;
  for (const auto& [known, target] : targets_) {
    if (static_cast<int64_t>(names.size()) < kMostTargetsNamed) names.push_back(known);
  }
  return absl::NotFoundError(
      fmt::format("target '{}'; known: {}", name, absl::StrJoin(names, ", ")));
}

absl::Status Coordinator::CheckHolders(const Target& target, bool to_measure) {
  absl::MutexLock lock(&mutex_);
  std::string compile_fault, run_fault;
  bool is_held = false, compiles = false, measures = false;
  for (const auto& [id, worker] : workers_) {
    for (const Target& held : worker.targets) {
      if (held.name != target.name || !IsAlive(worker)) continue;
      is_held = true;
      const std::string no_compiler = WhyNotCompiled(worker.target_health, held.name);
      const std::string no_board = WhyNotRun(worker.target_health, held.name);
      compiles = compiles || no_compiler.empty();
      measures = measures || (held.has_board && held.profile_key == target.profile_key);
      const auto said = [&worker = worker](const std::string& why) {
        return fmt::format("worker '{}': {}", worker.record.name, why);
      };
      if (!no_compiler.empty()) compile_fault = said(no_compiler);
      if (!no_board.empty()) run_fault = said(no_board);
    }
  }
  constexpr std::string_view kAdvice = "`mico-cli doctor` says how to mend it";
  if (is_held && !compiles) {
    return absl::FailedPreconditionError(
        fmt::format("target '{}': no program can be built for it: {}; {}", target.name,
                    compile_fault, kAdvice));
  }
  if (!is_held && target.profile_key.empty()) {
    return absl::FailedPreconditionError(fmt::format(
        "target '{}': no worker has had a compiler for it yet; {}", target.name, kAdvice));
  }
  if (to_measure && !measures && !run_fault.empty()) {
    return absl::FailedPreconditionError(
        fmt::format("target '{}': kernels must be measured and no program runs on it: {}; {}",
                    target.name, run_fault, kAdvice));
  }
  return absl::OkStatus();
}

// From what an earlier submit stored, or by importing the file.
absl::Status Coordinator::LoadModel(const JobSpec& spec, CheckedSpec& checked, Graph& graph) {
  MICO_ASSIGN_OR_RETURN(const std::optional<ModelRecord> known,
                        store_.Read([&](StoreView& view) { return view.FindModel(spec.model); }));
  absl::StatusOr<ModelPackage> package = absl::NotFoundError("");
  absl::StatusOr<std::string> stored = absl::NotFoundError("");
  if (known) stored = blobs_.Read(known->package);
  if (stored.ok()) {
    checked.package_bytes = static_cast<int64_t>(stored->size());
    package = ParseModelPackage(*stored);
  } else {  // never made, or damaged: made from the file
    const absl::StatusOr<std::string> file = blobs_.Read(spec.model);
    if (!file.ok()) {
      return absl::NotFoundError(fmt::format("model '{}': {}: upload it", spec.model_name,
                                             std::string(file.status().message())));
    }
    package = IsTorchScript(*file) ? NotConverted() : importer_.Import(*file);
    if (package.ok()) package = EqualizeChannels(*std::move(package));
  }
  if (!package.ok()) return About("model", spec.model_name, package.status());
  checked.model = DescribeModel(*package);
  checked.model.digest = spec.model;
  checked.model.name = spec.model_name;
  checked.model.created = clock_.Now();
  for (const LayerWeights& layer : package->weights.layers) {
    checked.layer_parameters.push_back(
        static_cast<int64_t>(layer.weights.size() + layer.bias.size()));
  }
  if (checked.model.layers == 0) {
    return absl::InvalidArgumentError(
        fmt::format("model '{}': no layer with weights, nothing to quantize", spec.model_name));
  }
  if (checked.package_bytes == 0) {
    const std::string bytes = Serialize(*package);
    checked.package_bytes = static_cast<int64_t>(bytes.size());
    MICO_RETURN_IF_ERROR(blobs_.Put(bytes).status());
  }
  graph = std::move(package->graph);
  return absl::OkStatus();
}

absl::StatusOr<Coordinator::CheckedSpec> Coordinator::Check(const JobSpec& spec) {
  MICO_RETURN_IF_ERROR(MakeStrategy(spec.strategy).status());
  CheckedSpec checked;
  MICO_ASSIGN_OR_RETURN(checked.target, FindTarget(spec.target));
  Graph graph;
  MICO_RETURN_IF_ERROR(LoadModel(spec, checked, graph));
  MICO_RETURN_IF_ERROR(LoadDataset(spec, checked));
  MICO_RETURN_IF_ERROR(CheckAgreement(spec.metric, checked.dataset, graph));
  MICO_ASSIGN_OR_RETURN(checked.problem,
                        MakeProblem(std::move(graph), checked.dataset.input_non_negative,
                                    checked.dataset.val_samples, checked.target));
  {
    absl::MutexLock lock(&mutex_);
    MICO_RETURN_IF_ERROR(RememberTable(checked.target.profile_key));
    checked.table = *tables_.at(checked.target.profile_key);
  }
  checked.calibration_key = CalibrationKey(checked.model.package, spec);
  MICO_ASSIGN_OR_RETURN(checked.calibration, store_.Read([&](StoreView& view) {
    return view.FindCalibration(checked.calibration_key);
  }));
  if (!checked.calibration) return checked;
  JobRecord record;
  record.package = checked.model.package;
  record.dataset = spec.dataset;
  record.calibration = checked.calibration->digest;
  for (const ReconstructTask& task : ReconstructionsFor(record, spec, *checked.problem)) {
    const std::string key = ReconstructionKey(task);
    MICO_ASSIGN_OR_RETURN(const std::optional<Digest> known, store_.Read([&](StoreView& view) {
      return view.FindReconstruction(key);
    }));
    if (known) checked.reconstructions[key] = *known;
  }
  return checked;
}

// Fills the preview on the way. What needs the profile is checked again once that is there.
absl::Status Coordinator::CheckLimits(const JobSpec& spec, const CheckedSpec& checked,
                                      Preview& preview) {
  const size_t missing = MissingSignatures(*checked.problem, checked.table).size();
  MICO_RETURN_IF_ERROR(CheckHolders(checked.target, missing > 0));
  if (missing > 0 && !checked.target.has_board) {
    return absl::FailedPreconditionError(fmt::format(
        "target '{}': its latency table lacks {} of {} kernels and no worker has a board to "
        "measure "
        "them; start one with a target file that has a `board` section: mico-worker --target FILE",
        checked.target.name, missing, checked.problem->signatures.size()));
  }
  preview.metric = spec.metric;
  preview.signatures_to_profile = static_cast<int64_t>(missing);
  preview.latency_known = missing == 0;
  const SearchSpace space = MakeSpace(
      *checked.problem, preview.latency_known ? ProfiledCost(checked.problem, checked.table)
                                              : StructuralCost(checked.problem));
  preview.layers = SummarizeLayers(checked.problem->graph, space, checked.layer_parameters);
  preview.log10_space = space.Log10Size();
  MICO_ASSIGN_OR_RETURN(preview.uniform8, space.cost(WidestScheme(space)));
  for (int64_t Cost::*member : {&Cost::latency_cycles, &Cost::peak_ram_bytes, &Cost::flash_bytes}) {
    MICO_ASSIGN_OR_RETURN(const Floor floor, LeastCost(space, member));
    preview.floor.*member = floor.cost.*member;
  }
  if (checked.dataset.val_taken_from_train) {
    preview.warnings.push_back(
        fmt::format("the data have no val, which is taken from them by a seeded shuffle: {}",
                    checked.dataset.description));
  }
  for (const std::string& warning : checked.dataset.warnings) {
    preview.warnings.push_back(fmt::format("data: {}", warning));
  }
  if (std::optional<std::string> warning = WarnAboutSeconds(spec.limits, checked.target)) {
    preview.warnings.push_back(*std::move(warning));
  }
  Reference reference;
  reference.ram_bytes = preview.uniform8.peak_ram_bytes;
  if (preview.latency_known) {
    reference.latency_cycles = preview.uniform8.latency_cycles;
    reference.flash_bytes = preview.uniform8.flash_bytes;
  }
  Limits limits = ResolveLimits(spec.limits, checked.target, reference);
  if (!preview.latency_known) limits.max_latency_cycles.reset();
  return CheckFloors(space, limits, checked.target);
}

absl::StatusOr<Submission> Coordinator::Submit(const std::string& request_id, const JobSpec& spec,
                                               bool validate_only) {
  if (!request_id.empty() && !validate_only) {
    MICO_ASSIGN_OR_RETURN(const std::optional<std::string> known, store_.Read([&](StoreView& view) {
      return view.FindRequest(request_id);
    }));
    if (known) {
      MICO_ASSIGN_OR_RETURN(JobSnapshot job, SnapshotOf(*known));
      return Submission{std::move(job), true, std::nullopt};
    }
  }
  MICO_ASSIGN_OR_RETURN(CheckedSpec checked, Check(spec));
  Preview preview;
  MICO_RETURN_IF_ERROR(CheckLimits(spec, checked, preview));
  if (validate_only) {
    Submission submission;
    submission.job.spec = spec;
    submission.job.target = checked.target;
    submission.preview = std::move(preview);
    return submission;
  }
  return StoreJob(request_id, spec, std::move(checked), std::move(preview.warnings));
}

absl::StatusOr<Submission> Coordinator::StoreJob(const std::string& request_id, const JobSpec& spec,
                                                 CheckedSpec checked,
                                                 std::vector<std::string> warnings) {
  const std::string id = JobId(spec, checked.target);
  MICO_ASSIGN_OR_RETURN(const std::unique_ptr<BlobReader> model, blobs_.NewReader(spec.model));
  const int64_t model_bytes = model->total_bytes();
  Submission submission;
  std::future<absl::Status> committed;
  {
    absl::MutexLock lock(&mutex_);
    MICO_RETURN_IF_ERROR(ReloadAfterFailure());
    MICO_RETURN_IF_ERROR(RememberTable(checked.target.profile_key));
    const TimePoint now = clock_.Now();
    PendingChange change;
    if (!jobs_.contains(id)) {
      // Under the mutex: what was read before it could be older than what a submit beside this one
      // has made of the job.
      MICO_ASSIGN_OR_RETURN(const std::optional<JobRecord> stored,
                            store_.Read([&](StoreView& view) { return view.FindJob(id); }));
      if (stored) MICO_RETURN_IF_ERROR(LoadJob(*stored));
    }
    submission.existed = jobs_.contains(id);
    if (submission.existed) {
      Resume(jobs_.at(id), change);
    } else {
      Job& job = jobs_[id];
      job.spec = spec;
      job.target = checked.target;
      job.dataset = checked.dataset;
      job.problem = checked.problem;
      if (checked.calibration) calibrations_[checked.calibration_key] = *checked.calibration;
      reconstructions_.insert(checked.reconstructions.begin(), checked.reconstructions.end());
      JobRecord& record = job.record;
      record.id = id;
      record.spec = SerializeDeterministically(ToProto(spec));
      record.target = SerializeDeterministically(ToProto(checked.target));
      record.model = spec.model;
      record.dataset = spec.dataset;
      record.package = checked.model.package;
      record.created = now;
      record.warnings = std::move(warnings);
      record.layer_names = LayerNames(checked.problem->graph);
      change.Add(
          [checked = std::move(checked), record, model_bytes, now](StoreTransaction& transaction) {
            transaction.AddBlob(record.model, model_bytes, now);
            transaction.AddBlob(record.dataset, checked.dataset.bytes, now);
            transaction.AddBlob(record.package, checked.package_bytes, now);
            transaction.AddModel(checked.model);
            transaction.AddDataset(checked.dataset);
            transaction.AddJob(record);
          });
      Advance(job, change);
      spdlog::info("job {}: {} on {}, {} trials by {}", id, spec.model_name, spec.target,
                   spec.trials, spec.strategy);
    }
    if (!request_id.empty()) {
      change.Add([request_id, id, now](StoreTransaction& transaction) {
        transaction.AddRequest(request_id, id, now);
      });
    }
    submission.job = Snapshot(jobs_.at(id));
    committed = Commit(change);
  }
  MICO_RETURN_IF_ERROR(committed.get());
  return submission;
}

// The same content again: a job that failed or was cancelled takes up where it stopped.
void Coordinator::Resume(Job& job, PendingChange& change) {
  if (job.record.state != JobState::kFailed && job.record.state != JobState::kCancelled) return;
  job.record.state = JobState::kPreparing;
  job.record.error.clear();
  job.record.stop_reason.clear();
  job.record.ended = TimePoint{};
  job.record.limits = Limits{};
  job.space = nullptr;
  job.failures_in_a_row = 0;
  job.results_at_empty_plan = -1;
  job.recent.clear();  // the rate is that of now, not of the pause
  // Their tasks were cancelled with the job.
  std::vector<int64_t> interrupted;
  for (const TrialRecord& record : job.trials) {
    if (record.trial.state == TrialState::kWaiting || record.trial.state == TrialState::kRunning) {
      interrupted.push_back(record.trial.number);
    }
  }
  Save(job, change);
  OrderTrials(job, interrupted, change);
  Advance(job, change);
}

}  // namespace mico
