#include "client/verbs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/digest.h"
#include "base/file.h"
#include "client/command_line.h"
#include "fake_server.h"
#include "outcome.h"
#include "tests/support/tar_builder.h"

namespace mico {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

class VerbsTest : public ::testing::Test {
 protected:
  VerbsTest() {
    server_.exploration.job.set_id("4f1c22aa");
    server_.exploration.job.set_state(v1::JOB_STATE_SEARCHING);
    std::ofstream(File("net.onnx")) << std::string(700'000, 'n');
    std::ofstream(File("set.npz")) << "data";
  }

  std::string File(const std::string& name) const { return (folder_.path() / name).string(); }

  Outcome Run(std::vector<std::string> arguments, bool terminal = false) {
    arguments.insert(arguments.begin(), {"--server", server_.address()});
    return Captured([&] { return RunCommandLine(arguments, terminal); });
  }
  Outcome RunSubmit(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"submit",        "--model",  File("net.onnx"), "--data",
                                       File("set.npz"), "--target", "rv32imc"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments);
  }
  Outcome FetchInto(const std::string& folder, const GlobalOptions& global = {},
                    std::optional<int64_t> trial = std::nullopt) {
    Connection connection(server_.address());
    const FetchOptions options{
        .job = "4f1c", .trial = trial, .folder = folder, .poll_interval = {}};
    return Captured([&] { return Fetch(connection, global, options); });
  }
  void OfferArtifact(const std::string& tar) {
    v1::GetArtifactResponse& artifact = server_.exploration.artifact;
    artifact.set_state(v1::ARTIFACT_STATE_READY);
    artifact.set_artifact_digest(server_.blobs.Add(tar));
    artifact.mutable_trial()->set_number(17);
    artifact.set_self_test_host(true);
  }
  v1::Job Stage(v1::JobState state, int64_t trials_spent = 0) {
    v1::Job job = server_.exploration.job;
    job.set_state(state);
    job.mutable_spec()->set_trials(8);
    job.set_trials_spent(static_cast<double>(trials_spent));
    return job;
  }
  void AddFrontPoint(v1::Job& job) {
    v1::Trial* trial = job.add_front();
    trial->set_number(3);
    trial->mutable_val()->set_correct(9);
    trial->mutable_val()->set_total(10);
    trial->mutable_cost()->set_latency_cycles(1000);
  }

