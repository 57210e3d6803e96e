// What the example network costs on two emulated microcontrollers at several bit schemes: whether
// fewer bits are fewer instructions, and how far predictions are from linked programs.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "tests/bench/bench_report.h"
#include "tests/bench/latency_bench_measure.h"
#include "tests/bench/latency_bench_schemes.h"
#include "tests/support/paths.h"
#include "worker/torch/runtime.h"

namespace mico {
namespace {

constexpr double kPercent = 100.0;
constexpr double kMostErrorPercent = 5.0;

struct Options {
  std::filesystem::path model, data, catalogue;
  std::vector<std::string> targets{"rv32imc", "cortex-m4"};
  std::vector<std::string> schemes;
  std::string only, json, optimization;
  bool quick = false, layers = false;
};

// The rows of one scheme on one target.
constexpr const char* kRows[] = {
    "latency",        "latency, predicted", "latency, error",         "ratio",
    "flash",          "flash, predicted",   "flash, error",           "RAM",
    "RAM, predicted", "RAM, error",         "self-tests that differ",
};

std::string NameOf(const std::string& target, const std::string& label, const std::string& row) {
  return fmt::format("{} {} {}", target, label, row);
}

class Bench {
 public:
  Bench(const Options& options, BenchReport& report) : options_(options), report_(report) {}

