#include <string>

#include "client/output.h"
#include "client/render.h"
#include "client/table.h"
#include "client/verbs.h"
#include "fmt/format.h"

namespace mico {

ExitCode Cancel(Connection& server, const GlobalOptions& global, const std::string& id) {
  v1::CancelJobRequest request;
  request.set_job(id);
  const absl::StatusOr<v1::Job> job =
      server.Call<v1::Job>(&v1::ExplorationService::Stub::CancelJob, request);
  if (!job.ok()) return Fail(job.status());
  if (global.output == OutputFormat::kJson) {
    Print(ToJson(*job));
    return ExitCode::kDone;
  }
  Table table({"job", "state"});
  table.Add({job->id(), JobStateName(job->state())});
  Print(table.Render(global.output));
  return ExitCode::kDone;
}

}  // namespace mico
