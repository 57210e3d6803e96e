// Bad days: servers and workers that are killed under load. Every worker writes down what it was
// told; afterwards that history and the database must agree (history_model.h), and every front
// must be the one of a calm run.
//
// MICO_STORM_KILLS=N: N kills of the server and 2 N of workers instead of 100 and 200.
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/random.h"
#include "fmt/format.h"
#include "tests/integration/small_network.h"
#include "tests/support/paths.h"
#include "tests/system/history_model.h"
#include "tests/system/service_fixture.h"

namespace mico {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr size_t kWorkers = 8;
constexpr int kTrials = 1500;

int KillsOfTheServer() {
  const char* text = std::getenv("MICO_STORM_KILLS");
  return text == nullptr ? 100 : std::atoi(text);
}

class StormTest : public ServiceFixture {
 protected:
  void StartStormWorker(size_t index, const std::vector<std::string>& options = {}) {
    if (workers_.size() <= index) workers_.resize(index + 1);
    const std::string id = fmt::format("worker-{}-life-{}", index, lives_++);
    histories_.push_back(Path(id + ".history"));
    std::vector<std::string> command{std::filesystem::path(kBinaryFolder) / "tests/storm_worker",
                                     address_, id, histories_.back()};
    command.insert(command.end(), options.begin(), options.end());
    workers_[index] = std::make_unique<ChildProcess>(command, Path("storm-workers.log"));
  }

  void StartStormWorkers() {
    for (size_t index = 0; index < kWorkers; ++index) {
      StartStormWorker(index, {"--work-ms", "3"});
    }
    WaitForTarget();
  }

  void EndStormWorkers() {
    for (auto& worker : workers_) worker->KillNow();
    workers_.clear();
  }

  v1::SubmitJobRequest StormJob(uint64_t seed, const std::string& strategy = "random") {
    const std::filesystem::path model = Path("storm.onnx"), data = Path("storm.npz");
    EXPECT_TRUE(WriteFileDurably(model, LongNetwork(6)).ok());
    EXPECT_TRUE(WriteFileDurably(data, SmallData()).ok());
    v1::SubmitJobRequest request;
    request.set_request_id(fmt::format("storm-{}-{}", strategy, seed));
    v1::JobSpec& spec = *request.mutable_spec();
    spec.set_model_name("storm.onnx");
    spec.set_model_digest(server().UploadOnce(model).value().hex());
    spec.set_dataset_name("storm.npz");
    spec.set_dataset_digest(server().UploadOnce(data).value().hex());
    spec.set_target("fake");
    spec.set_strategy(strategy);
    spec.set_trials(kTrials);
    spec.set_seed(seed);
    return request;
  }

  // Seconds until the server listens again.
  double RestartServer(const std::string& data) {
    const auto start = steady_clock::now();
    StartServer(data);
    return std::chrono::duration<double>(steady_clock::now() - start).count();
  }

  // Calls `kill` so many times while jobs, one after another, make progress between the kills.
  // Returns the jobs.
  template <typename Kill>
  std::vector<std::string> KillUnderLoad(int kills, uint64_t first_seed, Kill kill) {
    std::vector<std::string> jobs{Submit(StormJob(first_seed)).id()};
    int64_t finished = -1;
    for (int done = 0; done < kills;) {
      const v1::Job job = WaitForProgress(jobs.back(), finished);
      if (job.state() >= v1::JOB_STATE_DONE) {
        EXPECT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
        jobs.push_back(Submit(StormJob(first_seed + jobs.size())).id());
        finished = -1;
        continue;
      }
      EXPECT_GE(job.trials_finished(), finished) << "an acknowledged result is never lost";
      finished = job.trials_finished();
      std::this_thread::sleep_for(milliseconds(random_.Below(60)));  // in the middle of something
      kill();
      ++done;
    }
    for (const std::string& id : jobs) {
      const v1::Job job = WaitForEnd(id);
      EXPECT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
      EXPECT_EQ(job.trials_finished(), kTrials);
      fronts_.push_back(FrontAsText(job));
    }
    return jobs;
  }

  // The fronts of the same jobs where nobody is killed.
  void ExpectFrontsOfACalmRun(uint64_t first_seed) {
    KillServer();
    EndStormWorkers();
    StartServer("calm");
    StartStormWorkers();
    for (size_t i = 0; i < fronts_.size(); ++i) {
      const v1::Job job = WaitForEnd(Submit(StormJob(first_seed + i)).id());
      EXPECT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
      EXPECT_FALSE(FrontAsText(job).empty());
      EXPECT_EQ(fronts_[i], FrontAsText(job)) << "job " << i;
    }
  }

