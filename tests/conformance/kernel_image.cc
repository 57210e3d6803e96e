#include "tests/conformance/kernel_image.h"

#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>

#include "absl/status/status.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "quant/pack.h"
#include "tests/conformance/packed_weights.h"
#include "tests/support/paths.h"

namespace mico::conformance {
namespace {

// Printing and checking, in C99 for every machine. Outputs and scratch are surrounded by bytes that
// must stay.
constexpr char kIncludes[] = R"(#include "mico_bsp.h"
#include "mico_kernel.h"
)";
constexpr char kChecks[] = R"(
#define GUARD 16
#define OUT_BYTES 400000
#define SCRATCH_WORDS 65536
static uint8_t out_buffer[OUT_BYTES];
static uint32_t scratch[SCRATCH_WORDS];
static int failed;
int main(void);

static void print(const char *text) {
  while (*text != '\0') mico_bsp_putc(*text++);
}
static void print_number(uint64_t number) {
  char digits[21];
  int n = 20;
  digits[20] = '\0';
  do {
    digits[--n] = (char)('0' + (int)(number % 10u));
    number /= 10u;
  } while (number != 0);
  print(digits + n);
}
static uint32_t hash(const uint8_t *bytes, int32_t count) {
  uint32_t value = 2166136261u;
  int32_t i;
  for (i = 0; i < count; ++i) value = (value ^ bytes[i]) * 16777619u;
  return value;
}
static void before(int32_t out_bytes, int32_t scratch_bytes) {
  memset(out_buffer, 0xa5, (size_t)(out_bytes + 2 * GUARD));
  memset(scratch, 0xa5, (size_t)(scratch_bytes + GUARD));
}
static int changed(const uint8_t *bytes) {
  int i;
  for (i = 0; i < GUARD; ++i) {
    if (bytes[i] != 0xa5u) return 1;
  }
  return 0;
}
static void after(int index, int32_t out_bytes, uint32_t expected, int32_t scratch_bytes,
                  int32_t expected_scratch, uint64_t count) {
  const char *verdict = "ok";
  if (hash(out_buffer + GUARD, out_bytes) != expected) verdict = "wrong output";
  if (changed(out_buffer) || changed(out_buffer + GUARD + out_bytes)) verdict = "wrote outside";
  if (changed((const uint8_t *)scratch + scratch_bytes)) verdict = "left scratch";
  if (scratch_bytes != expected_scratch) verdict = "scratch size";
  if (verdict[0] != 'o') ++failed;
  print("mico: case ");
  print_number((uint64_t)index);
  print(" ");
  print_number(count);
  print(" ");
  print(verdict);
  print("\n");
}
)";

uint32_t Fnv1a(const std::vector<uint8_t>& bytes) {
  uint32_t value = 2166136261u;
  for (const uint8_t byte : bytes) value = (value ^ byte) * 16777619u;
  return value;
}

std::string MacrosOf(const KernelCase& c) {
  std::string text;
  const auto define = [&](std::string_view name, auto value) {
    text += fmt::format("#define MICO_{} {}\n", name, value);
  };
  define("NAME", c.KernelName());
  define("X_BITS", c.input().type.container_bits());
  define("X_SIGNED", static_cast<int>(c.input().type.is_signed));
  if (c.operation == "add") {
    define("B_BITS", c.input(1).type.container_bits());
    define("B_SIGNED", static_cast<int>(c.input(1).type.is_signed));
  }
  if (c.is_conv_like()) define("W_BITS", ContainerBits(c.step().weight_bits));
  define("Y_BITS", c.output().type.container_bits());
  text += fmt::format("#include \"{}/{}.inc\"\n",
                      c.family == KernelFamily::kC99 ? "c99" : "reference", c.operation);
  for (const char* name :
       {"NAME", "X_BITS", "X_SIGNED", "B_BITS", "B_SIGNED", "W_BITS", "Y_BITS"}) {
    text += fmt::format("#undef MICO_{}\n", name);
  }
  return text;
}

