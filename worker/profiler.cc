#include "worker/profiler.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/status_macros.h"
#include "codegen/program_plan.h"
#include "codegen/signature.h"
#include "fmt/format.h"
#include "worker/board/board.h"
#include "worker/deployment.h"
#include "worker/elf.h"

namespace mico {
namespace {

// Few programs, so that start-up and link cost little; small enough that a failure costs little.
constexpr size_t kMostSignaturesPerProgram = 96;

// Simulators that count instructions give equal counts; two runs show it. Others need a median.
int RunsFor(CounterKind kind) { return kind == CounterKind::kInstructions ? 2 : 5; }

// One program's measurements, run after run.
struct Measured {
  std::vector<std::vector<int64_t>> counts;  // [run][signature], overhead subtracted
  std::vector<int64_t> overheads;            // [run]
  ElfContent content;
};

Measurement Summarize(std::vector<int64_t> counts) {
  std::sort(counts.begin(), counts.end());
  return {counts[(counts.size() - 1) / 2], counts.back() - counts.front()};
}

absl::StatusOr<BoardRun> RunBenchmark(const Workbench& workbench, const std::filesystem::path& elf,
                                      size_t signatures, const CompilerOptions& options) {
  MICO_ASSIGN_OR_RETURN(BoardRun run, RunProgram(*workbench.board(), elf, options.cancelled));
  if (run.program != "bench" || run.bench_counts.size() != signatures || !run.overhead) {
    return absl::DataLossError(
        fmt::format("board: {} counts of a '{}' program, needed {} counts "
                    "and the overhead of a benchmark",
                    run.bench_counts.size(), run.program, signatures));
  }
  return run;
}

absl::StatusOr<Measured> MeasureTogether(const Workbench& workbench,
                                         std::span<const std::string> signatures,
                                         const CompilerOptions& options) {
  MICO_ASSIGN_OR_RETURN(const std::vector<GeneratedFile> files,
                        GenerateBenchmark(signatures, workbench.target()));
  MICO_ASSIGN_OR_RETURN(const TemporaryFolder folder, TemporaryFolder::Create());
  MICO_ASSIGN_OR_RETURN(const std::filesystem::path elf,
                        workbench.compiler().Build(files, folder.path(), options));
  Measured measured;
  MICO_ASSIGN_OR_RETURN(measured.content, ReadElf(elf));
  for (int i = 0; i < RunsFor(workbench.target().counts); ++i) {
    MICO_ASSIGN_OR_RETURN(const BoardRun run,
                          RunBenchmark(workbench, elf, signatures.size(), options));
    std::vector<int64_t>& counts = measured.counts.emplace_back();
    // A clock may jitter by more than a tiny kernel takes.
    for (const int64_t count : run.bench_counts) {
      counts.push_back(std::max<int64_t>(0, count - *run.overhead));
    }
    measured.overheads.push_back(*run.overhead);
  }
  return measured;
}

// Memory and time limits concern the program as a whole: half of it may be within them.
bool HalfMayDo(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsDeadlineExceeded(status);
}

// A kernel is its function and what only its own file sees.
int64_t CodeBytes(const ElfContent& content, const std::string& kernel) {
  int64_t bytes = 0;
  for (const ElfSymbol& symbol : content.symbols) {
    if (symbol.name == kernel || symbol.file == kernel + ".c") bytes += symbol.size_bytes;
  }
  return bytes;
}

class Profiler {
 public:
  Profiler(const Workbench& workbench, size_t signatures, const CompilerOptions& options,
           const KeepGoing& keep_going)
      : workbench_(workbench), total_(signatures), options_(options), keep_going_(keep_going) {}

  absl::Status Measure(std::span<const std::string> signatures) {
    if (signatures.empty()) return absl::OkStatus();
    if (!keep_going_(static_cast<double>(done_) / static_cast<double>(total_))) {
      return absl::CancelledError("the profile is no longer wanted");
    }
    const absl::StatusOr<Measured> measured = MeasureTogether(workbench_, signatures, options_);
    if (measured.ok()) return Record(signatures, *measured);
    if (signatures.size() == 1 || !HalfMayDo(measured.status())) {
      return absl::Status(measured.status().code(),
                          fmt::format("profile of {}{}: {}", signatures[0],
                                      signatures.size() == 1 ? "" : " and others",
                                      std::string(measured.status().message())));
    }
    const size_t half = signatures.size() / 2;
    MICO_RETURN_IF_ERROR(Measure(signatures.first(half)));
    return Measure(signatures.subspan(half));
  }

