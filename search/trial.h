#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "quant/bit_scheme.h"
#include "quant/score.h"
#include "target/cost.h"

namespace mico {

enum class TrialState { kWaiting, kRunning, kFinished, kFailed };

// One scheme and what is known of it.
struct Trial {
  int64_t number = 0;  // in its job, from 1, in the order of proposal
  BitScheme scheme;
  // Val images asked for; 0 means all. A trial on a part of val is a probe: it informs a strategy
  // and is never in a front.
  int64_t samples = 0;
  std::string label;  // "uniform w4a4" for reference networks, else empty
  // The evaluation may be given up once it is clear that the value stays below.
  std::optional<double> floor;
  // Whether the scheme is trained before it is evaluated: `val` is then that after training.
  bool trained = false;
  int64_t trained_from = 0;    // number of the trial of the same scheme without training; 0: none
  std::string learned_digest;  // of the reconstruction, once it is trained
  TrialState state = TrialState::kWaiting;
  Cost cost;
  // Once finished:
  Score val;
  // Below `floor` beyond doubt: `val` is of the images that were seen. Such a trial informs a
  // strategy and is never in a front.
  bool gave_up = false;
  // How far the outputs are from the float network's (docs/metrics.md), mean over the samples.
  double divergence = 0.0;
  std::string quantized_digest;
  std::string error;  // once failed

  bool is_probe() const { return samples != 0; }
};

// Hard limits in absolute numbers; absent means none.
struct Limits {
  std::optional<int64_t> max_latency_cycles, max_ram_bytes, max_flash_bytes;
  // Of the value on val: the first for metrics where more is better, the second for mse.
  std::optional<double> min_accuracy, max_error;

  // Of what can be computed before an evaluation.
  bool Admits(const Cost& cost) const;
  // Of everything; only for finished trials on all of val.
  bool Admits(const Trial& trial) const;
};

}  // namespace mico
