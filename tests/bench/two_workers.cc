#include "tests/bench/two_workers.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

absl::Status StartWorker(const NetworkBenchOptions& options, std::vector<FILE*>& replies,
                         std::vector<FILE*>& orders) {
  int to_child[2], from_child[2];
  if (pipe2(to_child, O_CLOEXEC) != 0 || pipe2(from_child, O_CLOEXEC) != 0) {
    return absl::InternalError("no pipe");
  }
  const std::string data = options.data.string();
  const std::string images = std::to_string(options.quick ? 1000 : 5000);
  const pid_t child = fork();
  if (child == 0) {
    dup2(to_child[0], STDIN_FILENO);
    dup2(from_child[1], STDOUT_FILENO);
    execl("/proc/self/exe", "sharing_bench", "--data", data.c_str(), "--worker-images",
          images.c_str(), nullptr);
    _exit(127);
  }
  close(to_child[0]);
  close(from_child[1]);
  orders.push_back(fdopen(to_child[1], "w"));
  replies.push_back(fdopen(from_child[0], "r"));
  return child > 0 ? absl::OkStatus() : absl::InternalError("no process");
}

absl::StatusOr<double> SlowestOf(int count, const NetworkBenchOptions& options) {
  std::vector<FILE*> replies, orders;
  for (int i = 0; i < count; ++i) MICO_RETURN_IF_ERROR(StartWorker(options, replies, orders));
  std::array<char, 128> line{};
  const auto next = [&](FILE* from) -> absl::StatusOr<std::string> {
    if (std::fgets(line.data(), line.size(), from) == nullptr) {
      return absl::InternalError("a worker process ended");
    }
    return std::string(line.data());
  };
  for (FILE* reply : replies) MICO_RETURN_IF_ERROR(next(reply).status());
  for (FILE* order : orders) {
    std::fputs("go\n", order);
    std::fflush(order);
  }
  double slowest = 0.0;
  for (FILE* reply : replies) {
    MICO_ASSIGN_OR_RETURN(const std::string text, next(reply));
    slowest = std::max(slowest, std::strtod(text.c_str(), nullptr));
  }
  for (FILE* file : replies) std::fclose(file);
  for (FILE* file : orders) std::fclose(file);
  while (wait(nullptr) > 0) continue;
  return slowest;
}

// Seconds of one scheme.
absl::StatusOr<double> Time(TorchEvaluator& evaluator, const BenchNetwork& network,
                            int64_t images) {
  const std::vector<BitScheme> schemes{network.Uniform(8, 8)};
  const auto start = std::chrono::steady_clock::now();
  MICO_ASSIGN_OR_RETURN(const auto outcomes,
                        evaluator.Evaluate(network.package, network.calibration, network.dataset,
                                           {.schemes = schemes, .samples = images}, nullptr));
  MICO_RETURN_IF_ERROR(outcomes.front().status);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

absl::Status WorkAsOne(const NetworkBenchOptions& options, int64_t images) {
  MICO_ASSIGN_OR_RETURN(const auto evaluator, TorchEvaluator::Create({.threads = 1}));
  MICO_ASSIGN_OR_RETURN(const BenchNetwork network, LoadResNet20(options, 256, *evaluator));
  MICO_RETURN_IF_ERROR(Time(*evaluator, network, 200).status());  // fills the caches
  fmt::print("ready\n");
  std::fflush(stdout);
  if (std::getchar() == EOF) return absl::CancelledError("nobody said go");
  MICO_ASSIGN_OR_RETURN(const double seconds, Time(*evaluator, network, images));
  fmt::print("{}\n", seconds);
  return absl::OkStatus();
}

absl::Status MeasureTwoWorkers(const NetworkBenchOptions& options, BenchReport& report) {
  double one = HUGE_VAL, two = HUGE_VAL;
  for (int round = 0; round < (options.quick ? 1 : 3); ++round) {
    MICO_ASSIGN_OR_RETURN(const double alone, SlowestOf(1, options));
    MICO_ASSIGN_OR_RETURN(const double both, SlowestOf(2, options));
    one = std::min(one, alone);
    two = std::min(two, both);
  }
  report.Add({"workers: two against one", 2 * one / two, 1.7, "ratio", "-"});
  return absl::OkStatus();
}

}  // namespace mico
