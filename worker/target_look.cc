#include "worker/target_look.h"

#include <string>
#include <utility>

#include "base/file.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "codegen/program_plan.h"
#include "codegen/signature.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "worker/board/board.h"
#include "worker/elf.h"
#include "worker/remedy.h"

namespace mico {
namespace {

// A pointwise convolution: enough work for every counter to move.
std::string TinySignature(int weight_bits, int input_bits) {
  return fmt::format("conv x=4x4x8:u{} w=s{} y=4x4x8:u8 k=1x1 s=1x1 p=0,0,0,0 d=1x1 g=1",
                     input_bits, weight_bits);
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

Check Good(std::string name, const std::string& found) {
  return {std::move(name), Check::State::kOk, PrintableLine(found), "", {}};
}

Check Bad(std::string name, const std::string& found, std::string remedy) {
  return {std::move(name), Check::State::kFault, PrintableLine(found), std::move(remedy), {}};
}

void CheckCompiler(const TargetFile& file, const std::filesystem::path& path, TargetLook& look) {
  // A board that is not there must not keep the programs from being built.
  TargetFile buildable = file;
  if (!look.health.cannot_run.empty()) buildable.board.reset();
  absl::StatusOr<std::unique_ptr<Workbench>> workbench = Workbench::Open(std::move(buildable));
  if (workbench.ok()) {
    look.workbench = *std::move(workbench);
    look.target = look.workbench->target();
    look.health.checks.push_back(
        Good("compiler",
             fmt::format("{}: {}", file.toolchain.cc, look.workbench->compiler().version())));
    return;
  }
  const std::string reason = PrintableLine(Message(workbench.status()));
  look.health.cannot_compile = reason;
  const bool is_bsp = reason.starts_with("bsp ");
  look.health.checks.push_back(
      is_bsp ? Bad("bsp", reason, fmt::format("edit {}   # toolchain.bsp", path.string()))
             : Bad("compiler", reason, HowToInstall(file.toolchain.cc)));
}

void CheckBoard(const TargetFile& file, const std::filesystem::path& path, TargetLook& look) {
  if (!file.board) {
    look.health.checks.push_back({"board",
                                  Check::State::kWarning,
                                  "its file has none: nothing can be measured",
                                  fmt::format("edit {}   # add `board`", path.string()),
                                  {}});
    return;
  }
  const absl::Status status = OpenBoard(*file.board).status();
  if (status.ok()) {
    look.health.checks.push_back(Good("board", file.board->run[0]));
    return;
  }
  look.health.cannot_run = PrintableLine(Message(status));
  look.health.checks.push_back(Bad("board", look.health.cannot_run,
                                   file.board->run.empty()
                                       ? fmt::format("edit {}   # board.run", path.string())
                                       : HowToInstall(file.board->run[0])));
}

void CheckKernels(const std::filesystem::path& path, TargetLook& look) {
  std::vector<std::string> missing;
  std::string widest;
  for (const int weight_bits : look.target.weight_bits) {
    for (const int input_bits : look.target.activation_bits) {
      const absl::StatusOr<QuantizedGraph> graph =
          ParseSignature(TinySignature(weight_bits, input_bits));
      const absl::StatusOr<ProgramPlan> plan =
          graph.ok() ? PlanProgram(*graph, look.target) : graph.status();
      if (!plan.ok()) missing.push_back(fmt::format("w{}a{}", weight_bits, input_bits));
      if (plan.ok() && widest.empty()) widest = plan->steps[0].kernel;
    }
  }
  const auto join = [](const std::vector<int>& bits) {
    return fmt::format("{}", fmt::join(bits, " "));
  };
  look.health.checks.push_back(
      missing.empty()
          ? Good("kernels", fmt::format("weights of {} bits, activations of {}: {}, ...",
                                        join(look.target.weight_bits),
                                        join(look.target.activation_bits), widest))
          : Bad("kernels", fmt::format("none for {}", fmt::join(missing, ", ")),
                fmt::format("edit {}   # weight_bits, activation_bits", path.string())));
}

// The machine of each isa; "c99" is whatever the compiler is for.
absl::Status CheckMachine(const ElfContent& content, const Target& target) {
  const std::string_view needed = target.isa == "rv32imc"            ? "RISC-V, 32 bits"
                                  : target.isa.starts_with("armv")   ? "Arm, 32 bits"
                                  : target.isa.starts_with("x86_64") ? "x86-64, 64 bits"
                                                                     : "";
  if (needed.empty() || content.machine == needed) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format("the program is for {}; needed for isa {}: {}",
                                                   content.machine, target.isa, needed));
}

absl::StatusOr<std::filesystem::path> BuildTiny(const TargetLook& look,
                                                const std::filesystem::path& folder,
                                                const CompilerOptions& options) {
  const std::vector<std::string> signatures = {
      TinySignature(look.target.weight_bits[0], look.target.activation_bits[0])};
  MICO_ASSIGN_OR_RETURN(const std::vector<GeneratedFile> files,
                        GenerateBenchmark(signatures, look.target));
  MICO_ASSIGN_OR_RETURN(std::filesystem::path elf,
                        look.workbench->compiler().Build(files, folder, options));
  MICO_ASSIGN_OR_RETURN(const ElfContent content, ReadElf(elf));
  MICO_RETURN_IF_ERROR(CheckMachine(content, look.target));
  return elf;
}

absl::StatusOr<int64_t> RunTiny(const TargetLook& look, const std::filesystem::path& elf,
                                const CompilerOptions& options) {
  MICO_ASSIGN_OR_RETURN(const BoardRun run,
                        RunProgram(*look.workbench->board(), elf, options.cancelled));
  if (run.program != "bench" || run.bench_counts.size() != 1) {
    return absl::DataLossError(
        fmt::format("the program said {} counts of a '{}'; needed: 1 of a "
                    "'bench'",
                    run.bench_counts.size(), run.program));
  }
  if (run.bench_counts[0] <= 0) {
    return absl::DataLossError("the counter stands still: mico_bsp_cycles gives equal numbers");
  }
  return run.bench_counts[0];
}

}  // namespace

TargetLook LookAtTarget(const TargetFile& file, const std::filesystem::path& path) {
  TargetLook look;
  look.target = file.target;
  look.target.has_board = false;
  look.health.target = file.target.name;
  TargetLook board;  // its check comes after the compiler's
  CheckBoard(file, path, board);
  look.health.cannot_run = board.health.cannot_run;
  CheckCompiler(file, path, look);
  look.health.checks.push_back(board.health.checks[0]);
  CheckKernels(path, look);
  return look;
}

absl::Status TryTarget(const std::filesystem::path& path, const CompilerOptions& options,
                       TargetLook& look) {
  if (look.workbench == nullptr) return absl::OkStatus();
  MICO_ASSIGN_OR_RETURN(const TemporaryFolder folder, TemporaryFolder::Create());
  const absl::StatusOr<std::filesystem::path> elf = BuildTiny(look, folder.path(), options);
  if (absl::IsCancelled(elf.status())) return elf.status();
  if (!elf.ok()) {
    const std::string reason = Message(elf.status());
    look.health.cannot_compile = PrintableLine(reason);
    look.health.checks.push_back(
        Bad("builds", reason,
            HowToMendCompiler(look.workbench->toolchain().cc, reason, path.string())));
    return absl::OkStatus();
  }
  Check builds = Good("builds", "a tiny benchmark, linked for the isa");
  if (look.workbench->board() == nullptr) {
    look.health.checks.push_back(std::move(builds));
    return absl::OkStatus();
  }
  const absl::StatusOr<int64_t> count = RunTiny(look, *elf, options);
  if (absl::IsCancelled(count.status())) return count.status();
  look.health.checks.push_back(std::move(builds));
  if (count.ok()) {
    look.health.checks.push_back(
        Good("runs", fmt::format("counted {} {}", *count, ToString(look.target.counts))));
    return absl::OkStatus();
  }
  look.health.cannot_run = PrintableLine(Message(count.status()));
  look.target.has_board = false;
  look.health.checks.push_back(
      Bad("runs", look.health.cannot_run, fmt::format("edit {}   # board and bsp", path.string())));
  return absl::OkStatus();
}

}  // namespace mico
