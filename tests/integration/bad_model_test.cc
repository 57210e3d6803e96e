// Networks that cannot be: submitted as a stranger would, refused in words, nothing stored.

#include <cmath>

#include "fmt/format.h"
#include "grpcpp/grpcpp.h"
#include "proto/convert.h"
#include "tests/integration/service.h"
#include "tests/unit/model/onnx_file.h"

namespace mico {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

class BadModelTest : public ServiceTest {
 protected:
  grpc::Status Submitted(const std::string& network) {
    FakeWorker worker = AnnouncedWorker("a");
    v1::SubmitJobRequest request = SmallJob();
    request.mutable_spec()->set_model_name("bad.onnx");
    request.mutable_spec()->set_model_digest(UploadBlob(*blobs_, network).value().hex());
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMostMetadataBytes);
    const auto stub = v1::ExplorationService::NewStub(
        grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), arguments));
    grpc::ClientContext context;
    v1::SubmitJobResponse response;
    return stub->SubmitJob(&context, request, &response);
  }

  void ExpectRefused(const std::string& network, const std::string& reason) {
    SCOPED_TRACE(reason);
    const grpc::Status status = Submitted(network);
    EXPECT_TRUE(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT ||
                status.error_code() == grpc::StatusCode::UNIMPLEMENTED ||
                status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED)
        << status.error_code() << " " << status.error_message();
    EXPECT_THAT(status.error_message(), AllOf(HasSubstr("model 'bad.onnx'"), HasSubstr(reason)));
    grpc::ClientContext models_context, jobs_context;
    v1::ListModelsResponse models;
    v1::ListJobsResponse jobs;
    EXPECT_TRUE(exploration_->ListModels(&models_context, {}, &models).ok());
    EXPECT_TRUE(exploration_->ListJobs(&jobs_context, {}, &jobs).ok());
    EXPECT_THAT(models.models(), IsEmpty());
    EXPECT_THAT(jobs.jobs(), IsEmpty());
  }
};

TEST_F(BadModelTest, IsRefusedWithItsNameAndLeavesNothing) {
  const std::string good = SmallNetwork();
  ExpectRefused("", "holds no ONNX graph");
  ExpectRefused("hello", "5 bytes that are not an ONNX model");
  ExpectRefused(good.substr(0, good.size() / 2), "bytes that are not an ONNX model");

  OnnxFile circle;
  circle.Input("x", {1, 2}).Node("Add", {"x", "b"}, "a").Node("Relu", {"a"}, "b");
  ExpectRefused(circle.Bytes(), "in a circle");

  OnnxFile infinite;
  infinite.Input("x", {1, 2}).Floats("w", {2, 1}, {1, INFINITY}).Node("MatMul", {"x", "w"}, "y");
  ExpectRefused(infinite.Bytes(), "not a finite");

  OnnxFile external;
  external.Input("x", {1, 2}).Ramp("w", {2, 1}).Node("MatMul", {"x", "w"}, "y");
  external.graph().mutable_initializer(0)->set_data_location(1);
  ExpectRefused(external.Bytes(), "another file");

  OnnxFile huge;
  huge.Input("x", {1, 1 << 20, 1 << 20, 8}).Ramp("w", {1, 1}).Node("Relu", {"x"}, "y");
  ExpectRefused(huge.Bytes(), "2^31");

  // The server is none the worse for it.
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(SmallJob()).job().id();
  worker.StepUntil([&] { return HasEnded(id); });
  EXPECT_EQ(GetJob(id).state(), v1::JOB_STATE_DONE);
}

TEST_F(BadModelTest, EveryReasonArrivesEvenWhereThereAreHundreds) {
  OnnxFile file;
  file.Input("x", {1, 2}).Ramp("w", {2, 2}).Node("MatMul", {"x", "w"}, "y");
  std::string last = "y";
  for (int i = 0; i < 500; ++i) {
    const std::string next = fmt::format("special{}", i);
    file.Node("Special", {last}, next);
    last = next;
  }
  file.Output(last);
  ExpectRefused(file.Bytes(), "'special499' (Special)");
}

TEST_F(BadModelTest, AMessageWithoutEndIsCut) {
  OnnxFile file;
  file.Input("x", {1, 2}).Ramp("w", {2, 2}).Node("MatMul", {"x", "w"}, "y");
  std::string last = "y";
  for (int i = 0; i < 20'000; ++i) {
    const std::string next = fmt::format("special{}", i);
    file.Node("Special", {last}, next);
    last = next;
  }
  file.Output(last);
  ExpectRefused(file.Bytes(), "(cut; ");
}

TEST_F(BadModelTest, DataWithAStdForEachOfOtherChannelsAreRefused) {
  FakeWorker worker = AnnouncedWorker("a");
  v1::SubmitJobRequest request = SmallJob();
  request.mutable_spec()->set_dataset_name("signals.npz");
  request.mutable_spec()->set_dataset_digest(UploadBlob(*blobs_, SmallSignals()).value().hex());
  v1::SubmitJobResponse response;
  const grpc::Status status = TrySubmit(request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(),
              AllOf(HasSubstr("data set 'signals.npz'"),
                    HasSubstr("a mean or std for each of 4 channels"), HasSubstr("1x4x4")));
}

TEST_F(BadModelTest, WhatIsStrangeAboutTheDataIsAWarningOfTheJob) {
  FakeWorker worker = AnnouncedWorker("a");
  const v1::Job job = Submit(SmallJob()).job();
  EXPECT_THAT(job.warnings(), Contains(HasSubstr("data: val has 40 samples")));
  RestartServer();
  EXPECT_THAT(GetJob(job.id()).warnings(), Contains(HasSubstr("data: val has 40 samples")));
}

}  // namespace
}  // namespace mico
