#include <csignal>
#include <cstdio>
#include <string>

#include "client/render.h"
#include "client/units.h"
#include "client/verbs.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr int kChartColumns = 64;
constexpr int kChartRows = 14;

bool Ended(v1::JobState state) {
  return state == v1::JOB_STATE_DONE || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_CANCELLED;
}

ExitCode ExitCodeOf(const v1::Job& job) {
  if (job.state() == v1::JOB_STATE_FAILED || job.state() == v1::JOB_STATE_CANCELLED) {
    return ExitCode::kJobFailed;
  }
  return ExitCode::kDone;
}

std::string RunningLines(const v1::Job& job) {
  std::string text;
  for (const v1::RunningTask& task : job.running()) {
    text += fmt::format("  {:<10} on {}  {:3.0f} %{}\n", task.kind(),
                        Printable(task.worker_name()), 100.0 * task.progress(),
                        task.attempt() > 1 ? fmt::format("  attempt {}", task.attempt()) : "");
  }
  return text;
}

// Everything that a person wants to see of a job.
std::string RenderJob(const v1::Job& job) {
  std::string text = ProgressLine(job) + "\n" + RunningLines(job);
  if (job.float_val().total() > 0) {
    text += fmt::format("  float network: val {:.2f} %  test {:.2f} %\n",
                        100.0 * static_cast<double>(job.float_val().correct()) /
                            static_cast<double>(job.float_val().total()),
                        100.0 * static_cast<double>(job.float_test().correct()) /
                            static_cast<double>(std::max<int64_t>(job.float_test().total(), 1)));
  }
  if (job.front_size() + job.uniform_size() > 0) {
    text += RenderChart(job, kChartColumns, kChartRows) + RenderFront(job, OutputFormat::kTable);
  }
  if (job.hypervolume() > 0.0) text += fmt::format("hypervolume {:.4f}\n", job.hypervolume());
  for (const std::string& warning : job.warnings()) {
    text += fmt::format("warning: {}\n", Printable(warning));
  }
  if (!job.stop_reason().empty()) text += fmt::format("ended: {}\n", Printable(job.stop_reason()));
  if (!job.error().empty()) text += fmt::format("error: {}\n", Printable(job.error()));
  return text;
}

// Repaints a block of lines in place on a terminal; in a pipe prints a plain line per change.
class Watcher {
 public:
  explicit Watcher(const GlobalOptions& global) : global_(global) {}

  void Show(const v1::Job& job) {
    if (global_.output == OutputFormat::kJson) {
      fmt::print("{}", ToJson(job));
    } else if (global_.terminal) {
      Repaint(RenderJob(job));
    } else if (const std::string line = ProgressLine(job); line != last_line_) {
      fmt::print("{}\n", line);
      last_line_ = line;
    }
    std::fflush(stdout);
  }

  void ShowEnd(const v1::Job& job) {
    if (global_.output != OutputFormat::kJson && !global_.terminal) {
      fmt::print("{}", RenderJob(job));
    }
    std::fflush(stdout);
  }

 private:
  void Repaint(const std::string& text) {
    if (lines_ > 0) fmt::print("\x1b[{}F\x1b[J", lines_);
    fmt::print("{}", text);
    lines_ = std::count(text.begin(), text.end(), '\n');
  }

  const GlobalOptions& global_;
  std::ptrdiff_t lines_ = 0;
  std::string last_line_;
};

v1::GetJobRequest JobRequest(const std::string& job) {
  v1::GetJobRequest request;
  request.set_job(job);
  return request;
}

absl::StatusOr<v1::Job> GetJob(Connection& server, const std::string& job) {
  return server.Call<v1::Job>(&v1::ExplorationService::Stub::GetJob, JobRequest(job));
}

}  // namespace

ExitCode WatchUntilEnd(Connection& server, const GlobalOptions& global, const std::string& id) {
  v1::WatchJobRequest request;
  request.set_job(id);
  grpc::ClientContext context;
  const auto stream = server.exploration().WatchJob(&context, request);
  Watcher watcher(global);
  v1::Job job;
  while (stream->Read(&job)) watcher.Show(job);
  const grpc::Status status = stream->Finish();
  if (!status.ok()) return Fail(server.Explain(FromGrpc(status)));
  if (!Ended(job.state())) {
    return Fail(absl::UnavailableError(
        fmt::format("the watch of job {} ended before the job; look again with `mico-cli status "
                    "{} --watch`", id, id)));
  }
  watcher.ShowEnd(job);
  return ExitCodeOf(job);
}

ExitCode Status(Connection& server, const GlobalOptions& global, const std::string& id,
                bool watch) {
  if (watch) return WatchUntilEnd(server, global, id);
  const absl::StatusOr<v1::Job> job = GetJob(server, id);
  if (!job.ok()) return Fail(job.status());
  fmt::print("{}", global.output == OutputFormat::kJson  ? ToJson(*job)
                   : global.output == OutputFormat::kCsv ? RenderFront(*job, global.output)
                                                         : RenderJob(*job));
  return ExitCodeOf(*job);
}

ExitCode Front(Connection& server, const GlobalOptions& global, const std::string& id) {
  const absl::StatusOr<v1::Job> job = GetJob(server, id);
  if (!job.ok()) return Fail(job.status());
  if (global.output == OutputFormat::kJson) {
    fmt::print("{}", ToJson(*job));
    return ExitCode::kDone;
  }
  fmt::print("{}", RenderFront(*job, global.output));
  return ExitCode::kDone;
}

}  // namespace mico