  TemporaryFolder folder_ = *TemporaryFolder::Create();
  FakeServer server_;
};

TEST_F(VerbsTest, SubmitUploadsEachFileOnce) {
  EXPECT_EQ(RunSubmit().code, ExitCode::kDone);
  EXPECT_EQ(server_.blobs.uploads, 2);
  EXPECT_LE(server_.blobs.largest_chunk, size_t{1} << 20);

  EXPECT_EQ(RunSubmit().out, "job 4f1c22aa (already known)\n");
  EXPECT_EQ(server_.blobs.uploads, 2);
}

TEST_F(VerbsTest, SubmitSendsWhatWasAskedFor) {
  RunSubmit({"--max-latency", "0.6x", "--max-ram", "64KiB", "--max-flash", "96KB", "--min-accuracy",
             "90%", "--strategy", "random", "--ptq", "reconstruct", "--trials", "12", "--seed", "7",
             "--calibration-samples", "32"});

  ASSERT_THAT(server_.exploration.submits, SizeIs(1));
  const v1::JobSpec& spec = server_.exploration.submits[0].spec();
  EXPECT_EQ(spec.model_name(), "net.onnx");
  EXPECT_EQ(spec.model_digest(), Digest::Of(std::string(700'000, 'n')).hex());
  EXPECT_EQ(spec.dataset_name(), "set.npz");
  EXPECT_EQ(spec.target(), "rv32imc");
  EXPECT_DOUBLE_EQ(spec.limits().max_latency().relative(), 0.6);
  EXPECT_DOUBLE_EQ(spec.limits().max_ram().absolute(), 65536);
  EXPECT_DOUBLE_EQ(spec.limits().max_flash().absolute(), 96000);
  EXPECT_DOUBLE_EQ(spec.limits().min_accuracy().absolute(), 0.9);
  EXPECT_EQ(spec.strategy(), "random");
  EXPECT_EQ(spec.ptq(), "reconstruct");
  EXPECT_EQ(spec.trials(), 12);
  EXPECT_EQ(spec.seed(), 7u);
  EXPECT_EQ(spec.calibration_samples(), 32);
  EXPECT_FALSE(server_.exploration.submits[0].request_id().empty());
  EXPECT_FALSE(server_.exploration.submits[0].validate_only());
}

TEST_F(VerbsTest, SubmitSendsTheMetricAndItsLimit) {
  RunSubmit({"--metric", "mse", "--max-error", "1.05x"});

  const v1::JobSpec& spec = server_.exploration.submits.at(0).spec();
  EXPECT_EQ(spec.metric(), "mse");
  EXPECT_DOUBLE_EQ(spec.limits().max_error().relative(), 1.05);
  EXPECT_FALSE(spec.limits().has_min_accuracy());
}

TEST_F(VerbsTest, SubmitSendsHowSchemesAreTrained) {
  RunSubmit({"--qat", "top:8", "--qat-epochs", "2.5", "--qat-minutes", "30", "--qat-optimizer",
             "sgd", "--qat-augment", "shift+flip"});

  const v1::JobSpec& spec = server_.exploration.submits.at(0).spec();
  EXPECT_EQ(spec.qat(), "top:8");
  EXPECT_DOUBLE_EQ(spec.qat_epochs(), 2.5);
  EXPECT_DOUBLE_EQ(spec.qat_minutes(), 30.0);
  EXPECT_EQ(spec.qat_optimizer(), "sgd");
  EXPECT_EQ(spec.qat_augmentation(), "shift+flip");
}

TEST_F(VerbsTest, ABudgetThatIsNoneIsRefusedBeforeAnythingIsSent) {
  for (const char* none : {"0", "nan", "-3", "many", "20 epochs"}) {
    const auto refused = RunSubmit({"--qat", "all", std::string("--qat-epochs=") + none});
    EXPECT_EQ(refused.code, ExitCode::kWrongInput) << none;
    EXPECT_THAT(refused.err, HasSubstr("qat-epochs")) << none;
  }
  EXPECT_EQ(server_.blobs.uploads, 0);
}

TEST_F(VerbsTest, SubmitLeavesDefaultsToTheServer) {
  RunSubmit();

  const v1::JobSpec& spec = server_.exploration.submits.at(0).spec();
  EXPECT_EQ(spec.strategy(), "");
  EXPECT_EQ(spec.metric(), "");
  EXPECT_EQ(spec.trials(), 0);
  EXPECT_EQ(spec.qat(), "");
  EXPECT_EQ(spec.qat_epochs(), 0.0);
  EXPECT_FALSE(spec.limits().has_max_latency());
}

v1::ConvertModelResponse Conversion(v1::ConversionState state, const std::string& error = "") {
  v1::ConvertModelResponse answer;
  answer.set_state(state);
  answer.set_error(error);
  answer.set_worker_name("lab-1");
  return answer;
}

class TorchScriptTest : public VerbsTest {
 protected:
  TorchScriptTest() {
    std::ofstream(File("net.ts.pt"), std::ios::binary) << "PK\x03\x04 a network";
    server_.exploration.description.set_sample_shape("3x32x32");
    v1::ConvertModelResponse ready = Conversion(v1::CONVERSION_STATE_READY);
    ready.set_model_digest(server_.blobs.Add("the package"));
    server_.exploration.conversion_answers = {
        Conversion(v1::CONVERSION_STATE_WAITING, "no worker yet"),
        Conversion(v1::CONVERSION_STATE_RUNNING), ready};
  }

  Outcome SubmitScript(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"submit",        "--model",  File("net.ts.pt"), "--data",
                                       File("set.npz"), "--target", "rv32imc"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments);
  }

  std::vector<int64_t> ShapeSent() const {
    const auto& shape = server_.exploration.conversions.at(0).input_shape();
    return {shape.begin(), shape.end()};
  }
};

TEST_F(TorchScriptTest, IsConvertedAndThenSubmitted) {
  const Outcome outcome = SubmitScript();

  EXPECT_EQ(outcome.code, ExitCode::kDone) << outcome.err;
  EXPECT_EQ(outcome.out, "job 4f1c22aa\n");
  EXPECT_THAT(outcome.err, HasSubstr("waiting until a worker has read it; no worker yet"));
  EXPECT_THAT(outcome.err, HasSubstr("'lab-1' reads it"));
  EXPECT_EQ(ShapeSent(), (std::vector<int64_t>{3, 32, 32}));
  const v1::JobSpec& spec = server_.exploration.submits.at(0).spec();
  EXPECT_EQ(spec.model_name(), "net.ts.pt");
  EXPECT_EQ(spec.model_digest(), Digest::Of("the package").hex());
  // Only the first call asks for another try.
  EXPECT_TRUE(server_.exploration.conversions.at(0).retry());
  EXPECT_FALSE(server_.exploration.conversions.at(1).retry());
}

TEST_F(TorchScriptTest, VectorsAreFeatures) {
  server_.exploration.description.set_sample_shape("784x1x1");
  EXPECT_EQ(SubmitScript().code, ExitCode::kDone);
  EXPECT_EQ(ShapeSent(), (std::vector<int64_t>{784}));
}

TEST_F(TorchScriptTest, AShapeThatIsGivenCounts) {
  EXPECT_EQ(SubmitScript({"--input-shape", "12x100"}).code, ExitCode::kDone);
  EXPECT_EQ(ShapeSent(), (std::vector<int64_t>{12, 100}));
  EXPECT_TRUE(server_.exploration.describes.empty());
}

TEST_F(TorchScriptTest, ShapesThatAreNoneAndShapesOfOnnxFilesAreWrongInput) {
  for (const char* shape :
       {"", "x", "3x", "3x0", "3x-1", "1x2x3x4", "3*32", "99999999999999999999"}) {
    const Outcome outcome = SubmitScript({"--input-shape", shape});
    EXPECT_EQ(outcome.code, ExitCode::kWrongInput) << shape;
    EXPECT_THAT(outcome.err, HasSubstr("input-shape")) << shape;
  }
  const Outcome onnx = RunSubmit({"--input-shape", "3x32x32"});
  EXPECT_EQ(onnx.code, ExitCode::kWrongInput);
  EXPECT_THAT(onnx.err, HasSubstr("not TorchScript"));
  EXPECT_EQ(server_.blobs.uploads, 0);
}

TEST_F(TorchScriptTest, WhatItsWorkerSaysOfItIsWrongInput) {
  server_.exploration.conversion_answers = {
      Conversion(v1::CONVERSION_STATE_FAILED, "'act' (aten::silu): no such operator")};
  const Outcome outcome = SubmitScript();

  EXPECT_EQ(outcome.code, ExitCode::kWrongInput);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("net.ts.pt"), HasSubstr("aten::silu"),
                                 HasSubstr("3x32x32 (as the samples of the data")));
  EXPECT_TRUE(server_.exploration.submits.empty());
}

TEST_F(VerbsTest, SubmitTakesItsFieldsFromAFile) {
  std::ofstream(File("job.yaml")) << "model: net.onnx\ndata: set.npz\ntarget: rv32imc\ntrials: 5\n";

  EXPECT_EQ(Run({"submit", "--file", File("job.yaml"), "--trials", "6"}).code, ExitCode::kDone);

  EXPECT_EQ(server_.exploration.submits.at(0).spec().target(), "rv32imc");
  EXPECT_EQ(server_.exploration.submits.at(0).spec().trials(), 6);
}

TEST_F(VerbsTest, SubmitAnswersInEveryFormat) {
  EXPECT_EQ(RunSubmit().out, "job 4f1c22aa\n");
  EXPECT_EQ(RunSubmit({"--output", "json"}).out, "{\"job\": \"4f1c22aa\"}\n");
  EXPECT_EQ(RunSubmit({"--output", "csv"}).out, "job\n4f1c22aa\n");
}

TEST_F(VerbsTest, ADryRunShowsThePreviewAndMakesNoJob) {
  server_.exploration.preview.set_log10_space(12.5);
  server_.exploration.preview.add_layers()->set_name("conv1");

  const Outcome outcome = RunSubmit({"--dry-run"});

  EXPECT_EQ(outcome.code, ExitCode::kDone);
  EXPECT_TRUE(server_.exploration.submits.at(0).validate_only());
  EXPECT_THAT(outcome.out, HasSubstr("conv1"));
  EXPECT_THAT(outcome.out, HasSubstr("10^12.5 schemes"));
  EXPECT_THAT(outcome.out, HasSubstr(" without code  latency not yet known"));
  EXPECT_THAT(outcome.out, HasSubstr("no job was made"));
}

TEST_F(VerbsTest, SubmitNamesEveryFieldThatIsMissing) {
  const Outcome outcome = Run({"submit", "--data", File("set.npz")});

  EXPECT_EQ(outcome.code, ExitCode::kWrongInput);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("missing --model, --target"));
}

