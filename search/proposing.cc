#include "search/proposing.h"

namespace mico {
namespace {

// Shares n/N add up with rounding: a budget of 96 must not end at 95.9999.
constexpr double kRounding = 1e-6;

}  // namespace

ProposalBuilder::ProposalBuilder(const SearchSpace& space, const SearchHistory& history, int count)
    : space_(space), count_(count), left_(history.budget - history.Spent(space)) {
  for (const Trial& trial : history.trials) known_.emplace(trial.is_probe(), trial.scheme);
}

bool ProposalBuilder::spent() const { return left_ < 1.0 - kRounding; }

bool ProposalBuilder::Add(Candidate candidate) {
  const bool probe = candidate.samples != 0;
  const double price =
      probe ? static_cast<double>(candidate.samples) / static_cast<double>(space_.val_samples)
            : 1.0;
  if (full() || price > left_ + kRounding) return false;
  if (!space_.Contains(candidate.scheme)) return false;
  if (!known_.emplace(probe, candidate.scheme).second) return false;
  left_ -= price;
  proposal_.candidates.push_back(std::move(candidate));
  return true;
}

bool AnythingInFlight(const SearchHistory& history) {
  for (const Trial& trial : history.trials) {
    if (trial.state == TrialState::kWaiting || trial.state == TrialState::kRunning) return true;
  }
  return false;
}

}  // namespace mico
