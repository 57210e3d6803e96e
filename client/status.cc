#include <string>

#include "client/output.h"
#include "client/render.h"
#include "client/verbs.h"

namespace mico {

ExitCode ExitCodeOf(const v1::Job& job) {
  const bool failed = job.state() == v1::JOB_STATE_FAILED || job.state() == v1::JOB_STATE_CANCELLED;
  return failed ? ExitCode::kJobFailed : ExitCode::kDone;
}

ExitCode Status(Connection& server, const GlobalOptions& global, const std::string& id,
                bool watch) {
  if (watch) return WatchUntilEnd(server, global, id);
  v1::GetJobRequest request;
  request.set_job(id);
  const absl::StatusOr<v1::Job> job =
      server.Call<v1::Job>(&v1::ExplorationService::Stub::GetJob, request);
  if (!job.ok()) return Fail(job.status());
  switch (global.output) {
    case OutputFormat::kTable:
      Print(RenderJob(*job));
      break;
    case OutputFormat::kJson:
      Print(ToJson(*job));
      break;
    case OutputFormat::kCsv:
      Print(RenderFront(*job, OutputFormat::kCsv));
      break;
  }
  return ExitCodeOf(*job);
}

}  // namespace mico