TEST_F(VerbsTest, WrongInputIsFoundBeforeAnythingIsSent) {
  EXPECT_EQ(RunSubmit({"--max-ram", "lots"}).code, ExitCode::kWrongInput);
  EXPECT_EQ(RunSubmit({"--trials", "0"}).code, ExitCode::kWrongInput);
  EXPECT_EQ(RunSubmit({"--model", File("absent.onnx")}).code, ExitCode::kWrongInput);
  EXPECT_EQ(Run({"submit", "--model", File(""), "--data", "x", "--target", "t"}).code,
            ExitCode::kWrongInput);
  EXPECT_EQ(server_.blobs.uploads, 0);
}

TEST_F(VerbsTest, WhatIsNoFileIsNamedBeforeAnythingIsSent) {
  std::filesystem::create_directory(File("folder"));
  const auto refusal = [&](const std::string& model, const std::string& data) {
    const Outcome outcome = Run({"submit", "--model", model, "--data", data, "--target", "t"});
    EXPECT_EQ(outcome.code, ExitCode::kWrongInput);
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(server_.blobs.uploads, 0);
    return outcome.err;
  };

  EXPECT_THAT(refusal(File("folder"), File("set.npz")),
              HasSubstr(File("folder") + ": not a regular file"));
  EXPECT_THAT(refusal("/dev/zero", File("set.npz")), HasSubstr("/dev/zero: not a regular file"));
  EXPECT_THAT(refusal(File("absent"), File("set.npz")),
              HasSubstr(File("absent") + ": No such file or directory"));
  EXPECT_THAT(refusal(File("net.onnx") + "/x", File("set.npz")), HasSubstr("Not a directory"));
}

