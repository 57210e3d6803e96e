#include "tests/golden/generated_project.h"

#include <sys/wait.h>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "gtest/gtest.h"
#include "quant/interpreter.h"
#include "tests/support/paths.h"
#include "tests/unit/quant/quant_testing.h"
#include "zlib.h"

namespace mico::golden {
namespace {

constexpr std::string_view kStrict =
    "-std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -ffunction-sections "
    "-fdata-sections";

template <typename T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) {
    fmt::print(stderr, "{}\n", result.status().ToString());
    std::abort();
  }
  return std::move(result).value();
}

std::string Quoted(const std::string& argument) { return fmt::format("'{}'", argument); }

std::string Joined(const std::vector<std::string>& arguments) {
  std::string text;
  for (const std::string& argument : arguments) text += Quoted(argument) + " ";
  return text;
}

// Start-up code and linker script of a bsp folder, as arguments of the link.
std::string BspArguments(const std::string& bsp) {
  std::string text = fmt::format("-I{}", bsp);
  for (const auto& entry : std::filesystem::directory_iterator(bsp)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".c" || extension == ".S") text += " " + entry.path().string();
    if (extension == ".ld") text += " -T" + entry.path().string();
  }
  return text;
}

}  // namespace

TargetFile CatalogueTarget(const std::string& name) {
  return Must(LoadTargetFile(fmt::format("{}/target/catalogue/{}.yaml", kSourceFolder, name)));
}

CommandResult RunCommand(const std::string& command) {
  CommandResult result;
  FILE* pipe = popen((command + " 2>&1 </dev/null").c_str(), "r");
  if (pipe == nullptr) std::abort();
  char buffer[4096];
  size_t count = 0;
  while ((count = fread(buffer, 1, sizeof(buffer), pipe)) > 0) result.output.append(buffer, count);
  const int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

GeneratedProject::GeneratedProject(const std::vector<GeneratedFile>& files)
    : folder_(Must(TemporaryFolder::Create())) {
  for (const GeneratedFile& file : files) Write(file.path, file.content);
}

void GeneratedProject::Write(const std::string& file, std::string_view content) {
  const std::filesystem::path path = folder_.path() / file;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
  // A board brings its own bsp.
  const bool is_host_bsp = file.starts_with("selftest/host/");
  if (file.ends_with(".c") && !is_host_bsp) sources_.push_back(path.string());
}

void GeneratedProject::Build(const std::string& compiler, const std::string& flags,
                             const std::string& bsp) {
  const CommandResult built = RunCommand(fmt::format(
      "{} {} {} -I{} -I{} {} {} -Wl,--gc-sections -o {}", compiler, kStrict, flags, Path(""),
      Path("selftest"), Joined(sources_), BspArguments(bsp), Path("program.elf")));
  ASSERT_EQ(built.exit_code, 0) << built.output;
}

void GeneratedProject::BuildFor(const TargetFile& target, const std::string& extra_flags) {
  const Toolchain& toolchain = target.toolchain;
  Build(toolchain.cc, Joined(toolchain.cflags) + Joined(toolchain.ldflags) + extra_flags,
        toolchain.bsp.string());
}

void GeneratedProject::BuildOnHost(const std::string& compiler, const std::string& flags) {
  Build(compiler, flags, CatalogueTarget("host-c99").toolchain.bsp.string());
}

CommandResult GeneratedProject::RunOn(const TargetFile& target) {
  std::string command = "timeout 120";
  for (const std::string& argument : target.board->run) {
    command += " " + (argument == "{elf}" ? Path("program.elf") : Quoted(argument));
  }
  return RunCommand(command);
}

std::string GeneratedProject::CompileOne(const TargetFile& target, const std::string& file) {
  const std::string object = Path(file) + ".o";
  const CommandResult built =
      RunCommand(fmt::format("{} {} {} -I{} -c {} -o {}", target.toolchain.cc, kStrict,
                             Joined(target.toolchain.cflags), Path(""), Path(file), object));
  EXPECT_EQ(built.exit_code, 0) << built.output;
  return object;
}

std::vector<std::string> ProtocolLines(const std::string& output) {
  constexpr std::string_view kPrefix = "mico: ";
  std::vector<std::string> payloads;
  std::istringstream lines(output);
  std::string line;
  while (std::getline(lines, line)) {
    if (!line.starts_with(kPrefix)) continue;
    const size_t hash = line.rfind(" #");
    const std::string payload = line.substr(kPrefix.size(), hash - kPrefix.size());
    const uLong crc =
        crc32(0, reinterpret_cast<const Bytef*>(payload.data()), static_cast<uInt>(payload.size()));
    EXPECT_EQ(line.substr(hash + 2), fmt::format("{:08x}", crc)) << line;
    payloads.push_back(payload);
  }
  return payloads;
}

ArtifactInfo DescribeForTest(const QuantizedModel& model, const std::string& scheme, int cases) {
  ArtifactInfo info;
  info.generator_version = "test";
  info.model_name = "golden";
  info.model_digest = "0123";
  info.quantized_digest = DigestOf(model).hex();
  info.scheme = scheme;
  for (const Step& step : model.graph.steps) {
    if (step.kind == StepKind::kConv) info.layer_names.push_back(step.name);
  }
  Random random(7);
  for (int i = 0; i < cases; ++i) {
    const IntegerTensor input = testing::RandomInput(model, random);
    info.self_tests.push_back({input, JoinOutputs(model.graph, Must(RunInteger(model, input)))});
  }
  return info;
}

}  // namespace mico::golden
