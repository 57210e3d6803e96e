#include "worker/self_test.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/status_macros.h"
#include "codegen/generate_c.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mico {
namespace {

constexpr uint64_t kMostFileBytes = 64 << 20;
constexpr size_t kMostFiles = 10'000;

// What a target's compiler needs: sources and headers, without the support for the host.
bool IsSource(const std::filesystem::path& relative) {
  const std::string text = relative.generic_string();
  if (text.starts_with("selftest/host/") || text.starts_with("zephyr/")) return false;
  const std::string extension = relative.extension().string();
  return extension == ".c" || extension == ".h" || extension == ".inc";
}

absl::StatusOr<std::vector<GeneratedFile>> ReadSources(const std::filesystem::path& artifact) {
  std::error_code error;
  std::vector<GeneratedFile> files;
  std::filesystem::recursive_directory_iterator entries(artifact, error);
  if (error) {
    return absl::NotFoundError(fmt::format("artifact {}: {}", artifact.string(), error.message()));
  }
  for (const auto& entry : entries) {
    const std::filesystem::path relative = entry.path().lexically_relative(artifact);
    if (!entry.is_regular_file() || !IsSource(relative)) continue;
    MICO_ASSIGN_OR_RETURN(std::string content, ReadFile(entry.path(), kMostFileBytes));
    files.push_back({relative.generic_string(), std::move(content)});
    if (files.size() > kMostFiles) {
      return absl::ResourceExhaustedError(
          fmt::format("artifact {}: more than {} files", artifact.string(), kMostFiles));
    }
  }
  const bool complete = std::any_of(files.begin(), files.end(), [](const GeneratedFile& file) {
    return file.path == "selftest/main.c";
  });
  if (!complete) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: no selftest/main.c; needed: the folder of a fetched artifact", artifact.string()));
  }
  std::sort(files.begin(), files.end(),
            [](const GeneratedFile& a, const GeneratedFile& b) { return a.path < b.path; });
  return files;
}

absl::Status CheckPassed(const BoardRun& run, const Target& target) {
  if (run.failed == 0 && run.passed > 0) return absl::OkStatus();
  std::vector<size_t> cases;
  for (size_t i = 0; i < run.cases_ok.size(); ++i) {
    if (!run.cases_ok[i]) cases.push_back(i);
  }
  return absl::DataLossError(fmt::format("self-test on {}: {} of {} cases differ: {}", target.name,
                                         run.failed, run.failed + run.passed,
                                         fmt::join(cases, ", ")));
}

}  // namespace

absl::StatusOr<BoardRun> RunSelfTest(Workbench& workbench, const std::filesystem::path& artifact) {
  if (workbench.board() == nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("target '{}' has no board; needed: a `board` section in its file",
                    workbench.target().name));
  }
  MICO_ASSIGN_OR_RETURN(const std::vector<GeneratedFile> files, ReadSources(artifact));
  MICO_ASSIGN_OR_RETURN(const TemporaryFolder folder, TemporaryFolder::Create());
  MICO_ASSIGN_OR_RETURN(const std::filesystem::path elf,
                        workbench.compiler().Build(files, folder.path()));
  MICO_ASSIGN_OR_RETURN(BoardRun run, RunProgram(*workbench.board(), elf, nullptr));
  MICO_RETURN_IF_ERROR(CheckPassed(run, workbench.target()));
  return run;
}

}  // namespace mico
