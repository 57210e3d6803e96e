#include "db/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "SQLiteCpp/SQLiteCpp.h"
#include "absl/synchronization/notification.h"
#include "base/file.h"
#include "db/checksum_vfs.h"
#include "db/migrations.h"

namespace mico {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

class StoreTest : public testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open(const StoreOptions& options = {}) {
    store_.reset();
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(File(), options);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  std::filesystem::path File() const { return folder_.path() / "mico.sqlite"; }

  Store::Change AddBlob(const std::string& content) {
    return [content](StoreTransaction& transaction) {
      transaction.AddBlob(Digest::Of(content), static_cast<int64_t>(content.size()), TimePoint{});
      return absl::OkStatus();
    };
  }
  bool HasBlob(const std::string& content) {
    return store_->Read([&](StoreView& view) { return view.HasBlob(Digest::Of(content)); }).value();
  }
  static JobRecord AnyJob(const std::string& id) {
    JobRecord job;
    job.id = id;
    job.model = job.dataset = job.package = Digest::Of("x");
    return job;
  }
  // A job with all that it refers to.
  Store::Change AddJob(const std::string& id, int64_t created_ms = 0) {
    return [id, created_ms](StoreTransaction& transaction) {
      const Digest digest = Digest::Of("x");
      transaction.AddBlob(digest, 1, TimePoint{});
      ModelRecord model;
      model.digest = model.package = digest;
      transaction.AddModel(model);
      DatasetRecord dataset;
      dataset.digest = digest;
      transaction.AddDataset(dataset);
      JobRecord job = AnyJob(id);
      job.warnings = {"first", "second"};
      job.limits.max_latency_cycles = 5;
      job.created = TimePoint(std::chrono::milliseconds(created_ms));
      transaction.AddJob(job);
      return absl::OkStatus();
    };
  }

  TemporaryFolder folder_ = TemporaryFolder::Create().value();
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, WhatWasWrittenIsThereAfterReopening) {
  ASSERT_TRUE(store_->Write(AddJob("job-1")).ok());
  Open();
  const std::optional<JobRecord> job =
      store_->Read([](StoreView& view) { return view.FindJob("job-1"); }).value();
  ASSERT_TRUE(job);
  EXPECT_THAT(job->warnings, ElementsAre("first", "second"));
  EXPECT_EQ(job->limits.max_latency_cycles, 5);
  EXPECT_FALSE(job->limits.max_ram_bytes);
  EXPECT_EQ(job->state, JobState::kPreparing);
}

TEST_F(StoreTest, TrialsKeepEverything) {
  TrialRecord record;
  record.trial.number = 1;
  record.trial.scheme = BitScheme::Parse("w8a8,w4a2").value();
  record.trial.samples = 32;
  record.trial.cost = {10, 20, 30};
  record.trial.floor = 0.875;
  ASSERT_TRUE(store_->Write(AddJob("job-1")).ok());
  ASSERT_TRUE(store_
                  ->Write([&](StoreTransaction& transaction) {
                    transaction.AddTrial("job-1", record, TimePoint{});
                    record.trial.state = TrialState::kFinished;
                    record.trial.val = CountScore(Metric::kTop5, 3, 4);
                    record.trial.divergence = 0.25;
                    record.trial.gave_up = true;
                    record.trial.quantized_digest = Digest::Of("q").hex();
                    record.test = CountScore(Metric::kTop5, 5, 6);
                    transaction.UpdateTrial("job-1", record, TimePoint{});
                    return absl::OkStatus();
                  })
                  .ok());
  const std::vector<TrialRecord> trials =
      store_->Read([](StoreView& view) { return view.ListTrials("job-1", 0, 10); }).value();
  ASSERT_THAT(trials, SizeIs(1));
  const Trial& trial = trials[0].trial;
  EXPECT_EQ(trial.scheme, record.trial.scheme);
  EXPECT_EQ(trial.state, TrialState::kFinished);
  EXPECT_EQ(trial.cost, record.trial.cost);
  EXPECT_EQ(trial.samples, 32);
  EXPECT_EQ(trial.divergence, 0.25);
  EXPECT_EQ(trial.val, record.trial.val);
  EXPECT_EQ(trial.quantized_digest, record.trial.quantized_digest);
  EXPECT_EQ(trials[0].test, record.test);
  EXPECT_EQ(trial.floor, 0.875);
  EXPECT_TRUE(trial.gave_up);
}

TEST_F(StoreTest, AnEvaluationIsFoundByWhatItDependsOnAndItsFirstAnswerStays) {
  const BitScheme scheme = BitScheme::Parse("w8a8,w4a2").value();
  const EvaluationRecord evaluation{"net/calibration/data/val/0/mse/1", scheme,
                                    MseScore(std::vector<double>{0.1, 0.3}), 0.5, Digest::Of("q")};
  EvaluationRecord later = evaluation;
  later.divergence = 0.75;
  ASSERT_TRUE(store_
                  ->Write([&](StoreTransaction& transaction) {
                    transaction.AddEvaluation(evaluation);
                    transaction.AddEvaluation(later);
                    return absl::OkStatus();
                  })
                  .ok());
  const auto find = [&](const std::string& setting, std::string_view bits) {
    return store_
        ->Read([&](StoreView& view) {
          return view.FindEvaluation(setting, BitScheme::Parse(bits).value());
        })
        .value();
  };

  const std::optional<EvaluationRecord> found = find(evaluation.setting, "w8a8,w4a2");

  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->score, evaluation.score);
  EXPECT_EQ(found->divergence, 0.5);
  EXPECT_EQ(found->quantized, evaluation.quantized);
  EXPECT_FALSE(find(evaluation.setting, "w8a8,w4a3").has_value());
  EXPECT_FALSE(find("net/calibration/data/test/0/mse/1", "w8a8,w4a2").has_value());
}