TEST_F(VerbsTest, FetchIntoAFolderThatCannotBeIsWrongInputAndOrdersNothing) {
  for (const std::string& folder :
       {File("net.onnx"), std::string("/"), File("net.onnx") + "/below"}) {
    const Outcome outcome = Run({"fetch", "4f1c", "-o", folder});
    EXPECT_EQ(outcome.code, ExitCode::kWrongInput) << folder;
    EXPECT_THAT(outcome.err, HasSubstr(folder));
  }
  EXPECT_TRUE(server_.exploration.artifact_requests.empty());

  OfferArtifact(TarBuilder().Add("a.h", "x").Build());
  const Outcome outcome = Run({"fetch", "4f1c", "-o", "/proc/self/out"});
  EXPECT_EQ(outcome.code, ExitCode::kWrongInput) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("/proc/self/out"));
}

TEST_F(VerbsTest, ARefusedUploadSaysWhy) {
  server_.blobs.upload_status = {grpc::StatusCode::RESOURCE_EXHAUSTED, "the disk is full"};

  const Outcome outcome = RunSubmit();

  EXPECT_EQ(outcome.code, ExitCode::kWrongInput);
  EXPECT_EQ(outcome.err, "mico-cli: the disk is full\n");
  EXPECT_EQ(outcome.out, "");
}

TEST_F(VerbsTest, ErrorsNeverReachStandardOutput) {
  server_.exploration.status = {grpc::StatusCode::PERMISSION_DENIED, "not your job"};

  for (const char* format : {"table", "json", "csv"}) {
    for (const char* verb : {"status", "front", "cancel"}) {
      const Outcome outcome = Run({verb, "4f1c", "--output", format});
      EXPECT_EQ(outcome.code, ExitCode::kNotAllowed) << verb;
      EXPECT_EQ(outcome.out, "") << verb;
      EXPECT_EQ(outcome.err, "mico-cli: not your job\n") << verb;
    }
  }
}

TEST_F(VerbsTest, AnUnknownCallSaysThatTheServerIsOld) {
  const Outcome outcome = Run({"models"});  // the fake has none

  EXPECT_EQ(outcome.code, ExitCode::kWrongInput);
  EXPECT_THAT(outcome.err, HasSubstr("does not know this call"));
}

TEST_F(VerbsTest, NobodyAtTheAddressIsExitCodeThree) {
  const std::string nobody = "unix:" + File("no-socket");

  for (const std::vector<std::string>& verb : std::vector<std::vector<std::string>>{
           {"jobs"},
           {"status", "4f1c"},
           {"status", "4f1c", "--watch"},
           {"fetch", "4f1c", "-o", "x"},
           {"submit", "--model", File("net.onnx"), "--data", File("set.npz"), "--target", "t"}}) {
    std::vector<std::string> arguments{"--server", nobody};
    arguments.insert(arguments.end(), verb.begin(), verb.end());
    const Outcome outcome = Captured([&] { return RunCommandLine(arguments, false); });
    EXPECT_EQ(outcome.code, ExitCode::kServerUnreachable) << verb[0];
    EXPECT_THAT(outcome.err, HasSubstr("server " + nobody + " does not answer")) << verb[0];
    EXPECT_THAT(outcome.err, HasSubstr("mico-server --data-dir")) << verb[0];
    EXPECT_EQ(outcome.out, "") << verb[0];
  }
}

TEST_F(VerbsTest, AServerThatIsThereButNotReadyIsNotCalledAbsent) {
  server_.exploration.status = {grpc::StatusCode::UNAVAILABLE, "the database is locked"};

  const Outcome outcome = Run({"status", "4f1c"});

  EXPECT_EQ(outcome.code, ExitCode::kServerUnreachable);
  EXPECT_EQ(outcome.err, "mico-cli: the database is locked\n");
}

