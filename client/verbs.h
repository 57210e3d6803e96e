#pragma once

#include <string>

#include "client/connection.h"
#include "client/exit_code.h"
#include "client/options.h"

namespace mico {

// One function per verb of mico-cli. Each prints its answer to standard output and errors and notes
// to standard error, and returns the process's exit code. JSON is the message of the API.
ExitCode Submit(Connection& server, const GlobalOptions& global, SubmitOptions options);
// Also: kJobFailed for a job that failed or was cancelled.
ExitCode Status(Connection& server, const GlobalOptions& global, const std::string& job,
                bool watch);
// Also: kJobFailed for a job that ended without a point.
ExitCode Front(Connection& server, const GlobalOptions& global, const std::string& job);
// Waits until a worker has built the artifact.
ExitCode Fetch(Connection& server, const GlobalOptions& global, const FetchOptions& options);
ExitCode Cancel(Connection& server, const GlobalOptions& global, const std::string& job);
ExitCode ListJobs(Connection& server, const GlobalOptions& global);
ExitCode ListModels(Connection& server, const GlobalOptions& global);
ExitCode ListDatasets(Connection& server, const GlobalOptions& global);
// Of a file or folder here, which is uploaded unless the server has it, or of a digest there.
ExitCode DescribeDataset(Connection& server, const GlobalOptions& global, const std::string& what);
ExitCode ListTargets(Connection& server, const GlobalOptions& global);
ExitCode ListWorkers(Connection& server, const GlobalOptions& global);
// Looks at everything between here and the boards, and says what mends each fault. kDone: all is
// well; kJobFailed: there is a fault; kServerUnreachable: only this machine could be looked at.
ExitCode Doctor(Connection& server, const GlobalOptions& global, const DoctorOptions& options);

// Follows a job until it ends, and answers like Status then. As JSON: one message a line; as CSV:
// progress goes to standard error, the front to standard output at the end.
ExitCode WatchUntilEnd(Connection& server, const GlobalOptions& global, const std::string& job);

// What the end of a job, or its present state, means for the user.
ExitCode ExitCodeOf(const v1::Job& job);

}  // namespace mico
