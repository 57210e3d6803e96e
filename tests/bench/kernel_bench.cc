// Instructions per multiply-accumulate of the packed kernels, in emulators that count exactly,
// requantization and clamp included, beside the figures of the field. Border MACs are counted.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "fmt/format.h"
#include "tests/bench/bench_report.h"
#include "tests/conformance/kernel_image.h"

namespace mico::conformance {
namespace {

struct Widths {
  int weight_bits;
  int activation_bits;
  // The row that must need more instructions than this one: an index into kWidths, -1 for the
  // first.
  int slower_row;
};
constexpr Widths kWidths[] = {{8, 8, -1}, {4, 8, 0}, {2, 8, 1}, {4, 4, 1}, {2, 2, 3}, {1, 1, 4}};
constexpr size_t kRows = std::size(kWidths);

struct Layer {
  std::string name;
  std::string operation;
  ConvSpec spec;
  // The best of the field for each row of kWidths, 0 where nobody has one: RV32IMC, Cortex-M4.
  double field[2][kRows];
};

ConvSpec Spec(const Shape& in, int64_t kernel, int64_t padding, int64_t groups, int64_t out) {
  ConvSpec spec;
  spec.in = in;
  spec.conv.kernel_height = spec.conv.kernel_width = kernel;
  spec.conv.padding = {padding, padding, padding, padding};
  spec.conv.groups = groups;
  spec.conv.out_channels = out;
  return spec;
}

std::vector<Layer> Layers() {
  return {
      {"conv 3x3 32-32",
       "conv2d",
       Spec({32, 16, 16}, 3, 1, 1, 32),
       {{3.97, 4.50, 8.86, 0, 0, 0}, {1.90, 1.86, 1.79, 1.88, 1.84, 0}}},
      {"pointwise 64-64",
       "conv2d",
       Spec({64, 16, 16}, 1, 0, 1, 64),
       {{4.78, 5.27, 9.06, 8.08, 15.7, 1.77}, {2.04, 1.99, 1.93, 1.99, 2.01, 0}}},
      {"depthwise 3x3 64",
       "depthwise_conv2d",
       Spec({64, 16, 16}, 3, 1, 64, 64),
       {{12.4, 17.7, 0, 0, 0, 0}, {8.61, 11.3, 11.3, 14.8, 14.1, 0}}},
      {"fully connected 256-64",
       "fully_connected",
       Spec({256, 1, 1}, 1, 0, 1, 64),
       {{4.74, 5.72, 8.86, 0, 0, 0}, {2.08, 5.07, 0, 0, 0, 0}}},
  };
}

int64_t Macs(const KernelCase& c) {
  return c.output().shape.height * c.output().shape.width *
         static_cast<int64_t>(c.numbers().weights.size());
}

struct Options {
  std::string only, json, optimization = "-O2";
  std::string folder = "kernel-bench-images";
  bool quick = false;
};

bool IsWanted(const Options& options, const std::string& name) {
  return options.only.empty() || name.find(options.only) != std::string::npos;
}

std::string NameOf(const Machine& machine, const Layer& layer, const Widths& widths) {
  return fmt::format("{} {} w{}a{}", machine.name, layer.name, widths.weight_bits,
                     widths.activation_bits);
}

std::vector<KernelCase> CasesOf(const Layer& layer) {
  std::vector<KernelCase> cases;
  for (const Widths& widths : kWidths) {
    const TensorType type{widths.activation_bits, false};
    cases.push_back(MakeConvCase(KernelFamily::kC99, layer.operation, layer.spec, type,
                                 widths.weight_bits, type, Pattern::kRandom, 1));
  }
  return cases;
}

// Fewer bits must be fewer instructions; a depthwise layer may not need more than with 8 bits
// (there requantization and unpacking weigh as much as the nine products; 1 bit has no scheme of
// its own).
void SetGoals(const Layer& layer, std::vector<Figure>& figures) {
  const bool depthwise = layer.operation == "depthwise_conv2d";
  for (size_t row = 0; row < kRows; ++row) {
    if (kWidths[row].slower_row < 0) continue;
    if (depthwise && kWidths[row].weight_bits == 1) continue;
    figures[row].kind = depthwise ? Goal::kAtMost : Goal::kBelow;
    figures[row].goal = figures[depthwise ? 0 : kWidths[row].slower_row].value;
  }
}

absl::StatusOr<std::vector<Figure>> Measure(const Layer& layer, const Machine& machine,
                                            int field_column, const Options& options) {
  const std::vector<KernelCase> cases = CasesOf(layer);
  const std::filesystem::path folder =
      std::filesystem::path(options.folder) / (machine.name + "-" + layer.operation);
  const absl::StatusOr<ImageResult> result = RunImage(cases, machine, folder, options.optimization);
  if (!result.ok()) return result.status();
  if (result->exit_code != 0 || result->counts.size() != cases.size()) {
    return absl::InternalError(fmt::format("{} {}: outputs differ from the oracle's:\n{}",
                                           machine.name, layer.name, result->output));
  }
  std::vector<Figure> figures;
  for (size_t row = 0; row < kRows; ++row) {
    Figure figure;
    figure.name = NameOf(machine, layer, kWidths[row]);
    figure.value = static_cast<double>(result->counts[row]) / static_cast<double>(Macs(cases[row]));
    const double field = layer.field[field_column][row];
    if (field > 0) figure.field = fmt::format("{:.2f}", field);
    figure.unit = "instructions/MAC";
    figure.decimals = 3;
    figures.push_back(figure);
  }
  SetGoals(layer, figures);
  return figures;
}

// Whether any figure of the layer is asked for; a layer is measured whole, its goals are relative.
bool AnyWanted(const Options& options, const Machine& machine, const Layer& layer) {
  return std::any_of(std::begin(kWidths), std::end(kWidths), [&](const Widths& widths) {
    return IsWanted(options, NameOf(machine, layer, widths));
  });
}

int Run(const Options& options) {
  const Machine machines[] = {Rv32(), CortexM4()};
  BenchReport report("kernels, compiled " + options.optimization);
  report.Start();
  for (int m = 0; m < (options.quick ? 1 : 2); ++m) {
    for (const Layer& layer : Layers()) {
      if (!AnyWanted(options, machines[m], layer)) continue;
      const absl::StatusOr<std::vector<Figure>> measured = Measure(layer, machines[m], m, options);
      if (!measured.ok()) {
        fmt::print(stderr, "kernel_bench: {}\n", measured.status().ToString());
        return 1;
      }
      for (const Figure& figure : *measured) {
        if (IsWanted(options, figure.name)) report.Add(figure);
      }
    }
  }
  if (report.figures().empty()) {
    fmt::print(stderr, "kernel_bench: nothing is called '{}'\n", options.only);
    return 1;
  }
  return report.Finish("kernel_bench", options.json);
}

}  // namespace
}  // namespace mico::conformance

int main(int argc, char** argv) {
  mico::conformance::Options options;
  CLI::App app{"Instructions per MAC of the packed kernels on RV32IMC and Cortex-M4 (QEMU)"};
  app.add_option("--only", options.only, "Figures whose name contains this");
  app.add_flag("--quick", options.quick, "RV32IMC only");
  app.add_option("--json", options.json, "Write the figures to this file");
  app.add_option("--optimization", options.optimization, "The compilers' -O flag");
  app.add_option("--folder", options.folder, "Where sources and programs are written");
  app.set_version_flag("--version", MICO_VERSION);
  CLI11_PARSE(app, argc, argv);
  return mico::conformance::Run(options);
}
