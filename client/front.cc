#include <string>

#include "client/output.h"
#include "client/render.h"
#include "client/verbs.h"

namespace mico {

ExitCode Front(Connection& server, const GlobalOptions& global, const std::string& id) {
  v1::GetJobRequest request;
  request.set_job(id);
  const absl::StatusOr<v1::Job> job =
      server.Call<v1::Job>(&v1::ExplorationService::Stub::GetJob, request);
  if (!job.ok()) return Fail(job.status());
  Print(global.output == OutputFormat::kJson ? ToJson(*job) : RenderFront(*job, global.output));
  const bool nothing_fits = HasEnded(job->state()) && job->front_size() == 0;
  return nothing_fits ? ExitCode::kJobFailed : ExitCode::kDone;
}

}  // namespace mico