  HistoryModel ExpectHistoriesToAgree(const std::string& data) {
    HistoryModel model;
    for (const std::filesystem::path& history : histories_) model.Read(history);
    EXPECT_THAT(model.Contradictions(Path(data) / "mico.sqlite"), IsEmpty());
    EXPECT_GT(model.acknowledged(), 100u);
    return model;
  }

  Random random_{2026};
  int lives_ = 0;
  std::vector<std::filesystem::path> histories_;
  std::vector<std::vector<std::string>> fronts_;
};

TEST_F(StormTest, AServerThatIsKilledUnderLoadLosesNothingAndCountsNothingTwice) {
  StartServer("data");
  StartStormWorkers();
  std::vector<double> ready;
  const std::vector<std::string> jobs = KillUnderLoad(KillsOfTheServer(), 1, [&] {
    KillServer();
    ready.push_back(RestartServer("data"));
  });
  server_process_->Signal(SIGTERM);
  EXPECT_EQ(server_process_->Wait(std::chrono::seconds(30)), 0);
  const HistoryModel model = ExpectHistoriesToAgree("data");
  std::sort(ready.begin(), ready.end());
  fmt::print(
      "{} kills of the server, {} jobs, {} orders, {} results acknowledged, {} refused; ready "
      "again after {:.2f} s (median), {:.2f} s (longest)\n",
      ready.size(), jobs.size(), model.orders(), model.acknowledged(), model.refused(),
      ready[ready.size() / 2], ready.back());
  ExpectFrontsOfACalmRun(1);
}

TEST_F(StormTest, WorkersThatAreKilledUnderLoadTakeNothingWithThem) {
  StartServer("data");
  StartStormWorkers();
  const int kills = 2 * KillsOfTheServer();
  const std::vector<std::string> jobs = KillUnderLoad(kills, 1, [&] {
    const size_t index = random_.Below(kWorkers);
    KillWorker(index);
    StartStormWorker(index, {"--work-ms", "3"});
  });
  server_process_->Signal(SIGTERM);
  EXPECT_EQ(server_process_->Wait(std::chrono::seconds(30)), 0);
  const HistoryModel model = ExpectHistoriesToAgree("data");
  fmt::print("{} kills of workers, {} jobs, {} orders, {} results acknowledged, {} refused\n",
             kills, jobs.size(), model.orders(), model.acknowledged(), model.refused());
  ExpectFrontsOfACalmRun(1);
}

TEST_F(StormTest, ATaskThatKillsThreeWorkersIsSetAsideAndTheJobGoesOn) {
  StartServer("data");
  const std::string poison = "w4a8,w4a4,w4a4,w4a4,w4a4,w4a4,w4a4";  // uniform w4a4
  StartStormWorker(0, {"--dies-of", poison});
  WaitForTarget();
  const std::string id = Submit(StormJob(1, "uniform")).id();
  int deaths = 0;
  while (GetJob(id).state() < v1::JOB_STATE_DONE) {
    if (!workers_[0]->Running()) {
      ++deaths;
      StartStormWorker(0, {"--dies-of", poison});
    }
    std::this_thread::sleep_for(milliseconds(20));
  }
  const v1::Job job = GetJob(id);
  EXPECT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
  EXPECT_EQ(deaths, 3);
  v1::ListTrialsRequest list;
  list.set_job(id);
  const auto trials =
      server().Call<v1::ListTrialsResponse>(&v1::ExplorationService::Stub::ListTrials, list);
  ASSERT_TRUE(trials.ok()) << trials.status();
  int set_aside = 0;
  for (const v1::Trial& trial : trials->trials()) {
    if (trial.state() != v1::TRIAL_STATE_FAILED) continue;
    EXPECT_THAT(trial.error(), HasSubstr("3 workers in a row fell silent"));
    EXPECT_THAT(trial.error(), HasSubstr("worker-0-life-2")) << "what was seen";
    ++set_aside;
  }
  EXPECT_GE(set_aside, 1);
  EXPECT_LT(set_aside, trials->trials_size()) << "the others were evaluated";
}

}  // namespace
}  // namespace mico
