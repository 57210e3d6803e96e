#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/digest.h"
#include "data/dataset.h"
#include "model/model_package.h"
#include "proto/messages.h"
#include "quant/bit_scheme.h"
#include "quant/calibration.h"
#include "quant/quantized_model.h"
#include "quant/reconstruction.h"
#include "quant/score.h"

namespace mico {

struct CalibrationOutcome {
  Calibration calibration;
  // What the float network scores.
  Score float_val, float_test;
};

// What to measure.
struct EvaluationRequest {
  std::span<const BitScheme> schemes;
  Split split = Split::kVal;
  int64_t samples = 0;  // of the split; 0: all
  Metric metric = Metric::kTop1;
  // What has been learned of layers at some widths.
  Reconstructions reconstructions;
  // So many samples of each scheme, drawn by its digest, are also run by the oracle
  // (quant/interpreter.h); one unequal integer makes the scheme's status Internal.
  int64_t verify_images = 0;
  // Racing: a scheme is given up once it is clear that its score on all samples stays below. Only
  // for metrics that count answers.
  std::optional<double> floor;
  // Give the model of each outcome; without, its digest alone.
  bool keep_models = false;
};

// What one scheme is worth on one split.
struct SchemeOutcome {
  // Why this scheme could not be quantized or run; the other fields mean something only if OK.
  absl::Status status;
  // Of all the samples asked for, or where `gave_up` of those that were seen: score.total of them.
  Score score;
  bool gave_up = false;
  // Mean over the samples of how far the dequantized outputs are from the float network's: with
  // top1 and top5 KL(softmax(float logits) || softmax(dequantized logits)) in nats, with mse and
  // auc the mean squared difference.
  double divergence = 0.0;
  QuantizedModel model;
  Digest model_digest;
  std::chrono::milliseconds duration{0};
};

// What to train.
struct TrainingRequest {
  BitScheme scheme;
  // What training starts from, beside the floats.
  Reconstructions reconstructions;
  // Blobs that the same kind of evaluator made: TrainingOutcome::state of a scheme nearby, and what
  // an attempt before this one saved. Empty: none.
  std::string_view warm_start, checkpoint;
  TrainingRecipe recipe;
  Metric metric = Metric::kTop1;
  uint64_t seed = 0;
};

struct TrainingOutcome {
  Reconstruction reconstruction;  // of every layer at the scheme's widths
  std::string state;              // a blob for TrainingRequest::warm_start
  double epochs = 0.0;            // that were trained, all attempts together
  std::chrono::milliseconds duration{0};
};

// Given, now and then, a blob for TrainingRequest::checkpoint.
using SaveCheckpoint = std::function<void(std::string_view checkpoint)>;

// Told the share of the work that is done, in [0, 1]; false: stop, the result is no longer wanted.
// Called on the thread that asked, several times a second.
using KeepGoing = std::function<bool(double progress)>;

// The samples that stand for a split when only some are wanted: `samples` different indices below
// `count`, ascending, the same for the same seed; fewer are a subset of more. 0, or `count` and
// more: all.
std::vector<int64_t> ChooseSamples(int64_t count, int64_t samples, uint64_t seed);

// Measures what networks score. One call at a time; every call uses all the threads the evaluator
// was given. Errors concern the whole call: InvalidArgument if model and data do not fit together,
// Cancelled if keep_going said so.
class Evaluator {
 public:
  virtual ~Evaluator() = default;

  // Ranges of every tensor over `train_samples` (0: all) of the train split, chosen by `seed`, and
  // what the float network scores on val and test.
  virtual absl::StatusOr<CalibrationOutcome> Calibrate(const ModelPackage& package,
                                                       const Dataset& dataset,
                                                       int64_t train_samples, uint64_t seed,
                                                       Metric metric,
                                                       const KeepGoing& keep_going) = 0;

  // Learns integers for the uniform network at `bits` from `train_samples` (0: all) of the train
  // split, chosen by `seed`; labels are not looked at. The same call may give other integers on
  // another machine.
  virtual absl::StatusOr<Reconstruction> Reconstruct(const ModelPackage& package,
                                                     const Calibration& calibration,
                                                     const Dataset& dataset, const LayerBits& bits,
                                                     int64_t train_samples, uint64_t seed,
                                                     const KeepGoing& keep_going) = 0;

  // Trains one scheme with the train split and keeps the integers that score well on val: docs in
  // worker/torch/train.h. InvalidArgument, with the step, if training diverges.
  virtual absl::StatusOr<TrainingOutcome> Train(
      const ModelPackage& package, const Calibration& calibration, const Dataset& dataset,
      const TrainingRequest& request, const SaveCheckpoint& save, const KeepGoing& keep_going) = 0;

  // Quantizes and runs every scheme in the integers of the oracle. Outcomes are parallel to the
  // schemes. Schemes that have computations in common cost less. Scores are the same bits for any
  // number of threads, any memory and any company. InvalidArgument for a floor with a metric that
  // does not count answers.
  virtual absl::StatusOr<std::vector<SchemeOutcome>> Evaluate(const ModelPackage& package,
                                                              const Calibration& calibration,
                                                              const Dataset& dataset,
                                                              const EvaluationRequest& request,
                                                              const KeepGoing& keep_going) = 0;
};

}  // namespace mico