std::string Instantiations(const std::vector<KernelCase>& cases) {
  std::set<std::string> done;
  std::string text;
  for (const KernelCase& c : cases) {
    if (done.insert(c.KernelName()).second) text += MacrosOf(c);
  }
  return text;
}

template <typename T>
std::string Array(std::string_view type, std::string_view name, const std::vector<T>& values) {
  std::vector<std::string> words;
  for (const T value : values) {
    const bool is_word = std::is_unsigned_v<T> && sizeof(T) == 4;
    const bool is_least = !is_word && static_cast<int64_t>(value) == INT32_MIN;
    words.push_back(is_least ? "INT32_MIN" : std::to_string(value) + (is_word ? "u" : ""));
  }
  return fmt::format("  static const {} {}[] = {{{}}};\n", type, name, fmt::join(words, ","));
}

std::string ShapeText(const Shape& shape) {
  return fmt::format("{{{}, {}, {}}}", shape.height, shape.width, shape.channels);
}

int64_t PerChannel(const KernelCase& c) {
  return static_cast<int64_t>(c.numbers().weights.size()) / c.output().shape.channels;
}

bool IsPackedProduct(const KernelCase& c) {
  return c.family == KernelFamily::kC99 && c.operation != "depthwise_conv2d";
}

// Bias as the family wants it: codegen/kernels/README.md, "Bias of signed inputs".
std::vector<int32_t> BiasOf(const KernelCase& c) {
  std::vector<int32_t> bias = c.numbers().bias;
  if (!IsPackedProduct(c) || !c.input().type.is_signed) return bias;
  const uint32_t zero = 1u << (c.input().type.container_bits() - 1);
  for (size_t o = 0; o < bias.size(); ++o) {
    for (int64_t k = 0; k < PerChannel(c); ++k) {
      const uint32_t product = zero * c.numbers().weights[o * PerChannel(c) + k];
      bias[o] = static_cast<int32_t>(static_cast<uint32_t>(bias[o]) - product);
    }
  }
  return bias;
}

std::string RequantText(const KernelCase& c) {
  std::vector<int32_t> multipliers;
  std::vector<int32_t> shifts;
  for (const FixedPointScale& scale : c.numbers().scales) {
    multipliers.push_back(scale.multiplier);
    shifts.push_back(scale.shift);
  }
  return Array("int32_t", "bias", BiasOf(c)) + Array("int32_t", "multiplier", multipliers) +
         Array("int8_t", "shift", shifts) +
         fmt::format(
             "  static const mico_requant_t requant = {{bias, multiplier, shift, {}, {}}};\n",
             c.numbers().lowest, c.numbers().highest);
}

std::string WeightsText(const KernelCase& c) {
  const int bits = ContainerBits(c.step().weight_bits);
  const SharedWeights& weights = c.numbers().weights;
  if (!IsPackedProduct(c)) {
    return Array("uint8_t", "weights", PackWeights(weights, PerChannel(c), bits));
  }
  return Array("uint32_t", "weights",
               PackForC99(weights, c.output().shape.channels, PerChannel(c), bits,
                          c.input().type.container_bits()));
}