TEST_F(VerbsTest, StatusExitsWithWhatBecameOfTheJob) {
  const std::vector<std::pair<v1::JobState, ExitCode>> expected{
      {v1::JOB_STATE_PREPARING, ExitCode::kDone},
      {v1::JOB_STATE_SEARCHING, ExitCode::kDone},
      {v1::JOB_STATE_DONE, ExitCode::kDone},
      {v1::JOB_STATE_FAILED, ExitCode::kJobFailed},
      {v1::JOB_STATE_CANCELLED, ExitCode::kJobFailed}};
  for (const auto& [state, code] : expected) {
    server_.exploration.job.set_state(state);
    EXPECT_EQ(Run({"status", "4f1c"}).code, code);
  }
}

TEST_F(VerbsTest, FrontFailsWhenTheJobEndedWithoutAPoint) {
  EXPECT_EQ(Run({"front", "4f1c"}).code, ExitCode::kDone);
  server_.exploration.job.set_state(v1::JOB_STATE_FAILED);
  EXPECT_EQ(Run({"front", "4f1c"}).code, ExitCode::kJobFailed);
  AddFrontPoint(server_.exploration.job);
  EXPECT_EQ(Run({"front", "4f1c"}).code, ExitCode::kDone);
}

TEST_F(VerbsTest, WatchPrintsAPlainLinePerChangeInAPipe) {
  server_.exploration.watched = {Stage(v1::JOB_STATE_PREPARING), Stage(v1::JOB_STATE_PREPARING),
                                 Stage(v1::JOB_STATE_SEARCHING, 4), Stage(v1::JOB_STATE_DONE, 8)};

  const Outcome outcome = Run({"status", "4f1c", "--watch"});

  EXPECT_EQ(outcome.code, ExitCode::kDone);
  EXPECT_THAT(outcome.out, StartsWith("4f1c22aa preparing  0.0/8 trials  front 0\n"
                                      "4f1c22aa searching  4.0/8 trials  front 0\n"
                                      "4f1c22aa done       8.0/8 trials  front 0\n"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("\x1b")));
}

TEST_F(VerbsTest, WatchRepaintsOnATerminalAndLeavesTheWholeJobThere) {
  server_.exploration.watched = {Stage(v1::JOB_STATE_SEARCHING, 4), Stage(v1::JOB_STATE_DONE, 8)};

  const Outcome outcome = Run({"status", "4f1c", "--watch"}, /*terminal=*/true);

  EXPECT_EQ(outcome.out,
            "4f1c22aa searching  4.0/8 trials  front 0\n"
            "\x1b[1F\x1b[J4f1c22aa done       8.0/8 trials  front 0\n"
            "\x1b[1F\x1b[J4f1c22aa done       8.0/8 trials  front 0\n");
}

TEST_F(VerbsTest, WatchAsJsonIsOneMessageALine) {
  server_.exploration.watched = {Stage(v1::JOB_STATE_SEARCHING), Stage(v1::JOB_STATE_DONE)};

  const Outcome outcome = RunSubmit({"--watch", "--output", "json"});

  EXPECT_EQ(outcome.out,
            "{\"job\": \"4f1c22aa\"}\n"
            "{\"id\":\"4f1c22aa\",\"spec\":{\"trials\":\"8\"},\"state\":\"JOB_STATE_SEARCHING\"}\n"
            "{\"id\":\"4f1c22aa\",\"spec\":{\"trials\":\"8\"},\"state\":\"JOB_STATE_DONE\"}\n");
}

TEST_F(VerbsTest, WatchAsCsvIsTheFrontAtTheEndAndNothingElse) {
  v1::Job done = Stage(v1::JOB_STATE_DONE);
  AddFrontPoint(done);
  server_.exploration.watched = {Stage(v1::JOB_STATE_SEARCHING), done};

  const Outcome outcome = RunSubmit({"--watch", "--output", "csv"});

  EXPECT_THAT(outcome.out, StartsWith("trial,network,front,"));
  EXPECT_THAT(outcome.out, EndsWith("\n3,,yes,1000,,,0.900000,,0,0,,,top1,0.595850,0.982124,,\n"));
  EXPECT_THAT(outcome.err, HasSubstr("job 4f1c22aa\n"));
  EXPECT_THAT(outcome.err, HasSubstr("searching"));
}

TEST_F(VerbsTest, WatchOfAJobThatFailsExitsWithOneAndSaysWhy) {
  v1::Job failed = Stage(v1::JOB_STATE_FAILED);
  failed.set_error("flash: at least 212 KiB; asked: 180 KiB");
  server_.exploration.watched = {failed};

  const Outcome outcome = RunSubmit({"--watch"});

  EXPECT_EQ(outcome.code, ExitCode::kJobFailed);
  EXPECT_THAT(outcome.out, EndsWith("error: flash: at least 212 KiB; asked: 180 KiB\n"));
}

