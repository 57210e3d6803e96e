#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/digest.h"
#include "quant/score.h"
#include "search/trial.h"

namespace mico {

// The rows of docs/formats/database.md. `spec`, `target`, `announcement` and `payload` are bytes
// that the server serializes; the database does not look into them.

struct BlobTotals {
  int64_t count = 0, bytes = 0;
};

struct ModelRecord {
  Digest digest;   // of the ONNX file; where a worker made the package: of that
  Digest package;  // of the ModelPackage
  std::string name;
  int64_t layers = 0, macs = 0, parameters = 0;
  std::string input_shape;
  TimePoint created{};
};

// What metrics ask of a data set.
struct TargetFacts {
  int64_t elements = 0;                 // numbers that y has for a sample; 0: class labels
  int64_t val_ones = 0, test_ones = 0;  // samples labelled 1
  double val_variance = 0.0;            // Dataset::TargetVariance
};

struct DatasetRecord {
  Digest digest;
  std::string name, description;
  std::string sample_shape;  // ToString(Shape)
  int64_t bytes = 0, val_samples = 0, test_samples = 0, classes = 0;
  bool input_non_negative = false, val_taken_from_train = false;
  TimePoint created{};
  // How many numbers its mean or std has: 1, or one for each channel.
  int64_t preparation_channels = 1;
  std::vector<std::string> warnings;   // of its report (data/dataset_report.h), a sentence each
  std::optional<TargetFacts> targets;  // absent in rows that were written before all of this was
};

struct WorkerRecord {
  std::string id, name, version;
  bool evaluates = false;
  std::vector<std::string> targets;
  TimePoint last_seen{};
};

struct TargetRecord {
  std::string name;
  std::string announcement;
  TimePoint last_seen{};
};

struct CalibrationRecord {
  std::string key;  // what the calibration and the scores depend on
  Digest digest;
  Score float_val, float_test;
};

// What came of training one scheme.
struct TrainingRecord {
  std::string key;  // what it depends on
  Digest reconstruction, state;
  double epochs = 0.0;  // that were trained
  std::chrono::milliseconds duration{0};
};

enum class JobState { kPreparing, kSearching, kFinishing, kDone, kFailed, kCancelled };
std::string_view ToString(JobState state);
inline bool HasEnded(JobState state) { return state >= JobState::kDone; }

struct JobRecord {
  std::string id;
  std::string spec, target;
  Digest model, dataset, package;
  JobState state = JobState::kPreparing;
  std::string error, stop_reason;
  std::vector<std::string> warnings;  // one line each
  Digest calibration;                 // empty: not calibrated yet
  // Blobs that evaluations use, in the order in which they count; empty until all are there.
  std::vector<Digest> reconstructions;
  Score float_val, float_test;
  Limits limits;  // resolved to absolute numbers as far as they are known
  double hypervolume = 0.0;
  std::vector<std::string> layer_names;  // of the quantized layers
  TimePoint created{}, ended{};
};

// A trial and what only the final front has.
struct TrialRecord {
  Trial trial;
  Score test;
};

// What one scheme scores, whoever asks.
struct EvaluationRecord {
  // Everything that it depends on but the scheme: network, calibration, data, split, samples,
  // metric, version of the evaluation.
  std::string setting;
  BitScheme scheme;
  Score score;
  double divergence = 0.0;
  Digest quantized;
};

enum class TaskState { kWaiting, kLeased, kDone, kFailed, kCancelled };
std::string_view ToString(TaskState state);

struct TaskRecord {
  int64_t id = 0;
  std::string job;  // empty: of none
  std::string purpose;
  std::string payload;
  std::vector<int64_t> trials;  // numbers, parallel to the schemes of an evaluation
  TaskState state = TaskState::kWaiting;
  int attempts = 0;
  std::string error;
};

enum class ConversionState { kPending, kReady, kFailed };
std::string_view ToString(ConversionState state);

// A TorchScript file that becomes a network for inputs of one shape.
struct ConversionRecord {
  Digest file;
  std::string input_shape;  // "3x32x32"
  std::string name;         // of the file, for people
  ConversionState state = ConversionState::kPending;
  std::string error;
  Digest package;  // once it is ready
  TimePoint created{};
};

enum class LeaseState { kActive, kCompleted, kLost };
std::string_view ToString(LeaseState state);

struct LeaseRecord {
  std::string id;
  int64_t task = 0;
  std::string worker;
  int attempt = 1;
  LeaseState state = LeaseState::kActive;
};

enum class ArtifactState { kPending, kReady, kFailed };
std::string_view ToString(ArtifactState state);

struct ArtifactRecord {
  std::string job;
  int64_t trial = 0;
  ArtifactState state = ArtifactState::kPending;
  std::string error;
  Digest digest;
  bool self_test_host = false, self_test_board = false;
  int64_t measured_count = 0, measured_flash_bytes = 0, measured_ram_bytes = 0;
};

}  // namespace mico