TEST_F(StoreTest, ValuesThatNoCountGivesKeepTheirBits) {
  TrialRecord record;
  record.trial.number = 1;
  record.trial.scheme = BitScheme::Parse("w8a8").value();
  CalibrationRecord calibration{"key", Digest::Of("x"), MseScore(std::vector<double>{0.1, 0.7}),
                                MseScore(std::vector<double>{1.0 / 3.0})};
  ASSERT_TRUE(store_->Write(AddJob("job-1")).ok());
  ASSERT_TRUE(store_
                  ->Write([&](StoreTransaction& transaction) {
                    transaction.AddCalibration(calibration);
                    transaction.AddTrial("job-1", record, TimePoint{});
                    record.trial.val = calibration.float_val;
                    transaction.UpdateTrial("job-1", record, TimePoint{});
                    JobRecord job = AnyJob("job-1");
                    job.float_val = calibration.float_val;
                    job.float_test = calibration.float_test;
                    job.limits.max_error = 0.25;
                    transaction.UpdateJob(job);
                    return absl::OkStatus();
                  })
                  .ok());
  Open();
  const auto trials =
      store_->Read([](StoreView& view) { return view.ListTrials("job-1", 0, 10); }).value();
  const auto job = store_->Read([](StoreView& view) { return view.FindJob("job-1"); }).value();
  const auto stored =
      store_->Read([](StoreView& view) { return view.FindCalibration("key"); }).value();
  ASSERT_THAT(trials, SizeIs(1));
  EXPECT_EQ(trials[0].trial.val, calibration.float_val);
  EXPECT_FALSE(trials[0].test.measured());
  ASSERT_TRUE(job && stored);
  EXPECT_EQ(job->float_val, calibration.float_val);
  EXPECT_EQ(job->float_test, calibration.float_test);
  EXPECT_EQ(job->limits.max_error, 0.25);
  EXPECT_EQ(stored->float_val, calibration.float_val);
  EXPECT_EQ(stored->float_test, calibration.float_test);
}