TEST_F(VerbsTest, AWatchThatBreaksOffSaysHowToGoOn) {
  server_.exploration.watched = {Stage(v1::JOB_STATE_SEARCHING)};
  for (const grpc::Status& status :
       {grpc::Status(), grpc::Status(grpc::StatusCode::UNAVAILABLE, "shutting down")}) {
    server_.exploration.watch_status = status;

    const Outcome outcome = Run({"status", "4f1c", "--watch"});

    EXPECT_EQ(outcome.code, ExitCode::kServerUnreachable);
    EXPECT_THAT(outcome.err, HasSubstr("`mico-cli status 4f1c --watch`"));
  }
}

TEST_F(VerbsTest, AWatchOfNoJobIsWrongInput) {
  server_.exploration.watch_status = {grpc::StatusCode::NOT_FOUND, "job 4f1c: not known"};

  const Outcome outcome = Run({"status", "4f1c", "--watch"});

  EXPECT_EQ(outcome.code, ExitCode::kWrongInput);
  EXPECT_EQ(outcome.err, "mico-cli: job 4f1c: not known\n");
}

TEST_F(VerbsTest, FetchAsksUntilTheArtifactIsReady) {
  OfferArtifact(TarBuilder().Add("README.md", "hello").Add("src/a.c", "int a;").Build());
  server_.exploration.pending_artifact_answers = 3;

  const Outcome outcome = FetchInto(File("out"));

  EXPECT_EQ(outcome.code, ExitCode::kDone) << outcome.err;
  EXPECT_EQ(*ReadFile(File("out/src/a.c")), "int a;");
  EXPECT_THAT(outcome.out, HasSubstr("trial 17"));
  EXPECT_THAT(outcome.out, HasSubstr("2 files in " + File("out")));
  EXPECT_THAT(outcome.out, HasSubstr("self-test on the host: passed   on the board: not run"));
  EXPECT_EQ(outcome.err, "mico-cli: waiting until a worker has built and tested trial 17\n");
}

TEST_F(VerbsTest, FetchSaysOnceWhatItWaitsFor) {
  OfferArtifact(TarBuilder().Add("a.h", "x").Build());
  server_.exploration.artifact.set_error("no worker with target 'm4' is connected");
  server_.exploration.pending_artifact_answers = 3;

  const Outcome outcome = FetchInto(File("out"));

  EXPECT_EQ(outcome.code, ExitCode::kDone);
  EXPECT_EQ(outcome.err,
            "mico-cli: waiting until a worker has built and tested trial 17\n"
            "mico-cli: still waiting: no worker with target 'm4' is connected\n");
}

TEST_F(VerbsTest, FetchWaitsForThePointThatItOrdered) {
  OfferArtifact(TarBuilder().Add("a", "b").Build());
  server_.exploration.pending_artifact_answers = 1;

  FetchInto(File("out"));

  ASSERT_THAT(server_.exploration.artifact_requests, SizeIs(2));
  EXPECT_TRUE(server_.exploration.artifact_requests[0].best());
  EXPECT_EQ(server_.exploration.artifact_requests[1].trial(), 17);
}

TEST_F(VerbsTest, FetchAsksForTheTrialThatWasNamed) {
  OfferArtifact(TarBuilder().Add("a", "b").Build());

  Run({"fetch", "4f1c", "--trial", "17", "-o", File("out")});

  EXPECT_EQ(server_.exploration.artifact_requests.at(0).trial(), 17);
}

TEST_F(VerbsTest, FetchAnswersInEveryFormat) {
  OfferArtifact(TarBuilder().Add("a", "b").Build());

  EXPECT_THAT(FetchInto(File("1"), {.output = OutputFormat::kJson}).out,
              StartsWith("{\n \"state\": \"ARTIFACT_STATE_READY\""));
  EXPECT_THAT(FetchInto(File("2"), {.output = OutputFormat::kCsv}).out,
              EndsWith("\n17," + File("2") + ",1,yes,no,0,,0,,0,\n"));
}

TEST_F(VerbsTest, FetchDoesNotOrderWhatHasNoPlace) {
  const Outcome outcome = FetchInto(folder_.path().string());

  EXPECT_EQ(outcome.code, ExitCode::kWrongInput);
  EXPECT_THAT(outcome.err, HasSubstr("needed: a new or empty folder"));
  EXPECT_THAT(server_.exploration.artifact_requests, SizeIs(0));
}

