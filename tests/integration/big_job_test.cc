// A job of 100,000 trials: proposing, leasing, recording and looking at it stay in proportion.
#include <algorithm>
#include <set>

#include "tests/integration/service.h"

namespace mico {
namespace {

constexpr int64_t kTrials = 100'000;

class BigJobTest : public ServiceTest {
 protected:
  void SetUp() override {
    // Fewer calls; what is long here is the history.
    options_.coordinator.trials_per_order = 256;
    StartServer();
  }

  v1::SubmitJobRequest BigJob() {
    v1::SubmitJobRequest request = SmallJob("random", kTrials);
    request.mutable_spec()->set_model_digest(UploadBlob(*blobs_, LongNetwork(8)).value().hex());
    return request;
  }
};

TEST_F(BigJobTest, AJobOfAHundredThousandTrialsEndsWithTheFrontOfItsTrials) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(BigJob()).job().id();
  size_t largest = 0;
  int64_t steps = 0;
  worker.StepUntil(
      [&] {
        if (++steps % 50 != 0) return false;  // as a watch would look
        const v1::Job job = GetJob(id);
        largest = std::max(largest, job.ByteSizeLong());
        return job.state() >= v1::JOB_STATE_DONE;
      },
      200'000);
  const v1::Job job = GetJob(id);
  ASSERT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
  EXPECT_EQ(job.trials_finished(), kTrials);
  EXPECT_LT(largest, 64u << 10) << "what a watch sees does not grow with the history";

  const std::vector<v1::Trial> trials = ListTrials(id, 1000);
  ASSERT_EQ(trials.size(), static_cast<size_t>(kTrials));
  for (int64_t i = 0; i < kTrials; ++i) ASSERT_EQ(trials[i].number(), i + 1);
  std::set<std::string> schemes;
  for (const v1::Trial& trial : trials) schemes.insert(trial.scheme_text());
  EXPECT_EQ(schemes.size(), trials.size()) << "nothing is evaluated twice";

  // The front, worked out from the listing: whoever is slower must be better.
  std::vector<std::pair<int64_t, int64_t>> points;
  points.reserve(trials.size());
  for (const v1::Trial& trial : trials) {
    points.emplace_back(trial.cost().latency_cycles(), -trial.val().correct());
  }
  std::sort(points.begin(), points.end());
  std::vector<std::pair<int64_t, int64_t>> expected;
  for (const auto& point : points) {
    if (expected.empty() || point.second < expected.back().second) expected.push_back(point);
  }
  std::vector<std::pair<int64_t, int64_t>> found;
  for (const v1::Trial& trial : job.front()) {
    found.emplace_back(trial.cost().latency_cycles(), -trial.val().correct());
  }
  EXPECT_EQ(found, expected);
}

TEST_F(BigJobTest, ARestartInTheMiddleGoesOnWhereItStopped) {
  std::optional<TaskOrder> held;
  std::string id;
  {
    FakeWorker worker = AnnouncedWorker("a");
    id = Submit(BigJob()).job().id();
    worker.StepUntil([&] { return worker.orders > 100; }, 200'000);
    held = worker.held;
  }
  const int64_t before = GetJob(id).trials_finished();
  RestartServer();
  EXPECT_EQ(GetJob(id).trials_finished(), before);
  FakeWorker worker(address(), "a");
  worker.held = held;
  worker.StepUntil([&] { return worker.orders > 20; }, 200'000);
  EXPECT_GT(GetJob(id).trials_finished(), before);
}

}  // namespace
}  // namespace mico
