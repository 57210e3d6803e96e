// What workers find out about themselves, what the server makes of it, and what it finds out about
// itself.
#include <filesystem>
#include <map>

#include "tests/integration/service.h"

namespace mico {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Key;

class HealthTest : public ServiceTest {
 protected:
  v1::Diagnosis Diagnose() {
    grpc::ClientContext context;
    v1::Diagnosis diagnosis;
    const grpc::Status status = exploration_->Diagnose(&context, v1::DiagnoseRequest(), &diagnosis);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return diagnosis;
  }
  static std::map<std::string, v1::Check> ByName(
      const google::protobuf::RepeatedPtrField<v1::Check>& checks) {
    std::map<std::string, v1::Check> by_name;
    for (const v1::Check& check : checks) by_name[check.name()] = check;
    return by_name;
  }
  std::map<std::string, v1::Check> Work() { return ByName(Diagnose().work()); }
  std::map<std::string, v1::Check> Files() { return ByName(Diagnose().server()); }

  static TargetHealth CannotCompile() {
    return {"fake",
            "program 'fake-gcc' is not on PATH",
            "",
            {{"compiler", Check::State::kFault, "program 'fake-gcc' is not on PATH",
              "apt-get install fake-gcc", std::chrono::milliseconds(3000)}}};
  }
  static Target WithoutCompiler() {
    Target target = FakeTarget();
    target.profile_key.clear();
    target.has_board = false;
    return target;
  }
  // A worker whose target has lost its compiler.
  FakeWorker BrokenWorker(const std::string& id) {
    FakeWorker worker(address(), id);
    worker.target = WithoutCompiler();
    worker.target_health = {CannotCompile()};
    return worker;
  }
  void ExpectRefused(const std::string& why, bool validate_only = false) {
    v1::SubmitJobRequest request = SmallJob();
    request.set_validate_only(validate_only);
    v1::SubmitJobResponse response;
    const grpc::Status status = TrySubmit(request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_THAT(status.error_message(), HasSubstr(why));
    EXPECT_THAT(status.error_message(), HasSubstr("mico-cli doctor"));
  }
};

TEST_F(HealthTest, AServerWithoutWorkersHasSoundFilesAndAFault) {
  const auto files = Files();

  for (const char* name : {"data folder", "free disk space", "database", "blobs"}) {
    ASSERT_THAT(files, Contains(Key(name)));
    EXPECT_NE(files.at(name).state(), v1::Check::STATE_FAULT) << files.at(name).found();
  }
  EXPECT_THAT(files.at("database").found(), HasSubstr("quick_check ok"));
  const auto work = Work();
  EXPECT_EQ(work.at("workers").state(), v1::Check::STATE_FAULT);
  EXPECT_THAT(work.at("workers").remedy(), HasSubstr("mico-worker"));
  EXPECT_EQ(work.at("waiting work").state(), v1::Check::STATE_OK);
  EXPECT_EQ(Diagnose().server_version(), MICO_VERSION);
  EXPECT_EQ(Diagnose().server_time_ms(), clock_.Now().time_since_epoch().count());
}

TEST_F(HealthTest, ADataFolderThatIsGoneIsAFaultAndTheServerLives) {
  std::filesystem::rename(folder_.path() / "data", folder_.path() / "moved");

  const auto files = Files();

  EXPECT_EQ(files.at("data folder").state(), v1::Check::STATE_FAULT);
  EXPECT_THAT(files.at("data folder").found(), HasSubstr((folder_.path() / "data").string()));
  EXPECT_NE(files.at("data folder").remedy(), "");
  EXPECT_EQ(files.at("blobs").state(), v1::Check::STATE_FAULT);
  std::filesystem::rename(folder_.path() / "moved", folder_.path() / "data");
  EXPECT_EQ(Files().at("data folder").state(), v1::Check::STATE_OK);
}

TEST_F(HealthTest, WhatAWorkerFoundIsShownWithItsAge) {
  FakeWorker worker(address(), "w1");
  worker.checks = {{"memory", Check::State::kOk, "2 GiB", "", std::chrono::milliseconds(1000)}};
  worker.target_health = {CannotCompile()};
  worker.Step();
  clock_.Advance(std::chrono::seconds(10));

  const v1::Diagnosis diagnosis = Diagnose();

  ASSERT_EQ(diagnosis.workers_size(), 1);
  EXPECT_EQ(diagnosis.workers(0).worker().name(), "fake w1");
  EXPECT_EQ(diagnosis.workers(0).checks(0).found(), "2 GiB");
  EXPECT_EQ(diagnosis.workers(0).checks(0).age_ms(), 11'000);
  ASSERT_EQ(diagnosis.workers(0).targets_size(), 1);
  EXPECT_EQ(diagnosis.workers(0).targets(0).cannot_compile(), "program 'fake-gcc' is not on PATH");
  EXPECT_EQ(diagnosis.workers(0).targets(0).checks(0).age_ms(), 13'000);
  EXPECT_EQ(diagnosis.workers(0).targets(0).checks(0).remedy(), "apt-get install fake-gcc");
  ASSERT_EQ(diagnosis.targets_size(), 1);
}

TEST_F(HealthTest, AWorkerThatIsSilentIsNotAmongTheLiving) {
  AnnouncedWorker("w1");
  clock_.Advance(std::chrono::minutes(5));

  EXPECT_EQ(Diagnose().workers_size(), 0);
  EXPECT_EQ(Work().at("workers").state(), v1::Check::STATE_FAULT);
  EXPECT_EQ(Diagnose().targets_size(), 1) << "the target is remembered";
}

TEST_F(HealthTest, AJobOnATargetThatCannotCompileIsRefusedWithTheReason) {
  BrokenWorker("w1").Step();

  ExpectRefused(
      "target 'fake': no program can be built for it: worker 'fake w1': program "
      "'fake-gcc' is not on PATH");
  ExpectRefused("program 'fake-gcc' is not on PATH", /*validate_only=*/true);
  EXPECT_EQ(Diagnose().targets_size(), 1) << "announced all the same";

  RestartServer();
  ExpectRefused("no worker has had a compiler for it yet");
}

TEST_F(HealthTest, AJobThatNeedsMeasuringIsRefusedWhereNothingRuns) {
  FakeWorker worker(address(), "w1");
  worker.target.has_board = false;
  worker.target_health = {{"fake", "", "program 'fake-qemu' is not on PATH", {}}};
  worker.Step();

  ExpectRefused(
      "target 'fake': kernels must be measured and no program runs on it: worker 'fake "
      "w1': program 'fake-qemu' is not on PATH");
}

TEST_F(HealthTest, WhatIsMeasuredAlreadyNeedsNoBoard) {
  FakeWorker measuring = AnnouncedWorker("w1");
  const std::string id = Submit(SmallJob()).job().id();
  measuring.StepUntil([&] { return HasEnded(id); });
  WorkerReport goodbye = measuring.Report();
  goodbye.leaving = true;
  ASSERT_TRUE(measuring.Say(goodbye).ok());

  FakeWorker worker(address(), "w2");
  worker.target.has_board = false;
  worker.target_health = {{"fake", "", "no board today", {}}};
  worker.Step();
  const std::string second = Submit(SmallJob("uniform", 21)).job().id();
  worker.StepUntil([&] { return HasEnded(second); });

  EXPECT_EQ(GetJob(second).state(), v1::JOB_STATE_DONE) << GetJob(second).error();
}

TEST_F(HealthTest, ABrokenWorkerDoesNotTakeATargetFromOneThatWorks) {
  FakeWorker good = AnnouncedWorker("w1");
  FakeWorker broken = BrokenWorker("w2");
  broken.evaluates = false;
  broken.Step();

  const std::string id = Submit(SmallJob()).job().id();
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(broken.Step()) << "there is nothing that it can do";
  good.StepUntil([&] { return HasEnded(id); });

  EXPECT_EQ(GetJob(id).state(), v1::JOB_STATE_DONE) << GetJob(id).error();
}

TEST_F(HealthTest, ACompilerThatIsMendedMakesTheTargetUsable) {
  BrokenWorker("w1").Step();
  ExpectRefused("fake-gcc");

  FakeWorker mended = AnnouncedWorker("w1");
  const std::string id = Submit(SmallJob()).job().id();
  mended.StepUntil([&] { return HasEnded(id); });

  EXPECT_EQ(GetJob(id).state(), v1::JOB_STATE_DONE) << GetJob(id).error();
}

TEST_F(HealthTest, WorkThatNobodyCanDoIsAFaultThatNamesTheJob) {
  FakeWorker worker = AnnouncedWorker("w1");
  const std::string id = Submit(SmallJob()).job().id();
  clock_.Advance(std::chrono::minutes(5));
  FakeWorker blind(address(), "w2");
  blind.evaluates = false;
  blind.target = WithoutCompiler();
  blind.target_health = {CannotCompile()};
  blind.Step();

  std::string found;
  const v1::Diagnosis diagnosis = Diagnose();
  for (const v1::Check& check : diagnosis.work()) {
    if (check.name() == "waiting work") {
      EXPECT_EQ(check.state(), v1::Check::STATE_FAULT);
      EXPECT_THAT(check.found(), HasSubstr(id));
      found += check.found() + "\n";
    }
  }
  EXPECT_THAT(found, HasSubstr("no worker that evaluates is connected"));
  EXPECT_THAT(found, HasSubstr("no worker that can measure target 'fake' is connected; worker "
                               "'fake w2': program 'fake-gcc' is not on PATH"));

  worker.Step();
  EXPECT_EQ(Work().at("waiting work").state(), v1::Check::STATE_OK) << "it is back";
}

TEST_F(HealthTest, AnArtifactWaitsForAWorkerThatCanBuildAndSaysSo) {
  FakeWorker worker = AnnouncedWorker("w1");
  const std::string id = Submit(SmallJob()).job().id();
  worker.StepUntil([&] { return HasEnded(id); });
  worker.target_health = {CannotCompile()};
  worker.Step();

  v1::GetArtifactResponse artifact;
  ASSERT_TRUE(TryGetArtifact(id, 0, &artifact).ok());

  EXPECT_EQ(artifact.state(), v1::ARTIFACT_STATE_PENDING);
  worker.StepUntil([&] { return !worker.held.has_value(); });  // the model, which needs no compiler
  ASSERT_TRUE(TryGetArtifact(id, 0, &artifact).ok());
  EXPECT_EQ(artifact.state(), v1::ARTIFACT_STATE_PENDING);
  EXPECT_THAT(artifact.error(), HasSubstr("program 'fake-gcc' is not on PATH"));

  worker.target_health.clear();
  worker.StepUntil([&] {
    EXPECT_TRUE(TryGetArtifact(id, 0, &artifact).ok());
    return artifact.state() == v1::ARTIFACT_STATE_READY;
  });
}

}  // namespace
}  // namespace mico