TEST_F(VerbsTest, AnArtifactThatFailedIsExitCodeOne) {
  server_.exploration.artifact.set_state(v1::ARTIFACT_STATE_FAILED);
  server_.exploration.artifact.set_error("the compiler is missing");

  const Outcome outcome = FetchInto(File("out"));

  EXPECT_EQ(outcome.code, ExitCode::kJobFailed);
  EXPECT_THAT(outcome.err, HasSubstr("the compiler is missing"));
  EXPECT_FALSE(std::filesystem::exists(File("out")));
}

TEST_F(VerbsTest, BytesThatChangedOnTheWayAreNotUnpacked) {
  OfferArtifact(TarBuilder().Add("a", "b").Build());
  server_.blobs.corrupt_downloads = true;

  const Outcome outcome = FetchInto(File("out"));

  EXPECT_EQ(outcome.code, ExitCode::kJobFailed);
  EXPECT_THAT(outcome.err, HasSubstr("have digest"));
  EXPECT_FALSE(std::filesystem::exists(File("out")));
}

TEST_F(VerbsTest, CancelSaysWhatTheJobIsNow) {
  EXPECT_EQ(Run({"cancel", "4f1c"}).out, "job       state\n4f1c22aa  cancelled\n");
  EXPECT_EQ(Run({"cancel", "4f1c", "--output", "csv"}).out, "job,state\n4f1c22aa,cancelled\n");
}

TEST_F(VerbsTest, JobsAreListedOverAllPages) {
  for (const char* id : {"a", "b", "c"}) {
    v1::ListJobsResponse page;
    page.add_jobs()->set_id(id);
    server_.exploration.job_pages.push_back(page);
  }

  EXPECT_EQ(Run({"jobs", "--output", "csv"}).out,
            "job,state,model,data,target,strategy,trials,front,created\n"
            "a,unknown,,,,,0/0,0,-\n"
            "b,unknown,,,,,0/0,0,-\n"
            "c,unknown,,,,,0/0,0,-\n");
  EXPECT_EQ(Run({"jobs", "--output", "json"}).out,
            "{\n \"jobs\": [\n  {\n   \"id\": \"a\"\n  },\n  {\n   \"id\": \"b\"\n  },\n"
            "  {\n   \"id\": \"c\"\n  }\n ]\n}\n");
}

TEST_F(VerbsTest, ListsAreForReadingAsTablesAndExactAsCsv) {
  v1::TargetSummary* summary = server_.exploration.targets.add_targets();
  summary->mutable_target()->set_name("rv32imc");
  summary->mutable_target()->set_clock_hz(80'000'000);
  summary->mutable_target()->set_ram_bytes(131072);
  summary->mutable_target()->add_weight_bits(8);
  summary->mutable_target()->add_weight_bits(4);

  EXPECT_THAT(Run({"targets"}).out, HasSubstr("80 MHz  0 B    128.0 KiB  8 4"));
  EXPECT_THAT(Run({"targets", "--output", "csv"}).out,
              HasSubstr("\nrv32imc,,80000000,0,131072,8 4,,,no,0,\n"));
}

// What a server says of a folder of two classes.
v1::DatasetDescription SmallDescription() {
  v1::DatasetDescription set;
  set.set_digest(std::string(64, 'd'));
  set.set_name("animals");
  set.set_source("images");
  set.set_bytes(2048);
  set.set_sample_shape("1x2x2");
  set.set_type("uint8");
  set.set_scale(1.0);
  set.add_mean(0.0);
  set.add_std(0.5);
  for (const char* name : {"cat", "dog"}) {
    v1::DatasetClass& one = *set.add_classes();
    one.set_label(set.classes_size() - 1);
    one.set_name(name);
    one.set_train(one.label() == 0 ? 1000 : 500);
    one.set_val(100);
    one.set_test(50);
  }
  v1::DatasetSplit& split = *set.add_splits();
  split.set_split(v1::SPLIT_VAL);
  split.set_samples(200);
  split.set_classes(2);
  split.set_origin("the last tenth of train, shuffled");
  v1::DatasetChannel& channel = *set.add_channels();
  channel.mutable_stored()->set_most(255.0);
  channel.mutable_prepared()->set_most(510.0);
  set.add_warnings(
      "network inputs go from 0 to 510: unusually large; is scale, mean or std missing?");
  return set;
}

