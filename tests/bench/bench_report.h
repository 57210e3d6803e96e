#pragma once

#include <optional>
#include <string>
#include <vector>

namespace mico {

// What a benchmark found: ../shared/design/contracts.md, "Build and benchmarks".

enum class Goal {
  kAtLeast,
  kAtMost,
  kBelow,
};

struct Figure {
  std::string name;
  double value = 0.0;
  std::optional<double> goal;
  std::string unit;
  std::string field = "-";  // what others reach, for people
  Goal kind = Goal::kAtLeast;
  int decimals = 2;  // that people see

  bool met() const;
};

// Prints every figure as it comes, and keeps it.
class BenchReport {
 public:
  explicit BenchReport(std::string title);

  // The head of the table, once it is certain that there will be one.
  void Start() const;
  void Add(Figure figure);
  const std::vector<Figure>& figures() const { return figures_; }

  // Writes the figures to `json` (empty: nowhere) and gives the program's exit code: 0 every goal
  // is met, 3 one is missed, 1 the file could not be written.
  int Finish(const std::string& program, const std::string& json) const;

 private:
  const std::string title_;
  std::vector<Figure> figures_;
};

}  // namespace mico
