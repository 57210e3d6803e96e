// A worker for storms: speaks the worker's protocol with a server that may be gone at any moment,
// evaluates nothing, and writes down what it was told before it does anything else.
//
//   storm_worker ADDRESS ID HISTORY [--work-ms N] [--dies-of SCHEME]
//
// HISTORY gets one line for each event, appended by a single write, which a SIGKILL cannot undo:
//   order LEASE TASK            an order arrived
//   sending LEASE SCHEME C/T    a result that the next call carries, one line for each scheme
//   acknowledged LEASE          the server has taken the result
//   refused LEASE               the lease was lost; the result does not count
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "CLI/CLI.hpp"
#include "fmt/format.h"
#include "tests/integration/fake_worker.h"

namespace mico {
namespace {

constexpr std::chrono::milliseconds kPause{5};  // while there is nobody, or nothing to do

struct StormOptions {
  std::string address, id, history, dies_of;
  int work_ms = 0;
};

class StormWorker {
 public:
  explicit StormWorker(const StormOptions& options)
      : options_(options),
        worker_(options.address, options.id),
        history_(open(options.history.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {}

  [[noreturn]] void Run() {
    while (true) {
      const std::optional<TaskOrder> held = worker_.held;
      const absl::StatusOr<WorkerReport> report =
          held ? Finish(*held) : absl::StatusOr<WorkerReport>(worker_.Report());
      const absl::StatusOr<WorkerOrder> answer =
          report.ok() ? worker_.Say(*report) : absl::StatusOr<WorkerOrder>(report.status());
      if (!answer.ok()) {  // the same once more, until somebody answers
        std::this_thread::sleep_for(kPause);
        continue;
      }
      if (held)
        Write(
            fmt::format("{} {}", answer->lease_lost ? "refused" : "acknowledged", held->lease_id));
      worker_.held = answer->order;
      if (answer->order) {
        Write(fmt::format("order {} {}", answer->order->lease_id, answer->order->task_id));
      } else {
        std::this_thread::sleep_for(kPause);
      }
    }
  }

 private:
  // Fails when what the result refers to cannot be uploaded now.
  absl::StatusOr<WorkerReport> Finish(const TaskOrder& order) {
    const auto* evaluate = std::get_if<EvaluateTask>(&order.task);
    if (evaluate != nullptr && Kills(*evaluate)) raise(SIGKILL);
    if (worked_on_ != order.lease_id) {
      std::this_thread::sleep_for(std::chrono::milliseconds(options_.work_ms));
      worked_on_ = order.lease_id;
    }
    const TaskResult result = worker_.Work(order.task);
    if (!result.status.ok()) return result.status;
    const auto* scores = std::get_if<EvaluateResult>(&result.result);
    for (size_t i = 0; scores != nullptr && i < scores->schemes.size(); ++i) {
      const Score& score = scores->schemes[i].score;
      Write(fmt::format("sending {} {} {}/{}", order.lease_id, evaluate->schemes[i].ToString(),
                        score.correct, score.total));
    }
    return worker_.ReportFinished(order.lease_id, result);
  }

  bool Kills(const EvaluateTask& task) const {
    for (const BitScheme& scheme : task.schemes) {
      if (scheme.ToString() == options_.dies_of) return true;
    }
    return false;
  }

  void Write(const std::string& line) {
    const std::string whole = line + "\n";
    if (write(history_, whole.data(), whole.size()) != static_cast<ssize_t>(whole.size())) {
      std::perror(options_.history.c_str());
      _exit(1);
    }
  }

  const StormOptions options_;
  FakeWorker worker_;
  const int history_;
  std::string worked_on_;  // lease
};

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  CLI::App app("A worker that writes down what it was told.");
  mico::StormOptions options;
  app.add_option("address", options.address)->required();
  app.add_option("id", options.id)->required();
  app.add_option("history", options.history)->required();
  app.add_option("--work-ms", options.work_ms, "what a task takes");
  app.add_option("--dies-of", options.dies_of, "a scheme whose evaluation kills the process");
  CLI11_PARSE(app, argc, argv);
  // As worker/server_channel.cc: a server that is back is found at once.
  setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "20", 0);
  mico::StormWorker(options).Run();
}
