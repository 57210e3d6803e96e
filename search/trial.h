#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "quant/bit_scheme.h"
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
  TrialState state = TrialState::kWaiting;
  Cost cost;
  // Once finished:
  int64_t correct = 0, total = 0;
  double kl = 0.0;
  std::string quantized_digest;
  std::string error;  // once failed

  bool is_probe() const { return samples != 0; }
  double accuracy() const {
    return total == 0 ? 0.0 : static_cast<double>(correct) / static_cast<double>(total);
  }
};

// Hard limits in absolute numbers; absent means none.
struct Limits {
  std::optional<int64_t> max_latency_cycles, max_ram_bytes, max_flash_bytes;
  std::optional<double> min_accuracy;

  // Of what can be computed before an evaluation.
  bool Admits(const Cost& cost) const;
  // Of everything; only for finished trials on all of val.
  bool Admits(const Trial& trial) const;
};

}  // namespace mico
