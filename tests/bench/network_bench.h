#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "tests/bench/bench_report.h"
#include "worker/torch/torch_evaluator.h"

// What the benchmarks have in common that evaluate real networks.
namespace mico {

struct NetworkBenchOptions {
  std::filesystem::path data;
  std::string json, only;
  bool quick = false;
  int threads = 0;  // 0: one for each core

  bool IsWanted(std::string_view name) const { return only.empty() || only == name; }
};

// Adds the options to `app`, which names the figures that --only knows.
void AddOptions(CLI::App& app, const std::string& figures, NetworkBenchOptions& options);

// Measures and gives the program's exit code (bench_report.h); what is thrown counts as an error.
int RunNetworkBench(const std::string& program, const std::string& title,
                    const NetworkBenchOptions& options,
                    const std::function<absl::Status(BenchReport&)>& measure);

// A network with its data, calibrated.
struct BenchNetwork {
  std::string name;
  ModelPackage package;
  Dataset dataset;
  Calibration calibration;
  double float_percent = 0.0;  // of val and test

  BitScheme Uniform(int weight_bits, int input_bits) const {
    return BitScheme::Uniform(weight_bits, input_bits, InputLayers(package.graph));
  }
};

// Calibrates with `samples` of train.
absl::StatusOr<BenchNetwork> Calibrated(std::string name, ModelPackage package, Dataset dataset,
                                        int64_t samples, TorchEvaluator& evaluator);
// The files of ../shared/data.
absl::StatusOr<BenchNetwork> LoadResNet20(const NetworkBenchOptions& options, int64_t samples,
                                          TorchEvaluator& evaluator);
absl::StatusOr<BenchNetwork> LoadLeNet5(const NetworkBenchOptions& options, int64_t samples,
                                        TorchEvaluator& evaluator);

// Holds logits against those of the oracle.
class OracleComparison {
 public:
  // `logits`: of the first images of a split, one after another; the first `images` are compared.
  absl::Status Compare(const QuantizedModel& model, const Dataset& dataset, Split split,
                       const std::vector<int32_t>& logits, size_t width, int64_t images);
  // Adds the figure; Internal if nothing was compared.
  absl::Status Report(const std::string& name, BenchReport& report) const;

 private:
  int64_t unequal_ = 0, compared_ = 0;
};

}  // namespace mico