  absl::Status Run() {
    MICO_ASSIGN_OR_RETURN(network_, LoadNetwork(options_.model, options_.data));
    MICO_ASSIGN_OR_RETURN(const std::vector<LabelledScheme> schemes, Schemes());
    PrintLegend(schemes);
    report_.Start();
    for (const std::string& target : options_.targets) {
      if (options_.quick && target != options_.targets.front()) break;
      MICO_RETURN_IF_ERROR(RunTarget(target, schemes));
    }
    if (!report_.figures().empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(fmt::format("no figure's name contains '{}'", options_.only));
  }

 private:
  absl::StatusOr<std::vector<LabelledScheme>> Schemes() const {
    const Graph& graph = network_.package.graph;
    std::vector<LabelledScheme> schemes = UniformSchemes(graph);
    MICO_ASSIGN_OR_RETURN(std::vector<LabelledScheme> others,
                          GivenSchemes(graph, options_.schemes));
    if (others.empty() && !options_.quick) others = MixedSchemes(graph);
    std::move(others.begin(), others.end(), std::back_inserter(schemes));
    return schemes;
  }

  static void PrintLegend(const std::vector<LabelledScheme>& schemes) {
    for (const LabelledScheme& labelled : schemes) {
      fmt::print("{}: {}\n", labelled.label, labelled.scheme.ToString());
    }
    fmt::print("\n");
  }

  bool IsWanted(const std::string& name) const {
    return options_.only.empty() || name.find(options_.only) != std::string::npos;
  }

  // Uniform schemes are measured together: a ratio needs the one above.
  bool IsAnyWanted(const std::string& target, const std::string& label) const {
    return std::any_of(std::begin(kRows), std::end(kRows),
                       [&](const char* row) { return IsWanted(NameOf(target, label, row)); });
  }

  absl::StatusOr<TargetFile> LoadTarget(const std::string& target) const {
    MICO_ASSIGN_OR_RETURN(TargetFile file, LoadTargetFile(options_.catalogue / (target + ".yaml")));
    if (options_.optimization.empty()) return file;
    std::erase_if(file.toolchain.cflags,
                  [](const std::string& flag) { return flag.starts_with("-O"); });
    file.toolchain.cflags.push_back(options_.optimization);
    return file;
  }

  absl::Status RunTarget(const std::string& target, const std::vector<LabelledScheme>& all) {
    std::vector<LabelledScheme> schemes;
    const size_t uniform = UniformSchemes(network_.package.graph).size();
    const bool any_uniform = std::any_of(all.begin(), all.begin() + uniform, [&](const auto& s) {
      return IsAnyWanted(target, s.label);
    });
    for (size_t i = 0; i < all.size(); ++i) {
      if (i < uniform ? any_uniform : IsAnyWanted(target, all[i].label)) schemes.push_back(all[i]);
    }
    if (schemes.empty()) return absl::OkStatus();
    MICO_ASSIGN_OR_RETURN(const TargetFile file, LoadTarget(target));
    fmt::print("{}: {}\n", target, fmt::join(file.toolchain.cflags, " "));
    MICO_ASSIGN_OR_RETURN(const std::vector<SchemeCost> costs,
                          MeasureSchemes(network_, file, schemes, options_.layers));
    for (size_t i = 0; i < schemes.size(); ++i) {
      const bool has_ratio = any_uniform && i > 0 && i < uniform;
      Report(file.target, schemes[i].label, costs[i], has_ratio ? &costs[i - 1] : nullptr);
    }
    return absl::OkStatus();
  }

  void Add(const std::string& target, const std::string& label, Figure figure) {
    figure.name = NameOf(target, label, figure.name);
    if (IsWanted(figure.name)) report_.Add(std::move(figure));
  }

  // What was measured, what was predicted, and how far apart they are.
  void AddPredicted(const std::string& target, const std::string& label, const std::string& row,
                    const std::string& unit, int64_t measured, int64_t predicted) {
    const double error = kPercent * static_cast<double>(predicted - measured) /
                         static_cast<double>(std::max<int64_t>(1, measured));
    Add(target, label,
        {.name = row, .value = static_cast<double>(measured), .unit = unit, .decimals = 0});
    Add(target, label,
        {.name = row + ", predicted",
         .value = static_cast<double>(predicted),
         .unit = unit,
         .decimals = 0});
    Add(target, label,
        {.name = row + ", error",
         .value = std::abs(error),
         .goal = kMostErrorPercent,
         .unit = "%",
         .kind = Goal::kAtMost});
  }

  void Report(const Target& on, const std::string& label, const SchemeCost& cost,
              const SchemeCost* wider) {
    const std::string& target = on.name;
    const std::string unit(ToString(on.counts));
    const ArtifactResult& measured = cost.measured;
    AddPredicted(target, label, "latency", unit, measured.measured_count,
                 cost.predicted.latency_cycles);
    if (wider != nullptr) {
      Add(target, label,
          {.name = "ratio",
           .value = static_cast<double>(measured.measured_count) /
                    static_cast<double>(wider->measured.measured_count),
           .goal = 1.0,
           .unit = "of twice the bits",
           .kind = Goal::kBelow,
           .decimals = 3});
    }
    AddPredicted(target, label, "flash", "bytes", measured.measured_flash_bytes,
                 cost.predicted.flash_bytes);
    AddPredicted(target, label, "RAM", "bytes", measured.measured_ram_bytes,
                 cost.predicted.peak_ram_bytes);
    Add(target, label,
        {.name = "self-tests that differ",
         .value = static_cast<double>(!measured.self_test_host + !measured.self_test_board),
         .goal = 0.0,
         .unit = "of 2 machines",
         .kind = Goal::kAtMost,
         .decimals = 0});
    PrintSteps(cost.steps);
  }

  static void PrintSteps(const std::vector<StepCount>& steps) {
    for (size_t i = 0; i < steps.size(); ++i) {
      const StepCount& step = steps[i];
      fmt::print("  {:>2} {:>9} predicted {:>9} {:>+6.2f} %  {:<28} {}\n", i, step.measured,
                 step.predicted,
                 kPercent * static_cast<double>(step.predicted - step.measured) /
                     static_cast<double>(std::max<int64_t>(1, step.measured)),
                 step.name, step.signature);
    }
  }

  const Options& options_;
  BenchReport& report_;
  CalibratedNetwork network_;
};

int Run(const Options& options) {
  BenchReport report("one inference");
  const absl::Status status = Bench(options, report).Run();
  if (!status.ok()) {
    fmt::print(stderr, "latency_bench: {}\n", status.ToString());
    return 1;
  }
  return report.Finish("latency_bench", options.json);
}

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  mico::PrepareProcess(argc, argv);
  const std::filesystem::path source = mico::kSourceFolder;
  mico::Options options;
  options.model = source / "examples/fashion-mnist/fashion_mnist.onnx";
  options.data = source / "examples/fashion-mnist/fashion_mnist.npz";
  options.catalogue = source / "target/catalogue";
  CLI::App app{"Predicted and real latency, RAM and flash of a network on emulated devices"};
  app.add_option("--model", options.model, "The network, ONNX");
  app.add_option("--data", options.data, "Its data set, .npz");
  app.add_option("--catalogue", options.catalogue, "The folder of target files");
  app.add_option("--target", options.targets, "Targets of the catalogue");
  app.add_option("--scheme", options.schemes,
                 "w8a8,w4a8,...: one for each layer; repeat for more (default: three mixed ones)")
      ->expected(1)
      ->take_all();
  app.add_option("--optimization", options.optimization,
                 "The compilers' -O flag instead of the target file's");
  app.add_flag("--layers", options.layers, "Counts of every step as well");
  app.add_option("--only", options.only, "Figures whose name contains this");
  app.add_flag("--quick", options.quick, "The first target and uniform schemes only");
  app.add_option("--json", options.json, "Write the figures to this file");
  app.set_version_flag("--version", MICO_VERSION);
  CLI11_PARSE(app, argc, argv);
  try {
    return mico::Run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "latency_bench: {}\n", error.what());
    return 1;
  }
}
