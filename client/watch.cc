#include <cstdio>
#include <string>

#include "client/interrupt.h"
#include "client/output.h"
#include "client/render.h"
#include "client/terminal.h"
#include "client/verbs.h"
#include "fmt/format.h"

namespace mico {
namespace {

// Shows a job as it changes: repainted in place on a terminal, a plain line per change in a pipe.
class Watcher {
 public:
  explicit Watcher(const GlobalOptions& global) : global_(global) {}

  void Show(const v1::Job& job) {
    if (global_.output == OutputFormat::kJson) {
      Print(ToJsonLine(job));
    } else if (global_.output == OutputFormat::kTable && global_.terminal) {
      const ScreenSize size = StdoutSize();
      const auto most_lines = static_cast<size_t>(LiveBlock::MostRows(size));
      Print(block_.Paint(RenderJob(job, most_lines), size));
    } else if (const std::string line = ProgressLine(job); line != last_line_) {
      // Standard output is for the CSV at the end.
      if (global_.output == OutputFormat::kCsv)
        Note(line);
      else
        Print(line + "\n");
      last_line_ = line;
    }
    can_write_ = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  }
  // False: nobody reads standard output any more.
  bool can_write() const { return can_write_; }

  // The whole of it: what does not fit the screen may scroll now.
  void ShowEnd(const v1::Job& job) {
    if (global_.output == OutputFormat::kTable) {
      if (global_.terminal) Print(block_.Erase(StdoutSize()));
      Print(RenderJob(job));
    } else if (global_.output == OutputFormat::kCsv) {
      Print(RenderFront(job, OutputFormat::kCsv));
      if (!job.error().empty()) Note(job.error());
    }
  }

 private:
  const GlobalOptions& global_;
  LiveBlock block_;
  std::string last_line_;
  bool can_write_ = true;
};

absl::Status LostSight(const absl::Status& cause, const std::string& id) {
  return {cause.code(), fmt::format("{}; the watch is over, the job may go on: `mico-cli status {} "
                                    "--watch`",
                                    std::string(cause.message()), id)};
}

void SayHowToGoOn(const std::string& id) {
  SayOnInterrupt(
      fmt::format("\nmico-cli: interrupted; the job goes on: `mico-cli status {} --watch`"
                  ", `mico-cli cancel {}`",
                  id, id));
}

}  // namespace

ExitCode WatchUntilEnd(Connection& server, const GlobalOptions& global, const std::string& id) {
  v1::WatchJobRequest request;
  request.set_job(id);
  grpc::ClientContext context;
  const auto stream = server.exploration().WatchJob(&context, request);
  Watcher watcher(global);
  v1::Job job;
  bool seen = false;
  while (stream->Read(&job)) {
    if (!seen) SayHowToGoOn(id);
    seen = true;
    watcher.Show(job);
    if (watcher.can_write()) continue;
    context.TryCancel();
    stream->Finish();
    return ExitCode::kWrongInput;  // main says what is wrong with standard output
  }
  const grpc::Status status = stream->Finish();
  // A job that has ended has been seen whole, whatever became of the connection then.
  if (seen && HasEnded(job.state())) {
    watcher.ShowEnd(job);
    return ExitCodeOf(job);
  }
  const absl::Status cause =
      status.ok() ? absl::UnavailableError("the server ended the watch before the job ended")
                  : server.Explain(StatusOf(status));
  return Fail(seen ? LostSight(cause, id) : cause);
}

}  // namespace mico
