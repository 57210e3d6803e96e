#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/digest.h"
#include "data/dataset.h"
#include "quant/bit_scheme.h"
#include "quant/score.h"
#include "target/cost.h"
#include "target/target.h"

namespace mico {

// What the wire says, in the words of our domain; convert.h goes between them and the messages of
// the same names in mico::v1, whose comments are the protocol.

struct CalibrateTask {
  Digest model;    // blob: ModelPackage
  Digest dataset;  // blob: .npz
  int64_t train_samples = 0;
  uint64_t seed = 0;
  Metric metric = Metric::kTop1;
  friend bool operator==(const CalibrateTask&, const CalibrateTask&) = default;
};
struct CalibrateResult {
  Digest calibration;
  bool input_non_negative = false;
  Score float_val, float_test;
};

struct ProfileTask {
  std::string target_name;
  std::string profile_key;
  std::vector<std::string> signatures;
  friend bool operator==(const ProfileTask&, const ProfileTask&) = default;
};
struct ProfileResult {
  Digest latency_table;
};

struct ReconstructTask {
  Digest model, dataset, calibration;
  LayerBits bits;
  int64_t train_samples = 0;
  uint64_t seed = 0;
  friend bool operator==(const ReconstructTask&, const ReconstructTask&) = default;
};
struct ReconstructResult {
  Digest reconstruction;
};

// How schemes are trained.
enum class Optimizer { kAdamW, kSgd };
// "adamw" | "sgd"
std::string_view ToString(Optimizer optimizer);
// InvalidArgument lists the names; so below.
absl::StatusOr<Optimizer> ParseOptimizer(std::string_view name);
// What is done to images before a network sees them; kAuto: what suits the data.
enum class Augmentation { kAuto, kNone, kShift, kShiftAndFlip };
// "auto" | "none" | "shift" | "shift+flip"
std::string_view ToString(Augmentation augmentation);
absl::StatusOr<Augmentation> ParseAugmentation(std::string_view name);
struct TrainingRecipe {
  double epochs = 0.0;   // over the train split, at most; may be a part of one; 0: no limit
  double minutes = 0.0;  // of a worker's time, at most; 0: no limit. Not both are 0
  Optimizer optimizer = Optimizer::kAdamW;
  Augmentation augmentation = Augmentation::kAuto;
  friend bool operator==(const TrainingRecipe&, const TrainingRecipe&) = default;
};

struct TrainTask {
  Digest model, dataset, calibration;
  BitScheme scheme;
  std::vector<Digest> reconstructions;  // blobs that training starts from, beside the floats
  Digest warm_start;                    // blob: the state of a trained scheme nearby; empty: none
  Digest checkpoint;                    // blob: where an attempt before this one was; empty: none
  TrainingRecipe recipe;
  Metric metric = Metric::kTop1;
  uint64_t seed = 0;
  friend bool operator==(const TrainTask&, const TrainTask&) = default;
};
struct TrainResult {
  Digest reconstruction;  // blob: the integers and scales of exactly this scheme
  Digest state;           // blob: what another training can start from
  double epochs = 0.0;    // that were trained
  std::chrono::milliseconds duration{0};
};

struct EvaluateTask {
  Digest model, dataset, calibration;
  Split split = Split::kVal;
  int64_t samples = 0;  // the first so many; 0: all
  std::vector<BitScheme> schemes;
  bool upload_models = false;
  Metric metric = Metric::kTop1;
  int64_t verify_images = 0;            // of each scheme, with the oracle
  std::optional<double> floor;          // a scheme that stays below may be given up
  int evaluation_version = 0;           // quant/evaluation_version.h
  std::vector<Digest> reconstructions;  // blobs; of several that know a layer the first counts
  friend bool operator==(const EvaluateTask&, const EvaluateTask&) = default;
};
struct SchemeResult {
  std::string error;  // set when this scheme cannot be evaluated
  Score score;
  double divergence = 0.0;
  Digest quantized;
  std::chrono::milliseconds evaluation{0};
  bool gave_up = false;  // below the floor beyond doubt: `score` is of the samples that were seen
};
struct EvaluateResult {
  std::vector<SchemeResult> schemes;  // parallel to the task's
};

struct ArtifactTask {
  Digest quantized, model, dataset;
  std::string target_name;
  BitScheme scheme;
  Score val, test;  // total 0: not known
  Cost predicted;
  friend bool operator==(const ArtifactTask&, const ArtifactTask&) = default;
};
struct ArtifactResult {
  Digest artifact;
  bool self_test_host = false, self_test_board = false;
  int64_t measured_count = 0;
  int64_t measured_flash_bytes = 0, measured_ram_bytes = 0;
};

struct ConvertTask {
  Digest file;                       // blob: TorchScript
  std::vector<int64_t> input_shape;  // without the batch, 1 to 3 extents
  friend bool operator==(const ConvertTask&, const ConvertTask&) = default;
};
struct ConvertResult {
  Digest package;
};

using Task = std::variant<CalibrateTask, ProfileTask, EvaluateTask, ArtifactTask, ConvertTask,
                          ReconstructTask, TrainTask>;
// "calibrate" | "profile" | "evaluate" | "artifact" | "convert" | "reconstruct" | "train"
std::string_view KindOf(const Task& task);

// What became of a task: an error, or the result of the task's kind.
struct TaskResult {
  absl::Status status;
  std::variant<std::monostate, CalibrateResult, ProfileResult, EvaluateResult, ArtifactResult,
               ConvertResult, ReconstructResult, TrainResult>
      result;
};

struct TaskOrder {
  std::string lease_id;
  std::string task_id;
  int attempt = 1;
  Task task;
};

struct Idle {};
struct Running {
  std::string lease_id;
  double progress = 0.0;
  Digest checkpoint;  // of a train task, blob: where another worker could go on; empty: none yet
};
struct Finished {
  std::string lease_id;
  TaskResult result;
};

// One thing that somebody looked at.
struct Check {
  // kUnknown: not looked at yet. kWarning: works, but not for long or not for everything.
  enum class State { kUnknown, kOk, kWarning, kFault };
  std::string name;
  State state = State::kUnknown;
  std::string found;   // one line
  std::string remedy;  // a command; empty where all is well
  std::chrono::milliseconds age{0};
};

// What a worker found out about one of its targets.
struct TargetHealth {
  std::string target;
  std::string cannot_compile, cannot_run;  // why not; empty: it can
  std::vector<Check> checks;
};

// One call of WorkerService.Synchronize, and its answer.
struct WorkerReport {
  std::string worker_id, worker_name, version;
  std::vector<Target> targets;
  bool evaluates = false;
  bool converts = false;
  std::vector<Check> checks;                // of the worker itself
  std::vector<TargetHealth> target_health;  // at most one for each target
  std::variant<Idle, Running, Finished> state;
  bool leaving = false;
};
struct WorkerOrder {
  bool lease_lost = false;
  std::optional<TaskOrder> order;
  std::chrono::milliseconds next_call{1000};
};

// A limit as asked for.
struct RequestedLimit {
  enum class Kind { kAbsolute, kRelative, kSeconds };
  Kind kind = Kind::kAbsolute;
  double value = 0.0;
  friend bool operator==(const RequestedLimit&, const RequestedLimit&) = default;
};
struct RequestedLimits {
  std::optional<RequestedLimit> max_latency, max_ram, max_flash, min_accuracy, max_error;
  friend bool operator==(const RequestedLimits&, const RequestedLimits&) = default;
};

// How trials get their integers before anything is trained with labels.
enum class PtqMode { kFast, kReconstruct };
// "fast" | "reconstruct"
std::string_view ToString(PtqMode mode);

// Which schemes are trained with labels, or against the float network, before they are judged:
// none, every one that is evaluated on all of val, or the most promising once the search is over.
enum class QatMode { kNone, kAll, kTop };
struct QatSpec {
  QatMode mode = QatMode::kNone;
  int64_t top = 0;  // with kTop: how many
  TrainingRecipe recipe;
  friend bool operator==(const QatSpec&, const QatSpec&) = default;
};
// "none" | "all" | "top:8"
std::string ToString(const QatSpec& qat);

struct JobSpec {
  std::string model_name;
  Digest model;  // blob: ONNX, or a ModelPackage that a worker made of TorchScript
  std::string dataset_name;
  Digest dataset;  // blob: .npz
  std::string target;
  RequestedLimits limits;
  std::string strategy = "sensitivity";
  int64_t trials = 64;
  uint64_t seed = 0;
  int64_t calibration_samples = 256;
  Metric metric = Metric::kTop1;
  PtqMode ptq = PtqMode::kFast;
  QatSpec qat;
  friend bool operator==(const JobSpec&, const JobSpec&) = default;
};

}  // namespace mico
