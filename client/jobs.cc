#include "client/render.h"
#include "client/verbs.h"
#include "fmt/format.h"

namespace mico {

ExitCode Cancel(Connection& server, const GlobalOptions& global, const std::string& id) {
  v1::CancelJobRequest request;
  request.set_job(id);
  const absl::StatusOr<v1::Job> job =
      server.Call<v1::Job>(&v1::ExplorationService::Stub::CancelJob, request);
  if (!job.ok()) return Fail(job.status());
  fmt::print("{}", global.output == OutputFormat::kJson
                       ? ToJson(*job)
                       : fmt::format("{} {}\n", job->id(), JobStateName(job->state())));
  return ExitCode::kDone;
}

}  // namespace mico
