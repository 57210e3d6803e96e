#include "search/trial.h"

namespace mico {

bool Limits::Admits(const Cost& cost) const {
  if (max_latency_cycles && cost.latency_cycles > *max_latency_cycles) return false;
  if (max_ram_bytes && cost.peak_ram_bytes > *max_ram_bytes) return false;
  if (max_flash_bytes && cost.flash_bytes > *max_flash_bytes) return false;
  return true;
}

bool Limits::Admits(const Trial& trial) const {
  if (trial.state != TrialState::kFinished || trial.is_probe() || trial.gave_up) return false;
  if (min_accuracy && trial.val.value < *min_accuracy) return false;
  if (max_error && trial.val.value > *max_error) return false;
  return Admits(trial.cost);
}

}  // namespace mico
