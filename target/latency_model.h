#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "target/cost.h"

namespace mico {

// What a program asks of a target, as the code generator counts it (codegen/program_plan.h).
struct StepWork {
  std::string name;       // the layer, for people
  std::string signature;  // canonical text of all that its run time depends on; codegen/signature.h
  std::string kernel;     // the kernel function that runs it
};
struct ProgramWork {
  std::vector<StepWork> steps;
  std::vector<std::string> kernels;  // distinct, sorted
  int64_t peak_ram_bytes = 0;        // arena with scratch, input and output
  int64_t constant_bytes = 0;        // weights and tables, as stored
};

// Turns work into cost. Immutable, thread-safe.
class LatencyModel {
 public:
  virtual ~LatencyModel() = default;
  // NotFound names the first step that the model knows nothing about.
  virtual absl::StatusOr<Cost> Predict(const ProgramWork& work) const = 0;
};

struct Measurement {
  int64_t count = 0;   // of the target's counter: median of the repetitions
  int64_t spread = 0;  // largest minus smallest
  friend bool operator==(const Measurement&, const Measurement&) = default;
};

// What a board measured. Grows by merging; keyed by content, so it serves every job.
struct LatencyTable {
  std::string profile_key;
  std::map<std::string, Measurement> steps;          // by signature
  std::map<std::string, int64_t> kernel_code_bytes;  // by kernel: code and constants of its object
  int64_t base_flash_bytes = 0;  // start-up code, bsp and C library of a program with no layers
  int64_t step_code_bytes = 0;   // the call of one step, mean
  int64_t run_overhead = 0;      // counter of a run with no layers

  // Signatures and kernels of `other` are added; measurements of equal name are replaced.
  void Merge(const LatencyTable& other);
  friend bool operator==(const LatencyTable&, const LatencyTable&) = default;
};

// docs/formats/latency-table.md: JSON, sorted keys.
std::string Serialize(const LatencyTable& table);
absl::StatusOr<LatencyTable> ParseLatencyTable(std::string_view text);

// Exact look-up: the sum over steps of what was measured for each signature.
class ProfiledLatency : public LatencyModel {
 public:
  explicit ProfiledLatency(LatencyTable table) : table_(std::move(table)) {}
  absl::StatusOr<Cost> Predict(const ProgramWork& work) const override;

 private:
  LatencyTable table_;
};

}  // namespace mico
