#include <chrono>
#include <thread>

#include "base/status_macros.h"
#include "client/artifact_files.h"
#include "client/render.h"
#include "client/units.h"
#include "client/verbs.h"
#include "fmt/format.h"

namespace mico {
namespace {

// How often a pending artifact is asked for: building takes seconds.
constexpr std::chrono::milliseconds kPollInterval{250};

absl::StatusOr<v1::GetArtifactResponse> WaitForArtifact(Connection& server,
                                                        const FetchOptions& options) {
  v1::GetArtifactRequest request;
  request.set_job(options.job);
  if (options.trial) {
    request.set_trial(*options.trial);
  } else {
    request.set_best(true);
  }
  while (true) {
    MICO_ASSIGN_OR_RETURN(v1::GetArtifactResponse response,
                          server.Call<v1::GetArtifactResponse>(
                              &v1::ExplorationService::Stub::GetArtifact, request));
    if (response.state() == v1::ARTIFACT_STATE_READY) return response;
    if (response.state() == v1::ARTIFACT_STATE_FAILED) {
      return absl::AbortedError(fmt::format("artifact of job {} trial {}: {}", options.job,
                                            response.trial().number(), response.error()));
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

void PrintFetched(const v1::GetArtifactResponse& artifact, const FetchOptions& options,
                  int files) {
  fmt::print("trial {}  {}\n", artifact.trial().number(),
             Printable(artifact.trial().scheme_text()));
  fmt::print("{} files in {}\n", files, options.folder);
  fmt::print("self-test on the host: {}   on the board: {}\n",
             artifact.self_test_host() ? "passed" : "not run",
             artifact.self_test_board() ? "passed" : "not run");
  if (artifact.measured_count() > 0) {
    fmt::print("one inference: predicted {}, measured {}\n",
               FormatCount(artifact.trial().cost().latency_cycles()),
               FormatCount(artifact.measured_count()));
  }
  if (artifact.measured_flash_bytes() > 0) {
    fmt::print("flash: predicted {} bytes, linked program {} bytes\n",
               FormatCount(artifact.trial().cost().flash_bytes()),
               FormatCount(artifact.measured_flash_bytes()));
    fmt::print("RAM:   predicted {} bytes, linked program {} bytes\n",
               FormatCount(artifact.trial().cost().peak_ram_bytes()),
               FormatCount(artifact.measured_ram_bytes()));
  }
}

}  // namespace

ExitCode Fetch(Connection& server, const GlobalOptions& global, const FetchOptions& options) {
  const absl::StatusOr<v1::GetArtifactResponse> artifact = WaitForArtifact(server, options);
  if (!artifact.ok()) return Fail(artifact.status());
  const absl::StatusOr<Digest> digest = Digest::FromHex(artifact->artifact_digest());
  if (!digest.ok()) return Fail(digest.status());
  const absl::StatusOr<std::string> tar = server.Download(*digest);
  if (!tar.ok()) return Fail(tar.status());
  const absl::StatusOr<int> files = UnpackTar(*tar, options.folder);
  if (!files.ok()) return Fail(files.status());
  if (global.output == OutputFormat::kJson) {
    fmt::print("{}", ToJson(*artifact));
  } else {
    PrintFetched(*artifact, options, *files);
  }
  return ExitCode::kDone;
}

}  // namespace mico
