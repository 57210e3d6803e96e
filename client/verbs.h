#pragma once

#include <string>

#include "client/connection.h"
#include "client/exit_code.h"
#include "client/options.h"

namespace mico {

// One function per verb of mico-cli. Each prints its answer to standard output and errors to
// standard error, and returns the process's exit code.
ExitCode Submit(Connection& server, const GlobalOptions& global, SubmitOptions options);
ExitCode Status(Connection& server, const GlobalOptions& global, const std::string& job,
                bool watch);
ExitCode Front(Connection& server, const GlobalOptions& global, const std::string& job);
ExitCode Fetch(Connection& server, const GlobalOptions& global, const FetchOptions& options);
ExitCode Cancel(Connection& server, const GlobalOptions& global, const std::string& job);
ExitCode ListJobs(Connection& server, const GlobalOptions& global);
ExitCode ListModels(Connection& server, const GlobalOptions& global);
ExitCode ListDatasets(Connection& server, const GlobalOptions& global);
ExitCode ListTargets(Connection& server, const GlobalOptions& global);
ExitCode ListWorkers(Connection& server, const GlobalOptions& global);

// Follows a job until it ends; shared by `submit --watch` and `status --watch`.
ExitCode WatchUntilEnd(Connection& server, const GlobalOptions& global, const std::string& job);

}  // namespace mico