TEST_F(StoreTest, ReconstructionsAreFoundByKeyAndKeptWithTheJob) {
  ASSERT_TRUE(store_->Write(AddJob("job-1")).ok());
  const std::vector<Digest> learned{Digest::Of("x"), Digest::Of("x")};
  ASSERT_TRUE(store_
                  ->Write([&](StoreTransaction& transaction) {
                    transaction.AddReconstruction("key", learned[0]);
                    JobRecord job = AnyJob("job-1");
                    job.reconstructions = learned;
                    transaction.UpdateJob(job);
                    return absl::OkStatus();
                  })
                  .ok());
  Open();
  const auto read = store_->Read([&](StoreView& view) {
    EXPECT_EQ(view.FindReconstruction("key"), learned[0]);
    EXPECT_FALSE(view.FindReconstruction("another"));
    EXPECT_EQ(view.FindJob("job-1")->reconstructions, learned);
    return true;
  });
  EXPECT_TRUE(read.ok()) << read.status();
}

TEST_F(StoreTest, TrainedTrialsKeepWhatTheyLearned) {
  TrialRecord record;
  record.trial.number = 2;
  record.trial.scheme = BitScheme::Parse("w2a2").value();
  record.trial.trained = true;
  record.trial.trained_from = 1;
  ASSERT_TRUE(store_->Write(AddJob("job-1")).ok());
  const absl::Status written = store_->Write([&](StoreTransaction& transaction) {
    transaction.AddTrial("job-1", record, TimePoint{});
    record.trial.learned_digest = Digest::Of("learned").hex();
    transaction.UpdateTrial("job-1", record, TimePoint{});
    return absl::OkStatus();
  });
  ASSERT_TRUE(written.ok()) << written;
  const TrialRecord found =
      store_->Read([](StoreView& view) { return view.FindTrial("job-1", 2).value(); }).value();
  EXPECT_TRUE(found.trial.trained);
  EXPECT_EQ(found.trial.trained_from, 1);
  EXPECT_EQ(found.trial.learned_digest, record.trial.learned_digest);
  EXPECT_EQ(found.trial.state, TrialState::kWaiting);
}

