// TorchScript files on the server: ordered once, converted by whoever can, remembered.

#include "fmt/format.h"
#include "model/importer.h"
#include "model/model_package.h"
#include "tests/integration/service.h"

namespace mico {
namespace {

using testing::HasSubstr;

// The server looks no further than its first bytes.
constexpr char kFile[] = "PK\x03\x04 a network";

class ConversionsTest : public ServiceTest {
 protected:
  void SetUp() override {
    ServiceTest::SetUp();
    const absl::StatusOr<ModelPackage> package = OnnxImporter().Import(SmallNetwork());
    ASSERT_TRUE(package.ok()) << package.status();
    package_ = Serialize(*package);
    request_.set_digest(UploadBlob(*blobs_, kFile).value().hex());
    request_.set_name("net.ts.pt");
    for (const int64_t extent : {1, 4, 4}) request_.add_input_shape(extent);
  }

  FakeWorker Converter(const std::string& id) {
    FakeWorker worker(address(), id);
    worker.converts = true;
    worker.converted = package_;
    return worker;
  }

  grpc::Status TryConvert(v1::ConvertModelResponse* response) {
    grpc::ClientContext context;
    return exploration_->ConvertModel(&context, request_, response);
  }

  v1::ConvertModelResponse Convert() {
    v1::ConvertModelResponse response;
    const grpc::Status status = TryConvert(&response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  void ExpectRefused(grpc::StatusCode code, const std::string& reason) {
    v1::ConvertModelResponse response;
    const grpc::Status status = TryConvert(&response);
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(reason));
  }

  std::string package_;
  v1::ConvertModelRequest request_;
};

TEST_F(ConversionsTest, AFileWaitsRunsAndIsReady) {
  const v1::ConvertModelResponse ordered = Convert();
  EXPECT_EQ(ordered.state(), v1::CONVERSION_STATE_WAITING);
  EXPECT_THAT(ordered.error(), HasSubstr("no worker that reads TorchScript"));

  FakeWorker worker = Converter("a");
  ASSERT_TRUE(worker.Step());
  ASSERT_TRUE(std::holds_alternative<ConvertTask>(worker.held->task));
  EXPECT_EQ(std::get<ConvertTask>(worker.held->task).input_shape, (std::vector<int64_t>{1, 4, 4}));
  const v1::ConvertModelResponse running = Convert();
  EXPECT_EQ(running.state(), v1::CONVERSION_STATE_RUNNING);
  EXPECT_EQ(running.worker_name(), "fake a");

  EXPECT_FALSE(worker.Step());
  const v1::ConvertModelResponse ready = Convert();
  EXPECT_EQ(ready.state(), v1::CONVERSION_STATE_READY);
  EXPECT_EQ(ready.model_digest(), Digest::Of(package_).hex());
  EXPECT_EQ(worker.orders, 1);
}

TEST_F(ConversionsTest, OnlyWhoSaysThatItConvertsGetsTheTask) {
  FakeWorker other(address(), "b");
  Convert();

  EXPECT_FALSE(other.Step());
}

TEST_F(ConversionsTest, AJobIsSearchedOnTheConvertedNetwork) {
  FakeWorker announced = AnnouncedWorker("a");
  Convert();
  FakeWorker worker = Converter("a");
  while (worker.Step()) {
  }
  v1::SubmitJobRequest job = SmallJob();
  job.mutable_spec()->set_model_name("net.ts.pt");
  job.mutable_spec()->set_model_digest(Convert().model_digest());

  const std::string id = Submit(job).job().id();
  worker.StepUntil([&] { return HasEnded(id); });

  EXPECT_EQ(GetJob(id).state(), v1::JOB_STATE_DONE) << GetJob(id).error();
  grpc::ClientContext context;
  v1::ListModelsResponse models;
  ASSERT_TRUE(exploration_->ListModels(&context, {}, &models).ok());
  ASSERT_EQ(models.models_size(), 1);
  EXPECT_EQ(models.models(0).name(), "net.ts.pt");
  EXPECT_EQ(models.models(0).layers(), 3);
  EXPECT_EQ(models.models(0).created_ms(), clock_.Now().time_since_epoch().count());
}

TEST_F(ConversionsTest, OnnxFilesStillKnowWhenTheyCame) {
  FakeWorker announced = AnnouncedWorker("a");
  Submit(SmallJob());
  grpc::ClientContext context;
  v1::ListModelsResponse models;
  ASSERT_TRUE(exploration_->ListModels(&context, {}, &models).ok());
  ASSERT_EQ(models.models_size(), 1);
  EXPECT_NE(models.models(0).created_ms(), 0);
  EXPECT_EQ(models.models(0).created_ms(), clock_.Now().time_since_epoch().count());
}

TEST_F(ConversionsTest, SubmitOfAFileThatWasNotConvertedSaysSo) {
  FakeWorker worker = AnnouncedWorker("a");
  v1::SubmitJobRequest job = SmallJob();
  job.mutable_spec()->set_model_name("net.ts.pt");
  job.mutable_spec()->set_model_digest(request_.digest());

  v1::SubmitJobResponse response;
  const grpc::Status status = TrySubmit(job, &response);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(),
              AllOf(HasSubstr("model 'net.ts.pt'"), HasSubstr("TorchScript")));
}

TEST_F(ConversionsTest, ItsStateSurvivesRestarts) {
  Convert();
  RestartServer();
  EXPECT_EQ(Convert().state(), v1::CONVERSION_STATE_WAITING);

  FakeWorker before = Converter("a");
  ASSERT_TRUE(before.Step());
  const std::optional<TaskOrder> held = before.held;
  RestartServer();
  EXPECT_EQ(Convert().state(), v1::CONVERSION_STATE_RUNNING);

  FakeWorker after = Converter("a");
  after.held = held;
  EXPECT_FALSE(after.Step());
  RestartServer();
  EXPECT_EQ(Convert().state(), v1::CONVERSION_STATE_READY);
}

TEST_F(ConversionsTest, WhatTheFileIsToBlameForFailsAtOnceAndIsTriedAgainOnlyWhenAsked) {
  Convert();
  FakeWorker worker = Converter("a");
  worker.fails = [](const Task&) { return absl::UnimplementedError("'act' (aten::silu): no"); };
  while (worker.Step()) {
  }
  EXPECT_EQ(worker.orders, 1);
  EXPECT_EQ(Convert().state(), v1::CONVERSION_STATE_FAILED);
  EXPECT_EQ(Convert().error(), "'act' (aten::silu): no");
  RestartServer();
  EXPECT_EQ(Convert().state(), v1::CONVERSION_STATE_FAILED);

  request_.set_retry(true);
  EXPECT_EQ(Convert().state(), v1::CONVERSION_STATE_WAITING);
  FakeWorker better = Converter("b");
  while (better.Step()) {
  }
  EXPECT_EQ(Convert().state(), v1::CONVERSION_STATE_READY);
}

TEST_F(ConversionsTest, AFileThatCostsWorkersIsGivenUp) {
  Convert();
  for (int i = 0; i < options_.coordinator.queue.max_attempts; ++i) {
    FakeWorker worker = Converter(fmt::format("victim {}", i));
    ASSERT_TRUE(worker.Step());  // and is never heard of again
    clock_.Advance(2 * options_.coordinator.queue.lease_duration);
  }
  EXPECT_FALSE(Converter("last").Step());

  const v1::ConvertModelResponse answer = Convert();
  EXPECT_EQ(answer.state(), v1::CONVERSION_STATE_FAILED);
  EXPECT_THAT(answer.error(), HasSubstr("fell silent"));
}

TEST_F(ConversionsTest, AnAnswerThatIsNoNetworkIsRefused) {
  Convert();
  FakeWorker worker = Converter("a");
  worker.converted = "MICOPKG2 not really";
  while (worker.Step()) {
  }

  EXPECT_EQ(Convert().state(), v1::CONVERSION_STATE_FAILED);
}

TEST_F(ConversionsTest, AnotherShapeIsAnotherNetwork) {
  Convert();
  request_.set_input_shape(0, 3);
  EXPECT_EQ(Convert().state(), v1::CONVERSION_STATE_WAITING);
  FakeWorker worker = Converter("a");
  while (worker.Step()) {
  }
  EXPECT_EQ(worker.orders, 2);
}

TEST_F(ConversionsTest, RequestsThatCannotBeAreRefused) {
  const v1::ConvertModelRequest good = request_;
  request_.set_digest("abc");
  ExpectRefused(grpc::StatusCode::INVALID_ARGUMENT, "digest");
  request_ = good;
  request_.set_digest(Digest::Of("absent").hex());
  ExpectRefused(grpc::StatusCode::NOT_FOUND, "upload it");
  request_.set_digest(UploadBlob(*blobs_, "an ONNX file").value().hex());
  ExpectRefused(grpc::StatusCode::INVALID_ARGUMENT, "not a TorchScript file");
  request_ = good;
  request_.clear_input_shape();
  ExpectRefused(grpc::StatusCode::INVALID_ARGUMENT, "input_shape");
  request_.add_input_shape(int64_t{1} << 20);
  request_.add_input_shape(int64_t{1} << 20);
  ExpectRefused(grpc::StatusCode::INVALID_ARGUMENT, "2^28");
  request_ = good;
  request_.set_name("a\nb");
  ExpectRefused(grpc::StatusCode::INVALID_ARGUMENT, "name");
}

}  // namespace
}  // namespace mico