TEST_F(VerbsTest, DescribeUploadsAFolderOnceAndShowsWhatWasUnderstood) {
  std::filesystem::create_directories(File("animals/cat"));
  std::ofstream(File("animals/cat/1.png")) << "image";
  server_.exploration.description = SmallDescription();

  const Outcome outcome = Run({"datasets", "describe", File("animals/")});
  Run({"datasets", "describe", File("animals")});

  EXPECT_EQ(outcome.code, ExitCode::kDone) << outcome.err;
  EXPECT_EQ(server_.blobs.uploads, 1);
  ASSERT_THAT(server_.exploration.describes, SizeIs(2));
  EXPECT_EQ(server_.exploration.describes[0].name(), "animals");
  EXPECT_TRUE(server_.blobs.Has(server_.exploration.describes[0].digest()));
  EXPECT_EQ(outcome.out,
            "data set animals\n"
            "digest   " +
                std::string(64, 'd') +
                "\n"
                "source   folder of images, 2.0 KiB\n"
                "samples  1x2x2 uint8, 2 classes\n"
                "input    (x * scale - mean) / std, signed: scale 1, mean 0, std 0.5\n"
                "\n"
                "split  samples  classes  from\n"
                "val    200      2        the last tenth of train, shuffled\n"
                "\n"
                "label  train  val  test  of train              name\n"
                "0      1,000  100  50    ####################  cat\n"
                "1      500    100  50    ##########            dog\n"
                "\n"
                "channel  values  least  most  mean  deviation\n"
                "all      stored  0      255   0     0\n"
                "         input   0      510   0     0\n"
                "\n"
                "warning  network inputs go from 0 to 510: unusually large; is scale, mean or std\n"
                "         missing?\n");
}

TEST_F(VerbsTest, DescribeAnswersInEveryFormat) {
  server_.exploration.description = SmallDescription();

  const Outcome csv = Run({"datasets", "describe", "dddd", "--output", "csv"});
  const Outcome json = Run({"datasets", "describe", "dddd", "--output", "json"});

  EXPECT_EQ(csv.out, "label,name,train,val,test\n0,cat,1000,100,50\n1,dog,500,100,50\n");
  EXPECT_THAT(csv.err, HasSubstr("warning: network inputs go from 0 to 510"));
  EXPECT_THAT(json.out, HasSubstr("\"sampleShape\": \"1x2x2\""));
  EXPECT_EQ(server_.exploration.describes.at(0).digest(), "dddd");
  EXPECT_EQ(server_.blobs.uploads, 0);
}

TEST_F(VerbsTest, DescribeOfManyClassesAndNumbersStaysShort) {
  v1::DatasetDescription& set = server_.exploration.description;
  set = SmallDescription();
  for (int i = 2; i < 200; ++i) set.add_classes()->set_label(i);
  for (int i = 0; i < 783; ++i) set.add_mean(0.5);

  const Outcome outcome = Run({"datasets", "describe", "dddd"});

  EXPECT_THAT(outcome.out, HasSubstr("and 170 classes more; --output csv has all\n"));
  EXPECT_THAT(outcome.out, HasSubstr("mean one of 784 numbers"));
}

TEST_F(VerbsTest, DescribeRefusesWhatIsNeitherHereNorADigest) {
  for (const std::string& what : {File("absent.npz"), std::string("abc"), std::string("DDDD")}) {
    const Outcome outcome = Run({"datasets", "describe", what});
    EXPECT_EQ(outcome.code, ExitCode::kWrongInput);
    EXPECT_THAT(outcome.err, HasSubstr("no such file or folder here, and not the digest"));
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_THAT(server_.exploration.describes, SizeIs(0));
}

TEST_F(VerbsTest, ABadFolderIsFoundBeforeAnythingIsSent) {
  std::filesystem::create_directories(File("animals/cat"));
  std::ofstream(File("animals/cat/notes.txt")) << "text";

  const Outcome described = Run({"datasets", "describe", File("animals")});
  const Outcome submitted = Run(
      {"submit", "--model", File("net.onnx"), "--data", File("animals"), "--target", "rv32imc"});

  for (const Outcome& outcome : {described, submitted}) {
    EXPECT_EQ(outcome.code, ExitCode::kWrongInput);
    EXPECT_THAT(outcome.err, HasSubstr("notes.txt: not an image by its name"));
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_EQ(server_.blobs.uploads, 0);
}

TEST_F(VerbsTest, SubmitTakesAFolder) {
  std::filesystem::create_directories(File("animals/cat"));
  std::ofstream(File("animals/cat/1.png")) << "image";

  EXPECT_EQ(
      Run({"submit", "--model", File("net.onnx"), "--data", File("animals/"), "--target", "t"})
          .code,
      ExitCode::kDone);

  const v1::JobSpec& spec = server_.exploration.submits.at(0).spec();
  EXPECT_EQ(spec.dataset_name(), "animals");
  EXPECT_TRUE(server_.blobs.Has(spec.dataset_digest()));
}

}  // namespace
}  // namespace mico
