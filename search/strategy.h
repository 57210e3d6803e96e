#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/random.h"
#include "search/trial.h"

namespace mico {

// Where a search may go and what a point costs. Built once per job; read-only.
struct SearchSpace {
  // Per quantized layer, descending. Layers that read the network's input have {8} for input_bits.
  std::vector<std::vector<int>> weight_bits, input_bits;
  std::vector<bool> input_layers;
  int64_t val_samples = 0;
  // What an error (Score::error) is divided by before strategies look at it, so that 1 is that of
  // an answer that knows nothing: the variance of the targets for mse, else 1.
  double error_unit = 1.0;
  uint64_t seed = 0;  // the job's
  Limits limits;
  // Pure and cheap (well below a millisecond); an error means that this scheme has no kernel.
  std::function<absl::StatusOr<Cost>(const BitScheme&)> cost;

  bool Contains(const BitScheme& scheme) const;
  // Decimal logarithm of the number of schemes.
  double Log10Size() const;
};

// What is known so far, and what may still be spent.
struct SearchHistory {
  std::vector<Trial> trials;  // finished, running, waiting and failed, by number
  // Evaluations that may be spent in all, in units of all val images; n of N images count n/N.
  double budget = 0.0;

  double Spent(const SearchSpace& space) const;  // everything proposed, finished or not
  bool Has(const BitScheme& scheme, bool as_probe) const;
};

struct Candidate {
  BitScheme scheme;
  int64_t samples = 0;  // 0: all of val
  std::string label;    // reference networks are evaluated even where they break the limits
  // For metrics that count answers: the evaluation may be given up once it is clear that the value
  // stays below (Trial::gave_up).
  std::optional<double> floor;
};
struct Proposal {
  std::vector<Candidate> candidates;
  // With no candidates: why the search is over; empty means "ask again after the next result".
  std::string finished_because;
};

// Decides which schemes to try next.
//
// A strategy keeps no state between calls: everything it knows is in the history. A restarted
// coordinator therefore continues exactly where it stopped. `random` is seeded by the caller from
// the job's seed and the number of trials recorded.
class SearchStrategy {
 public:
  virtual ~SearchStrategy() = default;

  // At most `count` candidates, all inside `space`, none of them already in `history`, and none
  // that would exceed the budget.
  virtual Proposal Propose(const SearchSpace& space, const SearchHistory& history, int count,
                           Random& random) const = 0;
};

// "sensitivity" | "uniform" | "random"; InvalidArgument lists the names.
absl::StatusOr<std::unique_ptr<SearchStrategy>> MakeStrategy(std::string_view name);
std::vector<std::string> StrategyNames();

}  // namespace mico