TEST_F(StoreTest, ATrainingIsFoundByKeyAndTheLatestCounts) {
  TrainingRecord training{"key", Digest::Of("x"), Digest::Of("y"), 2.5,
                          std::chrono::milliseconds(90'000)};
  const auto put = [&] {
    return store_->Write([&](StoreTransaction& transaction) {
      transaction.PutTraining(training);
      return absl::OkStatus();
    });
  };
  ASSERT_TRUE(store_->Write(AddBlob("x")).ok());
  EXPECT_FALSE(put().ok()) << "its state is no blob";
  ASSERT_TRUE(store_->Write(AddBlob("y")).ok());
  ASSERT_TRUE(put().ok());
  training.epochs = 3.0;
  ASSERT_TRUE(put().ok());
  Open();
  const auto read = store_->Read([&](StoreView& view) {
    const TrainingRecord found = view.FindTraining("key").value();
    EXPECT_EQ(found.reconstruction, training.reconstruction);
    EXPECT_EQ(found.state, training.state);
    EXPECT_EQ(found.epochs, 3.0);
    EXPECT_EQ(found.duration, training.duration);
    EXPECT_FALSE(view.FindTraining("another"));
    return true;
  });
  EXPECT_TRUE(read.ok()) << read.status();
}

TEST_F(StoreTest, ACheckpointIsForgottenUnlessItIsSomethingElseToo) {
  const auto at = [](int64_t ms) { return TimePoint(std::chrono::milliseconds(ms)); };
  ASSERT_TRUE(store_->Write(AddJob("job-1")).ok());
  const absl::Status written = store_->Write([&](StoreTransaction& transaction) {
    transaction.AddBlob(Digest::Of("older"), 1, at(4));
    TaskRecord task;
    task.id = 7;
    task.job = "job-1";
    task.purpose = "train";
    transaction.AddTask(task, at(5));
    transaction.AddBlob(Digest::Of("checkpoint"), 1, at(5));
    transaction.AddBlob(Digest::Of("state"), 1, at(6));
    transaction.PutTraining({"key", Digest::Of("x"), Digest::Of("state")});
    for (const char* name : {"older", "checkpoint", "state", "x", "nobody has this"}) {
      transaction.ForgetCheckpoint(Digest::Of(name), 7);
    }
    return absl::OkStatus();
  });
  ASSERT_TRUE(written.ok()) << written;
  EXPECT_FALSE(HasBlob("checkpoint"));
  EXPECT_TRUE(HasBlob("older"));
  EXPECT_TRUE(HasBlob("state"));
  EXPECT_TRUE(HasBlob("x"));
}

TEST_F(StoreTest, WhatATaskAsksForCanChange) {
  ASSERT_TRUE(store_->Write(AddJob("job-1")).ok());
  const absl::Status written = store_->Write([&](StoreTransaction& transaction) {
    TaskRecord task;
    task.id = 7;
    task.job = "job-1";
    task.payload = "before";
    task.attempts = 0;
    transaction.AddTask(task, TimePoint{});
    transaction.UpdateTaskPayload(7, "after");
    return absl::OkStatus();
  });
  ASSERT_TRUE(written.ok()) << written;
  const auto tasks = store_->Read([](StoreView& view) { return view.ListOpenTasks(); }).value();
  ASSERT_THAT(tasks, SizeIs(1));
  EXPECT_EQ(tasks[0].payload, "after");
  EXPECT_EQ(tasks[0].state, TaskState::kWaiting);
}

TEST_F(StoreTest, TrialsOfBeforeThereWasTrainingAreNotTrained) {
  store_.reset();
  std::filesystem::remove(File());
  {
    SQLite::Database old(File().string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    for (int i = 0; i < 6; ++i) old.exec(std::string(Migrations()[i]));
    const std::string hex = Digest::Of("x").hex();
    old.exec("INSERT INTO blobs VALUES ('" + hex + "', 1, 0)");
    old.exec("INSERT INTO models VALUES ('" + hex + "', '" + hex + "', 'm', 1, 2, 3, '1', 0)");
    old.exec(
        "INSERT INTO datasets (digest, name, description, sample_shape, bytes, val_samples, "
        "test_samples, classes, input_non_negative, val_taken_from_train, created_ms) VALUES ('" +
        hex + "', 'd', '', '1', 9, 40, 30, 10, 1, 0, 0)");
    old.exec(
        "INSERT INTO jobs (id, spec, target, model_digest, dataset_digest, package_digest, state, "
        "created_ms) VALUES ('job-1', x'00', x'00', '" +
        hex + "', '" + hex + "', '" + hex + "', 'searching', 0)");
    old.exec(
        "INSERT INTO trials (job_id, number, scheme, samples, label, state, latency, ram, flash, "
        "correct, total, created_ms) "
        "VALUES ('job-1', 1, 'w8a8', 0, '', 'finished', 1, 2, 3, 30, 40, 0)");
    old.exec("PRAGMA user_version = 6");
  }
  Open();
  const auto read = store_->Read([](StoreView& view) {
    const TrialRecord record = view.FindTrial("job-1", 1).value();
    EXPECT_EQ(record.trial.val, CountScore(Metric::kTop1, 30, 40));
    EXPECT_FALSE(record.trial.trained);
    EXPECT_EQ(record.trial.trained_from, 0);
    EXPECT_EQ(record.trial.learned_digest, "");
    EXPECT_FALSE(view.FindTraining("key"));
    return true;
  });
  EXPECT_TRUE(read.ok()) << read.status();
}

TEST_F(StoreTest, WhatMetricsAskOfADataSetIsFilledInLater) {
  DatasetRecord dataset;
  dataset.digest = Digest::Of("x");
  const auto find = [&] {
    return store_->Read([&](StoreView& view) { return view.FindDataset(dataset.digest); })
        .value()
        .value();
  };
  ASSERT_TRUE(store_->Write(AddJob("job-1")).ok());
  dataset.targets = TargetFacts{3, 1, 2, 0.5};
  dataset.preparation_channels = 12;
  dataset.warnings = {"one sentence", "another"};
  dataset.name = "another name";
  ASSERT_TRUE(store_
                  ->Write([&](StoreTransaction& transaction) {
                    transaction.AddDataset(dataset);
                    return absl::OkStatus();
                  })
                  .ok());
  ASSERT_TRUE(find().targets);
  EXPECT_EQ(find().targets->elements, 3);
  EXPECT_EQ(find().targets->val_ones, 1);
  EXPECT_EQ(find().targets->test_ones, 2);
  EXPECT_EQ(find().targets->val_variance, 0.5);
  EXPECT_EQ(find().preparation_channels, 12);
  EXPECT_EQ(find().warnings, dataset.warnings);
  EXPECT_EQ(find().name, "");
}

TEST_F(StoreTest, AReaderSeesWhatWasAcknowledged) {
  for (int i = 0; i < 50; ++i) {
    const std::string content = std::to_string(i);
    ASSERT_TRUE(store_->Write(AddBlob(content)).ok());
    EXPECT_TRUE(HasBlob(content));
  }
}

TEST_F(StoreTest, AFailedChangeTakesOnlyItselfBack) {
  std::future<absl::Status> before = store_->Enqueue(AddBlob("before"));
  const absl::Status failed = store_->Write([&](StoreTransaction& transaction) {
    transaction.AddBlob(Digest::Of("half"), 1, TimePoint{});
    return absl::FailedPreconditionError("on second thoughts");
  });
  std::future<absl::Status> after = store_->Enqueue(AddBlob("after"));
  EXPECT_TRUE(before.get().ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(failed));
  EXPECT_TRUE(after.get().ok());
  EXPECT_TRUE(HasBlob("before"));
  EXPECT_FALSE(HasBlob("half"));
  EXPECT_TRUE(HasBlob("after"));
}

TEST_F(StoreTest, LinksBehindAFailedOneAreRefusedUntilTheOwnerKnows) {
  // The writer is held up, so that all three are queued before the first fails.
  absl::Notification go;
  std::future<absl::Status> first = store_->Enqueue([&](StoreTransaction&) {
    go.WaitForNotification();
    return absl::InternalError("broken");
  });
  std::future<absl::Status> second = store_->Enqueue(AddBlob("second"));
  const uint64_t failures_before = store_->failures();
  go.Notify();
  EXPECT_TRUE(absl::IsInternal(first.get()));
  EXPECT_TRUE(absl::IsUnavailable(second.get()));
  EXPECT_FALSE(HasBlob("second"));
  EXPECT_NE(store_->failures(), failures_before);
  EXPECT_TRUE(store_->Enqueue(AddBlob("third")).get().ok());
}

TEST_F(StoreTest, ForeignKeysHold) {
  const absl::Status status = store_->Write([](StoreTransaction& transaction) {
    transaction.AddRequest("request", "no such job", TimePoint{});
    return absl::OkStatus();
  });
  EXPECT_FALSE(status.ok());
}

TEST_F(StoreTest, ManyWritersAtOnceAreAllAcknowledged) {
  constexpr int kThreads = 8, kChanges = 50;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kChanges; ++i) {
        const std::string content = std::to_string(thread) + "/" + std::to_string(i);
        EXPECT_TRUE(store_->Write(AddBlob(content)).ok());
        EXPECT_TRUE(HasBlob(content));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(StoreTest, JobsArePagedNewestFirst) {
  for (const auto& [id, created] : {std::pair("a", 1), {"b", 2}, {"c", 2}, {"d", 3}}) {
    ASSERT_TRUE(store_->Write(AddJob(id, created)).ok());
  }
  const auto list = [&](int64_t before, const std::string& before_id) {
    const std::vector<JobRecord> jobs =
        store_
            ->Read([&](StoreView& view) {
              return view.ListJobs(TimePoint(std::chrono::milliseconds(before)), before_id, 2);
            })
            .value();
    std::vector<std::string> ids;
    ids.reserve(jobs.size());
    for (const JobRecord& job : jobs) ids.push_back(job.id);
    return ids;
  };
  EXPECT_THAT(list(INT64_MAX, ""), ElementsAre("d", "c"));
  EXPECT_THAT(list(2, "c"), ElementsAre("b", "a"));
}

TEST_F(StoreTest, MigrationsAreAppliedOnceAndNumbered) {
  SQLite::Database database(File().string(), SQLite::OPEN_READONLY);
  EXPECT_EQ(database.execAndGet("PRAGMA user_version").getInt(),
            static_cast<int>(Migrations().size()));
  EXPECT_EQ(database.execAndGet("PRAGMA journal_mode").getString(), "wal");
}

TEST_F(StoreTest, WhatWasCountedBeforeThereWereMetricsIsTop1) {
  store_.reset();
  std::filesystem::remove(File());
  {
    SQLite::Database old(File().string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    old.exec(std::string(Migrations()[0]));
    const std::string hex = Digest::Of("x").hex();
    old.exec("INSERT INTO blobs VALUES ('" + hex + "', 1, 0)");
    old.exec("INSERT INTO models VALUES ('" + hex + "', '" + hex + "', 'm', 1, 2, 3, '1', 0)");
    old.exec("INSERT INTO datasets VALUES ('" + hex + "', 'd', '', '1', 9, 40, 30, 10, 1, 0, 0)");
    old.exec("INSERT INTO calibrations VALUES ('key', '" + hex + "', 9, 10, 8, 10)");
    old.exec(
        "INSERT INTO jobs (id, spec, target, model_digest, dataset_digest, package_digest, state, "
        "float_val_correct, float_val_total, created_ms) VALUES ('job-1', x'00', x'00', '" +
        hex + "', '" + hex + "', '" + hex + "', 'done', 9, 10, 0)");
    old.exec(
        "INSERT INTO trials (job_id, number, scheme, samples, label, state, latency, ram, flash, "
        "correct, total, test_correct, test_total, created_ms) "
        "VALUES ('job-1', 1, 'w8a8', 0, '', 'finished', 1, 2, 3, 30, 40, 20, 30, 0)");
    old.exec("PRAGMA user_version = 1");
  }
  Open();
  const auto read = store_->Read([](StoreView& view) {
    const TrialRecord trial = view.FindTrial("job-1", 1).value();
    EXPECT_EQ(trial.trial.val, CountScore(Metric::kTop1, 30, 40));
    EXPECT_EQ(trial.test, CountScore(Metric::kTop1, 20, 30));
    EXPECT_EQ(view.FindJob("job-1")->float_val, CountScore(Metric::kTop1, 9, 10));
    EXPECT_EQ(view.FindCalibration("key")->float_test, CountScore(Metric::kTop1, 8, 10));
    EXPECT_FALSE(view.FindDataset(Digest::Of("x"))->targets) << "to be read again";
    return true;
  });
  EXPECT_TRUE(read.ok()) << read.status();
}

TEST_F(StoreTest, TasksOfBeforeThereWereConversionsKeepTheirLeases) {
  store_.reset();
  std::filesystem::remove(File());
  {
    SQLite::Database old(File().string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    for (int i = 0; i < 3; ++i) old.exec(std::string(Migrations()[i]));
    const std::string hex = Digest::Of("x").hex();
    old.exec("INSERT INTO blobs VALUES ('" + hex + "', 1, 0)");
    old.exec("INSERT INTO models VALUES ('" + hex + "', '" + hex + "', 'm', 1, 2, 3, '1', 0)");
    old.exec(
        "INSERT INTO datasets (digest, name, description, sample_shape, bytes, val_samples, "
        "test_samples, classes, input_non_negative, val_taken_from_train, created_ms) VALUES ('" +
        hex + "', 'd', '', '1', 9, 40, 30, 10, 1, 0, 0)");
    old.exec(
        "INSERT INTO jobs (id, spec, target, model_digest, dataset_digest, package_digest, state, "
        "created_ms) VALUES ('job-1', x'00', x'00', '" +
        hex + "', '" + hex + "', '" + hex + "', 'searching', 0)");
    old.exec("INSERT INTO workers VALUES ('w', 'w', '1', 1, '', 0)");
    old.exec(
        "INSERT INTO tasks (id, job_id, purpose, payload, trials, state, attempts, created_ms) "
        "VALUES (7, 'job-1', 'search', x'0102', '1,2', 'leased', 1, 0)");
    old.exec(
        "INSERT INTO leases (id, task_id, worker_id, attempt, state, granted_ms) "
        "VALUES ('lease-1', 7, 'w', 1, 'active', 0)");
    old.exec("PRAGMA user_version = 3");
  }
  Open();
  const auto read = store_->Read([](StoreView& view) {
    const std::vector<TaskRecord> tasks = view.ListOpenTasks();
    EXPECT_EQ(tasks.size(), 1U);
    EXPECT_EQ(tasks.at(0).job, "job-1");
    EXPECT_EQ(tasks.at(0).payload, std::string("\x01\x02"));
    EXPECT_EQ(view.ListActiveLeases().at(0).task, 7);
    EXPECT_EQ(view.LargestTaskId(), 7);
    return true;
  });
  EXPECT_TRUE(read.ok()) << read.status();
}

TEST_F(StoreTest, ConversionsAndTheirTasksNeedNoJob) {
  const Digest file = Digest::Of("file"), package = Digest::Of("package");
  ConversionRecord conversion{file, "3x32x32", "net.ts.pt"};
  conversion.created = TimePoint(std::chrono::milliseconds(5));
  const absl::Status written = store_->Write([&](StoreTransaction& transaction) {
    transaction.AddBlob(file, 1, TimePoint{});
    transaction.AddBlob(package, 1, TimePoint{});
    transaction.PutConversion(conversion);
    TaskRecord task;
    task.id = 1;
    task.purpose = "convert";
    transaction.AddTask(task, TimePoint{});
    conversion.state = ConversionState::kReady;
    conversion.package = package;
    transaction.PutConversion(conversion);
    return absl::OkStatus();
  });
  ASSERT_TRUE(written.ok()) << written;
  const auto read = store_->Read([&](StoreView& view) {
    const std::optional<ConversionRecord> found = view.FindConversion(file, "3x32x32");
    EXPECT_EQ(found->state, ConversionState::kReady);
    EXPECT_EQ(found->package, package);
    EXPECT_EQ(found->name, "net.ts.pt");
    EXPECT_EQ(found->created, conversion.created);
    EXPECT_FALSE(view.FindConversion(file, "1x32x32"));
    EXPECT_EQ(view.ListOpenTasks().at(0).job, "");
    return true;
  });
  EXPECT_TRUE(read.ok()) << read.status();
}

TEST_F(StoreTest, AFileOfANewerVersionIsRefused) {
  store_.reset();
  SQLite::Database(File().string(), SQLite::OPEN_READWRITE, 0, ChecksumVfs())
      .exec("PRAGMA user_version = 1000");
  EXPECT_TRUE(absl::IsFailedPrecondition(Store::Open(File()).status()));
}

TEST_F(StoreTest, AFileThatIsNoDatabaseIsDataLoss) {
  const std::filesystem::path other = folder_.path() / "other.sqlite";
  ASSERT_TRUE(WriteFileDurably(other, std::string(5000, 'x')).ok());
  EXPECT_TRUE(absl::IsDataLoss(Store::Open(other).status()));
}

}  // namespace
}  // namespace mico
