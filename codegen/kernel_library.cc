#include "codegen/kernel_library.h"

#include <algorithm>

#include "absl/status/status.h"
#include "base/digest.h"
#include "codegen/embedded_files.h"
#include "codegen/generate_c.h"
#include "codegen/pack_c99.h"
#include "codegen/round_up.h"
#include "fmt/format.h"
#include "quant/pack.h"

namespace mico {
namespace {

// A step with its tensors at hand.
struct StepView {
  const QuantizedGraph& graph;
  const Step& step;
  const QuantizedTensor& input(int index = 0) const { return graph.tensors[step.inputs[index]]; }
  const QuantizedTensor& output() const { return graph.tensors[step.output]; }
};

bool IsDepthwise(const StepView& view) {
  return view.step.conv().groups > 1 && view.step.conv().groups == view.input().shape.channels;
}

// One window that is the whole input: the kernel sees a matrix times a vector.
bool IsFullyConnected(const StepView& view) {
  const ConvAttributes& conv = view.step.conv();
  const Shape& in = view.input().shape;
  return conv.groups == 1 && conv.padding == Padding{} && conv.kernel_height == in.height &&
         conv.kernel_width == in.width && conv.dilation_height == 1 && conv.dilation_width == 1;
}

bool Always(const StepView&) { return true; }

bool HasPackedWidths(const StepView& view) {
  const int weights = ContainerBits(view.step.weight_bits);
  const int input = view.input().type.container_bits();
  return (weights == 1) == (input == 1);
}

bool IsPackedConv(const StepView& view) {
  return view.step.conv().groups == 1 && HasPackedWidths(view);
}

bool IsPackedFullyConnected(const StepView& view) {
  return IsFullyConnected(view) && HasPackedWidths(view);
}

bool IsPackedDepthwise(const StepView& view) {
  return IsDepthwise(view) && view.step.conv().out_channels == view.step.conv().groups;
}

// Both inputs are bytes. An output of 8 bits or less is written byte by byte.
bool IsAddOfBytes(const StepView& view) {
  return view.input(0).type.container_bits() == 8 && view.input(1).type.container_bits() == 8 &&
         view.output().type.container_bits() <= 8;
}

// A table of 256 results pays for itself.
bool IsRequantizeByTable(const StepView& view) {
  constexpr int64_t kTablePays = 256;
  return view.input().type.container_bits() == 8 && view.output().type.container_bits() <= 8 &&
         view.output().shape.elements() >= kTablePays;
}

int64_t NoScratch(const StepView&) { return 0; }

// One packed window: Kp activations.
int64_t PackedRowBytes(const StepView& view) {
  const ConvView conv = ViewConv(view.graph, view.step);
  return conv.input_container == 1 ? RoundUp(conv.reduction, 32) / 8 : RoundUp(conv.reduction, 16);
}

bool ReadsInputInPlace(const StepView& view) {
  const TensorType type = view.input().type;
  return type.container_bits() == 8 && !type.is_signed;
}

// codegen/kernels/README.md; the golden tests compare it with the kernels' own twins.
int64_t PackedConvScratch(const StepView& view) {
  const ConvAttributes& conv = view.step.conv();
  const Shape& in = view.input().shape;
  const Shape& out = view.output().shape;
  const bool direct = ReadsInputInPlace(view) && conv.kernel_height == 1 &&
                      conv.kernel_width == 1 && conv.padding.top == 0 && conv.padding.left == 0 &&
                      (out.height - 1) * conv.stride_height < in.height &&
                      (out.width - 1) * conv.stride_width < in.width;
  if (direct) return 0;
  const ConvView sizes = ViewConv(view.graph, view.step);
  const int weights = sizes.weight_container, input = sizes.input_container;
  const bool four_pixels =
      (weights == 8 && (input == 4 || input == 2)) || (weights == 4 && input == 4);
  return (four_pixels ? 4 : 2) * PackedRowBytes(view);
}

int64_t PackedFullyConnectedScratch(const StepView& view) {
  return ReadsInputInPlace(view) ? 0 : PackedRowBytes(view);
}

// Weights, the sums of a row and the part of the input that a band of rows needs; a word holds 2
// outputs, or bytes one each.
int64_t PackedDepthwiseScratch(const StepView& view) {
  constexpr int64_t kBand = 16;
  const ConvAttributes& conv = view.step.conv();
  const Shape& out = view.output().shape;
  const ConvView sizes = ViewConv(view.graph, view.step);
  const int64_t taps = conv.kernel_height * conv.kernel_width;
  const bool is_signed = view.input().type.is_signed;
  const int64_t most_x = (int64_t{1} << (sizes.input_container - is_signed)) - !is_signed;
  const int64_t most_w = std::max((1 << (sizes.weight_container - 1)) - 1, 1);
  const int64_t most = taps * most_x * most_w;
  const int64_t fields = most <= 32767 ? 2 : 1;
  const int64_t group = (out.width + fields - 1) / fields;
  const int64_t columns =
      (group - 1) * conv.stride_width + (conv.kernel_width - 1) * conv.dilation_width + 1;
  const int64_t band = std::min(out.height, std::max<int64_t>(kBand / conv.stride_height, 1));
  const int64_t rows =
      (band - 1) * conv.stride_height + (conv.kernel_height - 1) * conv.dilation_height + 1;
  return 4 * (taps + fields * group) + rows * columns * (fields == 1 ? 1 : 4);
}

// Which parts of a step's types are in a kernel's macros and name.
enum class Parameters { kConv, kAdd, kInput, kInputOutput, kContainer };

struct KernelTemplate {
  StepKind kind;
  std::string_view operation;
  std::string_view path;
  std::string_view declaration;
  std::string_view isa;  // "c99": everywhere
  Parameters parameters;
  bool (*is_legal)(const StepView&);
  WeightPacking packing;
  int64_t (*scratch_bytes)(const StepView&);
  bool offsets_signed_input;
  bool takes_parameters;
  bool may_overwrite_input;
};

// In order of preference for each kind.
constexpr KernelTemplate kTemplates[] = {
    {StepKind::kConv, "fully_connected", "c99/fully_connected.inc", "MICO_DECLARE_FULLY_CONNECTED",
     "c99", Parameters::kConv, IsPackedFullyConnected, WeightPacking::kC99,
     PackedFullyConnectedScratch, true, false, false},
    {StepKind::kConv, "conv2d", "c99/conv2d.inc", "MICO_DECLARE_CONV2D", "c99", Parameters::kConv,
     IsPackedConv, WeightPacking::kC99, PackedConvScratch, true, true, false},
    {StepKind::kConv, "depthwise_conv2d", "c99/depthwise_conv2d.inc",
     "MICO_DECLARE_DEPTHWISE_CONV2D", "c99", Parameters::kConv, IsPackedDepthwise,
     WeightPacking::kCanonical, PackedDepthwiseScratch, false, true, false},
    {StepKind::kConv, "fully_connected", "reference/fully_connected.inc",
     "MICO_DECLARE_FULLY_CONNECTED", "c99", Parameters::kConv, IsFullyConnected,
     WeightPacking::kCanonical, NoScratch, false, false, false},
    {StepKind::kConv, "depthwise_conv2d", "reference/depthwise_conv2d.inc",
     "MICO_DECLARE_DEPTHWISE_CONV2D", "c99", Parameters::kConv, IsDepthwise,
     WeightPacking::kCanonical, NoScratch, false, true, false},
    {StepKind::kConv, "conv2d", "reference/conv2d.inc", "MICO_DECLARE_CONV2D", "c99",
     Parameters::kConv, Always, WeightPacking::kCanonical, NoScratch, false, true, false},
    {StepKind::kAdd, "add", "c99/add.inc", "MICO_DECLARE_ADD", "c99", Parameters::kAdd,
     IsAddOfBytes, WeightPacking::kNone, NoScratch, false, true, true},
    {StepKind::kAdd, "add", "reference/add.inc", "MICO_DECLARE_ADD", "c99", Parameters::kAdd,
     Always, WeightPacking::kNone, NoScratch, false, true, true},
    {StepKind::kMaxPool, "max_pool", "reference/max_pool.inc", "MICO_DECLARE_MAX_POOL", "c99",
     Parameters::kInput, Always, WeightPacking::kNone, NoScratch, false, true, false},
    {StepKind::kAveragePool, "average_pool", "reference/average_pool.inc",
     "MICO_DECLARE_AVERAGE_POOL", "c99", Parameters::kInputOutput, Always, WeightPacking::kNone,
     NoScratch, false, true, false},
    {StepKind::kRelu, "relu", "reference/relu.inc", "MICO_DECLARE_RELU", "c99", Parameters::kInput,
     Always, WeightPacking::kNone, NoScratch, false, true, true},
    {StepKind::kConcat, "concat", "reference/concat.inc", "MICO_DECLARE_CONCAT", "c99",
     Parameters::kContainer, Always, WeightPacking::kNone, NoScratch, false, false, false},
    {StepKind::kSlice, "slice", "reference/slice.inc", "MICO_DECLARE_SLICE", "c99",
     Parameters::kContainer, Always, WeightPacking::kNone, NoScratch, false, true, false},
    {StepKind::kPad, "pad", "reference/pad.inc", "MICO_DECLARE_PAD", "c99", Parameters::kContainer,
     Always, WeightPacking::kNone, NoScratch, false, true, false},
    {StepKind::kRequantize, "requantize", "c99/requantize.inc", "MICO_DECLARE_REQUANTIZE", "c99",
     Parameters::kInputOutput, IsRequantizeByTable, WeightPacking::kNone, NoScratch, false, true,
     true},
    {StepKind::kRequantize, "requantize", "reference/requantize.inc", "MICO_DECLARE_REQUANTIZE",
     "c99", Parameters::kInputOutput, Always, WeightPacking::kNone, NoScratch, false, true, true},
};

// "u4": a container, not the width.
std::string ContainerName(TensorType type) {
  return fmt::format("{}{}", type.is_signed ? 's' : 'u', type.container_bits());
}

// Names and macros of the parts that `parameters` asks for. An output's signedness is in its clamp:
// one kernel serves both.
void Instantiate(const StepView& view, Parameters parameters, KernelInstance& kernel) {
  const TensorType x = view.input().type;
  const TensorType y = view.output().type;
  const auto add = [&kernel](std::string_view macro, int value) {
    kernel.macros.push_back({macro, value});
  };
  add("MICO_X_BITS", x.container_bits());
  if (parameters == Parameters::kContainer) {
    kernel.name += fmt::format("_{}", x.container_bits());
    return;
  }
  add("MICO_X_SIGNED", x.is_signed ? 1 : 0);
  kernel.name += fmt::format("_{}", ContainerName(x));
  if (parameters == Parameters::kInput) return;
  if (parameters == Parameters::kAdd) {
    const TensorType b = view.input(1).type;
    add("MICO_B_BITS", b.container_bits());
    add("MICO_B_SIGNED", b.is_signed ? 1 : 0);
    kernel.name += fmt::format("_{}", ContainerName(b));
  }
  if (parameters == Parameters::kConv) {
    const int weights = ContainerBits(view.step.weight_bits);
    add("MICO_W_BITS", weights);
    kernel.name += fmt::format("_s{}", weights);
  }
  add("MICO_Y_BITS", y.container_bits());
  kernel.name += fmt::format("_{}", y.container_bits());
}

int64_t WeightBytes(const StepView& view, WeightPacking packing) {
  if (packing == WeightPacking::kNone) return 0;
  const ConvView conv = ViewConv(view.graph, view.step);
  if (packing == WeightPacking::kC99) {
    return 4 * CountC99Words(conv.out_channels, conv.reduction, conv.weight_container,
                             conv.input_container);
  }
  return RoundUp(conv.out_channels * ((conv.reduction * conv.weight_container + 7) / 8), 4);
}

bool IsPacked(const KernelTemplate& entry) { return entry.path.substr(0, 4) == "c99/"; }

StepKernel Describe(const KernelTemplate& entry, const StepView& view) {
  StepKernel chosen;
  chosen.kernel.name = fmt::format("mico_{}", entry.operation);
  chosen.kernel.template_path = entry.path;
  chosen.kernel.declaration = entry.declaration;
  Instantiate(view, entry.parameters, chosen.kernel);
  if (IsPacked(entry)) chosen.kernel.name += "_c99";
  chosen.packing = entry.packing;
  chosen.offsets_signed_input = entry.offsets_signed_input && view.input().type.is_signed;
  chosen.takes_parameters = entry.takes_parameters;
  chosen.weight_bytes = WeightBytes(view, entry.packing);
  chosen.scratch_bytes = RoundUp(entry.scratch_bytes(view), 4);
  chosen.may_overwrite_input = entry.may_overwrite_input;
  return chosen;
}

bool RunsOn(const KernelTemplate& entry, const Target& target) {
  return entry.isa == "c99" || entry.isa == target.isa;
}

bool HasKnownWidths(const StepView& view) {
  for (const int input : view.step.inputs) {
    const int bits = view.graph.tensors[input].type.bits;
    if (bits < 1 || bits > 8) return false;
  }
  const int output_bits = view.output().type.bits;
  const bool output_fits = (output_bits >= 1 && output_bits <= 8) || output_bits == 16;
  const bool weights_fit = view.step.kind != StepKind::kConv ||
                           (view.step.weight_bits >= 1 && view.step.weight_bits <= 8);
  return output_fits && weights_fit;
}

}  // namespace

ConvView ViewConv(const QuantizedGraph& graph, const Step& step) {
  const ConvAttributes& conv = step.conv();
  const QuantizedTensor& input = graph.tensors[step.inputs[0]];
  return {.weight_container = ContainerBits(step.weight_bits),
          .input_container = input.type.container_bits(),
          .input_signed = input.type.is_signed,
          .out_channels = conv.out_channels,
          .reduction = input.shape.channels / conv.groups * conv.kernel_height * conv.kernel_width};
}

std::vector<uint32_t> PackFor(WeightPacking packing, const ConvView& conv,
                              std::span<const int8_t> weights) {
  if (packing == WeightPacking::kC99) {
    return PackC99(weights, conv.out_channels, conv.reduction, conv.weight_container,
                   conv.input_container);
  }
  const std::vector<uint8_t> bytes = PackWeights(weights, conv.reduction, conv.weight_container);
  std::vector<uint32_t> words((bytes.size() + 3) / 4, 0);
  for (size_t i = 0; i < bytes.size(); ++i) {
    words[i / 4] |= static_cast<uint32_t>(bytes[i]) << (8 * (i % 4));
  }
  return words;
}

absl::StatusOr<StepKernel> SelectKernel(const QuantizedGraph& graph, const Step& step,
                                        const Target& target) {
  const StepView view{graph, step};
  if (HasKnownWidths(view)) {
    for (const KernelTemplate& entry : kTemplates) {
      if (entry.kind != step.kind || !RunsOn(entry, target) || !entry.is_legal(view)) continue;
      return Describe(entry, view);
    }
  }
  return absl::UnimplementedError(fmt::format(
      "step '{}' ({}): {}-bit weights, input {}, output {}; target '{}' has kernels for weights of "
      "1-8 bits, activations of 1-8 bits and outputs of 16 bits",
      step.name, ToString(step.kind), step.weight_bits, view.input().type.ToString(),
      view.output().type.ToString(), target.name));
}

std::vector<std::string_view> IncludedTemplates(const KernelInstance& kernel) {
  std::vector<std::string_view> files{kernel.template_path};
  // What the template itself includes lies beside it.
  const std::string_view folder =
      kernel.template_path.substr(0, kernel.template_path.find('/') + 1);
  const std::string_view text = Embedded(fmt::format("kernels/{}", kernel.template_path));
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    const std::string prefix = fmt::format("kernels/{}", folder);
    if (file.path.substr(0, prefix.size()) != prefix) continue;
    const std::string_view name = file.path.substr(prefix.size());
    if (text.find(fmt::format("#include \"{}\"", name)) != std::string_view::npos) {
      files.push_back(file.path.substr(std::string_view("kernels/").size()));
    }
  }
  return files;
}

std::string KernelSource(const KernelInstance& kernel) {
  std::string text = "#include \"mico_kernel.h\"\n\n";
  text += fmt::format("#define MICO_NAME {}\n", kernel.name);
  for (const KernelMacro& macro : kernel.macros) {
    text += fmt::format("#define {} {}\n", macro.name, macro.value);
  }
  return text + fmt::format("#include \"{}\"\n", kernel.template_path);
}

std::string KernelLibraryDigest() {
  DigestBuilder digest;
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    if (file.path.substr(0, 8) != "kernels/") continue;
    digest.Update(fmt::format("{} {}\n", file.path, file.content.size()));
    digest.Update(file.content);
  }
  return digest.Finish().hex();
}

}  // namespace mico
