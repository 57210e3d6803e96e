#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/digest.h"
#include "data/dataset.h"
#include "model/model_package.h"
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

// What one scheme is worth on one split.
struct SchemeOutcome {
  // Why this scheme could not be quantized or run; the other fields mean something only if OK.
  absl::Status status;
  Score score;
  // Mean over the samples of how far the dequantized outputs are from the float network's: with
  // top1 and top5 KL(softmax(float logits) || softmax(dequantized logits)) in nats, with mse and
  // auc the mean squared difference.
  double divergence = 0.0;
  QuantizedModel model;
  Digest model_digest;
  std::chrono::milliseconds duration{0};
};

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

  // Without any.
  absl::StatusOr<std::vector<SchemeOutcome>> Evaluate(const ModelPackage& package,
                                                      const Calibration& calibration,
                                                      const Dataset& dataset, Split split,
                                                      int64_t samples, Metric metric,
                                                      std::span<const BitScheme> schemes,
                                                      const KeepGoing& keep_going) {
    return Evaluate(package, calibration, {}, dataset, split, samples, metric, schemes, keep_going);
  }
  // Quantizes, with what `reconstructions` know, and runs every scheme on `samples` (0: all) of
  // `split`, in the integers of the oracle. Outcomes are parallel to `schemes`. Neighbours that
  // share a prefix cost less. Scores are the same bits for any number of threads and size of
  // batches.
  virtual absl::StatusOr<std::vector<SchemeOutcome>> Evaluate(
      const ModelPackage& package, const Calibration& calibration,
      const Reconstructions& reconstructions, const Dataset& dataset, Split split, int64_t samples,
      Metric metric, std::span<const BitScheme> schemes, const KeepGoing& keep_going) = 0;
};

}  // namespace mico