// The formula of codegen/kernels/README.md.
int64_t ScratchBytes(const KernelCase& c) {
  if (c.family == KernelFamily::kReference) return 0;
  const ConvAttributes& conv = c.step().conv();
  const Shape in = c.input().shape;
  const Shape out = c.output().shape;
  const int x = c.input().type.container_bits();
  const int w = ContainerBits(c.step().weight_bits);
  if (c.operation == "depthwise_conv2d") {
    const int64_t taps = conv.kernel_height * conv.kernel_width;
    const int64_t most_x = c.input().type.is_signed ? 1 << (x - 1) : (1 << x) - 1;
    const int64_t bound = taps * most_x * (w == 1 ? 1 : (1 << (w - 1)) - 1);
    const int64_t fields = bound <= 32767 ? 2 : 1;
    const int64_t group = (out.width + fields - 1) / fields;
    const int64_t columns =
        (group - 1) * conv.stride_width + (conv.kernel_width - 1) * conv.dilation_width + 1;
    const int64_t band = std::min(out.height, std::max<int64_t>(1, 16 / conv.stride_height));
    const int64_t rows =
        (band - 1) * conv.stride_height + (conv.kernel_height - 1) * conv.dilation_height + 1;
    const int64_t plane = rows * columns * (fields == 1 ? 1 : 4);
    return 4 * (taps + fields * group) + (plane + 3) / 4 * 4;
  }
  const bool plain_bytes = x == 8 && !c.input().type.is_signed;
  const bool ones = x == 1 && w == 1;
  const int64_t row = ones ? (PerChannel(c) + 31) / 32 * 4 : (PerChannel(c) + 15) / 16 * 16;
  if (c.operation == "fully_connected") return plain_bytes ? 0 : row;
  const bool inside = conv.padding.top == 0 && conv.padding.left == 0 &&
                      (out.height - 1) * conv.stride_height < in.height &&
                      (out.width - 1) * conv.stride_width < in.width;
  if (plain_bytes && conv.kernel_height == 1 && conv.kernel_width == 1 && inside) return 0;
  const bool four_rows = (w == 8 && x < 8) || (w == 4 && x == 4);
  return row * (four_rows ? 4 : 2);
}

std::string ConvText(const KernelCase& c) {
  const ConvAttributes& conv = c.step().conv();
  return fmt::format(
             "  static const mico_conv2d_params_t params = "
             "{{{}, {}, {}, {}, {}, {}, {}, {}, {}}};\n",
             conv.kernel_height, conv.kernel_width, conv.stride_height, conv.stride_width,
             conv.padding.top, conv.padding.left, conv.dilation_height, conv.dilation_width,
             conv.groups) +
         RequantText(c) + WeightsText(c);
}

std::string PoolText(const KernelCase& c) {
  const PoolAttributes& pool = c.step().pool();
  return fmt::format("  static const mico_pool_params_t params = {{{}, {}, {}, {}, {}, {}}};\n",
                     pool.kernel_height, pool.kernel_width, pool.stride_height, pool.stride_width,
                     pool.padding.top, pool.padding.left);
}

// Constants of a case, and the call.
struct CallText {
  std::string constants;
  std::string call;
};

CallText CallOf(const KernelCase& c) {
  const std::string name = c.KernelName();
  const std::string in_to_out = "in_shape, in_0 + SKEW, out_shape, out";
  const StepNumbers& n = c.numbers();
  switch (c.step().kind) {
    case StepKind::kConv:
      return {ConvText(c), fmt::format("{}(&params, &requant, in_shape, in_0 + SKEW, weights, "
                                       "out_shape, out, scratch);",
                                       name)};
    case StepKind::kAdd:
      return {fmt::format("  static const mico_add_params_t params = {{{}, {}, {}, {}, {}}};\n",
                          n.multiplier_a, n.multiplier_b, n.shift, n.lowest, n.highest),
              name + "(&params, in_shape, in_0 + SKEW, in_1 + SKEW, out);"};
    case StepKind::kMaxPool:
      return {PoolText(c), fmt::format("{}(&params, {});", name, in_to_out)};
    case StepKind::kAveragePool:
      return {PoolText(c) + RequantText(c) + Array("int32_t", "divisor", n.divisors) +
                  fmt::format("  static const mico_divisors_t divisors = {{divisor, {}}};\n",
                              n.divisors.size()),
              fmt::format("{}(&params, &requant, &divisors, {});", name, in_to_out)};
    case StepKind::kRelu:
      return {
          fmt::format("  static const mico_clamp_t params = {{{}, {}}};\n", n.lowest, n.highest),
          name + "(&params, in_shape, in_0 + SKEW, out);"};
    case StepKind::kConcat:
      return {
          fmt::format("  static const mico_shape_t second = {};\n", ShapeText(c.input(1).shape)),
          fmt::format("{0}(0, {1}); {0}({2}, second, in_1 + SKEW, out_shape, out);", name,
                      in_to_out, c.input().shape.channels)};
    case StepKind::kSlice: {
      const SliceAttributes& s = c.step().slice();
      return {
          fmt::format("  static const mico_slice_params_t params = {{{}, {}, {}, {}, {}, {}}};\n",
                      s.start_channel, s.start_row, s.start_column, s.step_channel, s.step_row,
                      s.step_column),
          fmt::format("{}(&params, {});", name, in_to_out)};
    }
    case StepKind::kPad:
      return {fmt::format("  static const mico_pad_params_t params = {{{}, {}, {}}};\n",
                          c.step().pad().channels_before, c.step().pad().padding.top,
                          c.step().pad().padding.left),
              fmt::format("{}(&params, {});", name, in_to_out)};
    case StepKind::kRequantize:
      return {RequantText(c), name + "(&requant, in_shape, in_0 + SKEW, out);"};
  }
  return {};
}

