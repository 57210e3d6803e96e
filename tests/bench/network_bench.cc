#include "tests/bench/network_bench.h"

#include <cstdio>
#include <exception>
#include <utility>

#include "base/file.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/importer.h"
#include "quant/interpreter.h"
#include "tests/support/paths.h"
#include "tests/support/raw_data.h"

namespace mico {
namespace {

constexpr double kPercent = 100.0;

template <typename LoadDataset>
absl::StatusOr<BenchNetwork> Load(std::string name, const std::filesystem::path& model,
                                  const LoadDataset& load, const NetworkBenchOptions& options,
                                  int64_t samples, TorchEvaluator& evaluator) {
  MICO_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(options.data / "models" / model));
  MICO_ASSIGN_OR_RETURN(ModelPackage package, OnnxImporter().Import(bytes));
  MICO_ASSIGN_OR_RETURN(Dataset dataset, load(options.data));
  return Calibrated(std::move(name), std::move(package), std::move(dataset), samples, evaluator);
}

}  // namespace

void AddOptions(CLI::App& app, const std::string& figures, NetworkBenchOptions& options) {
  options.data = DataFolder(kSourceFolder).value_or("../shared/data");
  app.add_option("--data", options.data, "The folder of development data");
  app.add_option("--json", options.json, "Write the figures to this file");
  app.add_option("--only", options.only, figures);
  app.add_flag("--quick", options.quick, "Less of everything: for while working");
  app.add_option("--threads", options.threads, "Threads; 0: one for each core");
  app.set_version_flag("--version", MICO_VERSION);
}

int RunNetworkBench(const std::string& program, const std::string& title,
                    const NetworkBenchOptions& options,
                    const std::function<absl::Status(BenchReport&)>& measure) {
  BenchReport report(title);
  absl::Status status;
  try {
    report.Start();
    status = measure(report);
    if (status.ok() && report.figures().empty()) {
      status = absl::InvalidArgumentError(fmt::format("no figure is called '{}'", options.only));
    }
  } catch (const std::exception& error) {
    status = absl::InternalError(error.what());
  }
  if (status.ok()) return report.Finish(program, options.json);
  fmt::print(stderr, "{}: {}\n", program, status.ToString());
  return 1;
}

absl::StatusOr<BenchNetwork> Calibrated(std::string name, ModelPackage package, Dataset dataset,
                                        int64_t samples, TorchEvaluator& evaluator) {
  MICO_ASSIGN_OR_RETURN(CalibrationOutcome outcome,
                        evaluator.Calibrate(package, dataset, samples, 1, Metric::kTop1, nullptr));
  const int64_t correct = outcome.float_val.correct + outcome.float_test.correct;
  const int64_t total = outcome.float_val.total + outcome.float_test.total;
  return BenchNetwork{std::move(name), std::move(package), std::move(dataset),
                      std::move(outcome.calibration),
                      kPercent * CountScore(Metric::kTop1, correct, total).value};
}

absl::StatusOr<BenchNetwork> LoadResNet20(const NetworkBenchOptions& options, int64_t samples,
                                          TorchEvaluator& evaluator) {
  return Load("ResNet-20", "resnet20-cifar10/resnet20_cifar10.onnx", LoadCifar10, options, samples,
              evaluator);
}

absl::StatusOr<BenchNetwork> LoadLeNet5(const NetworkBenchOptions& options, int64_t samples,
                                        TorchEvaluator& evaluator) {
  return Load("LeNet-5", "lenet5-mnist/lenet5_mnist.onnx", LoadMnist32, options, samples,
              evaluator);
}

absl::Status OracleComparison::Compare(const QuantizedModel& model, const Dataset& dataset,
                                       Split split, const std::vector<int32_t>& logits,
                                       size_t width, int64_t images) {
  for (int64_t image = 0; image < images; ++image) {
    MICO_ASSIGN_OR_RETURN(const std::vector<IntegerTensor> oracle,
                          RunInteger(model, QuantizeInput(model, dataset.Prepared(split, image))));
    for (size_t c = 0; c < width; ++c, ++compared_) {
      unequal_ += logits[image * width + c] != oracle.front()[c];
    }
  }
  return absl::OkStatus();
}

absl::Status OracleComparison::Report(const std::string& name, BenchReport& report) const {
  if (compared_ == 0) return absl::InternalError("no logit was compared with the oracle");
  report.Add({name + ": logits unequal to the oracle", static_cast<double>(unequal_), 0.0,
              fmt::format("of {}", compared_), "-", Goal::kAtMost});
  return absl::OkStatus();
}

}  // namespace mico
