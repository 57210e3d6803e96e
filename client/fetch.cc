#include <thread>

#include "base/status_macros.h"
#include "client/artifact_files.h"
#include "client/output.h"
#include "client/table.h"
#include "client/units.h"
#include "client/verbs.h"
#include "fmt/format.h"

namespace mico {
namespace {

v1::GetArtifactRequest RequestFor(const FetchOptions& options) {
  v1::GetArtifactRequest request;
  request.set_job(options.job);
  if (options.trial) {
    request.set_trial(*options.trial);
  } else {
    request.set_best(true);
  }
  return request;
}

absl::StatusOr<v1::GetArtifactResponse> WaitForArtifact(Connection& server,
                                                        const FetchOptions& options) {
  v1::GetArtifactRequest request = RequestFor(options);
  std::string obstacle;  // said once
  for (bool first = true;; first = false) {
    MICO_ASSIGN_OR_RETURN(
        v1::GetArtifactResponse response,
        server.Call<v1::GetArtifactResponse>(&v1::ExplorationService::Stub::GetArtifact, request));
    const int64_t trial = response.trial().number();
    if (response.state() == v1::ARTIFACT_STATE_READY) return response;
    if (response.state() != v1::ARTIFACT_STATE_PENDING) {
      return absl::AbortedError(
          fmt::format("artifact of job {} trial {}: {}", options.job, trial,
                      response.error().empty() ? "the server gives no reason" : response.error()));
    }
    if (first) Note(fmt::format("waiting until a worker has built and tested trial {}", trial));
    if (response.error() != obstacle) {
      obstacle = response.error();
      if (!obstacle.empty()) Note(fmt::format("still waiting: {}", obstacle));
    }
    // While the search goes on, the best may change; what was ordered is what we wait for.
    if (trial > 0) request.set_trial(trial);
    std::this_thread::sleep_for(options.poll_interval);
  }
}

std::string PredictedAndReal(const v1::GetArtifactResponse& artifact) {
  const v1::Cost& predicted = artifact.trial().cost();
  std::string text;
  if (artifact.measured_count() > 0) {
    text += fmt::format("one inference: predicted {}, measured {}\n",
                        FormatCount(predicted.latency_cycles()),
                        FormatCount(artifact.measured_count()));
  }
  if (artifact.measured_flash_bytes() > 0) {
    text += fmt::format("flash: predicted {} bytes, linked program {} bytes\n",
                        FormatCount(predicted.flash_bytes()),
                        FormatCount(artifact.measured_flash_bytes()));
    text += fmt::format("RAM:   predicted {} bytes, linked program {} bytes\n",
                        FormatCount(predicted.peak_ram_bytes()),
                        FormatCount(artifact.measured_ram_bytes()));
  }
  return text;
}

std::string AsText(const v1::GetArtifactResponse& artifact, const FetchOptions& options,
                   int files) {
  const auto passed = [](bool yes) { return yes ? "passed" : "not run"; };
  return fmt::format("trial {}  {}\n{} files in {}\nself-test on the host: {}   on the board: {}\n",
                     artifact.trial().number(), PrintableLine(artifact.trial().scheme_text()),
                     files, options.folder, passed(artifact.self_test_host()),
                     passed(artifact.self_test_board())) +
         PredictedAndReal(artifact);
}

std::string AsCsv(const v1::GetArtifactResponse& artifact, const FetchOptions& options, int files) {
  Table table({"trial", "folder", "files", "self_test_host", "self_test_board", "predicted_latency",
               "measured_latency", "predicted_flash_bytes", "measured_flash_bytes",
               "predicted_ram_bytes", "measured_ram_bytes"});
  // 0 is "not measured".
  const auto measured = [](int64_t n) { return n == 0 ? "" : std::to_string(n); };
  const v1::Cost& predicted = artifact.trial().cost();
  table.Add({std::to_string(artifact.trial().number()), options.folder, std::to_string(files),
             artifact.self_test_host() ? "yes" : "no", artifact.self_test_board() ? "yes" : "no",
             std::to_string(predicted.latency_cycles()), measured(artifact.measured_count()),
             std::to_string(predicted.flash_bytes()), measured(artifact.measured_flash_bytes()),
             std::to_string(predicted.peak_ram_bytes()), measured(artifact.measured_ram_bytes())});
  return table.ToCsv();
}

}  // namespace

ExitCode Fetch(Connection& server, const GlobalOptions& global, const FetchOptions& options) {
  // Before somebody waits minutes for something that has no place.
  const absl::Status empty = CheckNewOrEmpty(options.folder);
  if (!empty.ok()) return Fail(empty);
  const absl::StatusOr<v1::GetArtifactResponse> artifact = WaitForArtifact(server, options);
  if (!artifact.ok()) return Fail(artifact.status());
  const absl::StatusOr<Digest> digest = Digest::FromHex(artifact->artifact_digest());
  if (!digest.ok()) return Fail(absl::DataLossError(digest.status().message()));
  const absl::StatusOr<std::string> tar = server.Download(*digest);
  if (!tar.ok()) return Fail(tar.status());
  const absl::StatusOr<int> files = UnpackTar(*tar, options.folder);
  if (!files.ok()) return Fail(files.status());
  switch (global.output) {
    case OutputFormat::kTable:
      Print(AsText(*artifact, options, *files));
      break;
    case OutputFormat::kJson:
      Print(ToJson(*artifact));
      break;
    case OutputFormat::kCsv:
      Print(AsCsv(*artifact, options, *files));
      break;
  }
  return ExitCode::kDone;
}

}  // namespace mico