// One case as a C function. Inputs start at an odd address: kernels ask for no alignment.
std::string CaseText(size_t index, const KernelCase& c) {
  KernelBytes bytes = RunOracle(c);
  const CallText call = CallOf(c);
  const int64_t scratch_bytes = c.is_conv_like() ? ScratchBytes(c) : 0;
  std::string text = fmt::format("/* {} */\nstatic void case_{}(void) {{\n", c.ToString(), index);
  const bool skewed = c.family == KernelFamily::kReference || index % 2 == 1;
  text += fmt::format("  enum {{ SKEW = {} }};\n", static_cast<int>(skewed));
  for (size_t i = 0; i < bytes.inputs.size(); ++i) {
    if (skewed) bytes.inputs[i].insert(bytes.inputs[i].begin(), 0);
    text += Array("uint8_t", fmt::format("in_{}", i), bytes.inputs[i]);
  }
  text += fmt::format("  static const mico_shape_t in_shape = {};\n", ShapeText(c.input().shape));
  text += fmt::format("  static const mico_shape_t out_shape = {};\n", ShapeText(c.output().shape));
  text += call.constants;
  text += fmt::format(
      "  uint8_t *out = out_buffer + GUARD;\n  uint64_t start, end;\n  int32_t scratch_bytes = 0;\n"
      "  (void)in_shape;\n  (void)out_shape;\n  before({}, {});\n  start = mico_bsp_cycles();\n"
      "  {}\n  end = mico_bsp_cycles();\n",
      bytes.output.size(), scratch_bytes, call.call);
  if (c.is_conv_like()) {
    text += fmt::format("  scratch_bytes = {}_scratch_bytes(&params, in_shape, out_shape);\n",
                        c.KernelName());
  }
  text += fmt::format("  after({}, {}, {}u, scratch_bytes, {}, end - start);\n}}\n", index,
                      bytes.output.size(), Fnv1a(bytes.output), scratch_bytes);
  return text;
}

absl::Status WriteFile(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) return absl::InternalError(fmt::format("cannot write {}", path.string()));
  return absl::OkStatus();
}

struct CommandResult {
  std::string output;
  int exit_code = -1;
};

// Words are ours, never a stranger's; quoting serves paths with spaces.
CommandResult RunCommand(const std::vector<std::string>& words, int limit_s) {
  std::string line = fmt::format("timeout {} ", limit_s);
  for (const std::string& word : words) line += fmt::format("'{}' ", word);
  CommandResult result;
  FILE* pipe = popen((line + "2>&1 < /dev/null").c_str(), "r");
  if (pipe == nullptr) return result;
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof buffer, pipe)) result.output.append(buffer, n);
  const int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

void ReadLines(const std::string& output, ImageResult& result) {
  std::istringstream lines(output);
  std::string line;
  while (std::getline(lines, line)) {
    int index = 0;
    unsigned long long count = 0;
    if (std::sscanf(line.c_str(), "mico: case %d %llu", &index, &count) != 2) continue;
    ++result.cases;
    if (line.find(" ok") == std::string::npos) ++result.failed;
    result.counts.push_back(count);
  }
}