  absl::StatusOr<LatencyTable> Finish() && {
    MICO_ASSIGN_OR_RETURN(const TemporaryFolder folder, TemporaryFolder::Create());
    MICO_ASSIGN_OR_RETURN(const std::filesystem::path elf,
                          workbench_.compiler().Build(EmptyProgram(), folder.path(), options_));
    MICO_ASSIGN_OR_RETURN(const ElfContent empty, ReadElf(elf));
    table_.profile_key = workbench_.target().profile_key;
    table_.base_flash_bytes = empty.flash_bytes;
    if (done_ > 0) table_.step_code_bytes = call_bytes_ / static_cast<int64_t>(done_);
    if (!overheads_.empty()) table_.run_overhead = Summarize(overheads_).count;
    return std::move(table_);
  }

 private:
  absl::Status Record(std::span<const std::string> signatures, const Measured& measured) {
    std::map<std::string, int64_t> bytes_by_symbol;
    for (const ElfSymbol& symbol : measured.content.symbols) {
      bytes_by_symbol[symbol.name] = symbol.size_bytes;
    }
    for (size_t i = 0; i < signatures.size(); ++i) {
      std::vector<int64_t> counts;
      for (const std::vector<int64_t>& run : measured.counts) counts.push_back(run[i]);
      table_.steps[signatures[i]] = Summarize(std::move(counts));
      call_bytes_ += bytes_by_symbol[fmt::format("mico_bench_{}", i)];
      MICO_RETURN_IF_ERROR(RecordKernel(signatures[i], measured.content));
    }
    overheads_.insert(overheads_.end(), measured.overheads.begin(), measured.overheads.end());
    done_ += signatures.size();
    return absl::OkStatus();
  }

  absl::Status RecordKernel(const std::string& signature, const ElfContent& content) {
    MICO_ASSIGN_OR_RETURN(const QuantizedGraph graph, ParseSignature(signature));
    MICO_ASSIGN_OR_RETURN(const ProgramPlan plan, PlanProgram(graph, workbench_.target()));
    const std::string& kernel = plan.steps[0].kernel;
    const int64_t bytes = CodeBytes(content, kernel);
    if (bytes == 0) {
      return absl::InternalError(
          fmt::format("kernel '{}' of '{}' is not in its own benchmark", kernel, signature));
    }
    table_.kernel_code_bytes[kernel] = bytes;
    return absl::OkStatus();
  }

  const Workbench& workbench_;
  const size_t total_;
  const CompilerOptions& options_;
  const KeepGoing& keep_going_;
  LatencyTable table_;
  size_t done_ = 0;
  int64_t call_bytes_ = 0;
  std::vector<int64_t> overheads_;
};

}  // namespace

absl::StatusOr<LatencyTable> Profile(const Workbench& workbench,
                                     std::span<const std::string> signatures,
                                     const CompilerOptions& options, const KeepGoing& keep_going) {
  if (workbench.board() == nullptr) {
    return absl::FailedPreconditionError(fmt::format(
        "target '{}': no board to measure on; its file needs 'board'", workbench.target().name));
  }
  // Neighbours in sorted order share kernels, so that a program holds few.
  const std::set<std::string> distinct(signatures.begin(), signatures.end());
  const std::vector<std::string> sorted(distinct.begin(), distinct.end());
  Profiler profiler(workbench, sorted.size(), options, keep_going);
  for (size_t first = 0; first < sorted.size(); first += kMostSignaturesPerProgram) {
    const size_t count = std::min(kMostSignaturesPerProgram, sorted.size() - first);
    MICO_RETURN_IF_ERROR(profiler.Measure(std::span(sorted).subspan(first, count)));
  }
  return std::move(profiler).Finish();
}

}  // namespace mico