const std::filesystem::path kSource = kSourceFolder;

std::vector<std::string> CompileCommand(const Machine& machine, const std::string& optimization,
                                        const std::filesystem::path& folder) {
  const std::filesystem::path bsp = kSource / "target/catalogue/bsp" / machine.bsp;
  std::vector<std::string> command = machine.compiler;
  for (const char* flag :
       {"-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"}) {
    command.push_back(flag);
  }
  command.push_back(optimization);
  command.push_back("-I" + (kSource / "codegen/kernels/include").string());
  command.push_back("-I" + (kSource / "codegen/kernels").string());
  command.push_back("-I" + bsp.string());
  command.push_back((folder / "image.c").string());
  command.push_back((bsp / "mico_bsp.c").string());
  for (const char* start : {"start.S", "start.c"}) {
    if (std::filesystem::exists(bsp / start)) command.push_back((bsp / start).string());
  }
  if (std::filesystem::exists(bsp / "link.ld")) {
    command.push_back("-T" + (bsp / "link.ld").string());
  }
  command.insert(command.end(), machine.linker_flags.begin(), machine.linker_flags.end());
  command.push_back("-o");
  command.push_back((folder / "image").string());
  return command;
}

}  // namespace

Machine Host() { return {"host", {"cc"}, {}, "host", {}}; }

Machine HostWithSanitizers() {
  return {"host-sanitized",
          {"clang", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"},
          {},
          "host",
          {}};
}

Machine Rv32() {
  return {"rv32imc",
          {"riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32", "-misa-spec=2.2",
           "--specs=picolibc.specs"},
          {"-nostartfiles"},
          "qemu-virt-rv32",
          {"qemu-system-riscv32", "-M", "virt", "-bios", "none", "-nographic", "-icount", "shift=0",
           "-kernel"}};
}

Machine CortexM4() {
  return {"cortex-m4",
          {"arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb"},
          {"-nostartfiles"},
          "mps2-an386",
          {"qemu-system-arm", "-M", "mps2-an386", "-nographic", "-semihosting-config",
           "enable=on,target=native", "-icount", "shift=6", "-kernel"}};
}

std::string ImageSource(const std::vector<KernelCase>& cases) {
  std::string text = kIncludes + Instantiations(cases) + kChecks;
  std::string calls;
  for (size_t i = 0; i < cases.size(); ++i) {
    text += CaseText(i, cases[i]);
    calls += fmt::format("  case_{}();\n", i);
  }
  return text + "int main(void) {\n  mico_bsp_init();\n" + calls +
         "  print(\"mico: done\\n\");\n  mico_bsp_exit(failed == 0 ? 0 : 1);\n  return 0;\n}\n";
}

absl::StatusOr<ImageResult> RunImage(const std::vector<KernelCase>& cases, const Machine& machine,
                                     const std::filesystem::path& folder,
                                     const std::string& optimization) {
  return RunSource(ImageSource(cases), machine, folder, optimization);
}

absl::StatusOr<ImageResult> RunSource(const std::string& source, const Machine& machine,
                                      const std::filesystem::path& folder,
                                      const std::string& optimization) {
  std::filesystem::create_directories(folder);
  const absl::Status written = WriteFile(folder / "image.c", source);
  if (!written.ok()) return written;
  const CommandResult compiled = RunCommand(CompileCommand(machine, optimization, folder), 300);
  if (compiled.exit_code != 0) {
    return absl::InternalError(
        fmt::format("{}: does not compile:\n{}", machine.name, compiled.output.substr(0, 4000)));
  }
  std::vector<std::string> command = machine.run;
  command.push_back((folder / "image").string());
  const CommandResult ran = RunCommand(command, 300);
  ImageResult result;
  result.output = ran.output;
  result.exit_code = ran.exit_code;
  ReadLines(ran.output, result);
  return result;
}

}  // namespace mico::conformance
