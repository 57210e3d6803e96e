// Requests larger than allowed: refused by name, and the server goes on for everybody else.
#include "grpcpp/grpcpp.h"
#include "proto/convert.h"
#include "tests/integration/service.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

class RequestLimitsTest : public ServiceTest {
 protected:
  void TearDown() override {
    // Whatever was refused: the next one is served.
    FakeWorker worker = AnnouncedWorker("afterwards");
    EXPECT_FALSE(Submit(SmallJob()).job().id().empty());
  }

  grpc::Status Synchronize(const WorkerReport& report) {
    const auto stub = v1::WorkerService::NewStub(
        grpc::CreateChannel(address(), grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    v1::SynchronizeResponse response;
    return stub->Synchronize(&context, ToProto(report), &response);
  }

  grpc::Status UploadInOneChunk(size_t bytes) {
    grpc::ClientContext context;
    v1::UploadResponse response;
    const auto writer = blobs_->Upload(&context, &response);
    const std::string content(bytes, 'x');
    v1::UploadRequest part;
    part.set_digest(Digest::Of(content).hex());
    writer->Write(part);
    part.set_chunk(content);
    writer->Write(part);
    writer->WritesDone();
    return writer->Finish();
  }

  size_t FilesOfBlobs() const {
    size_t files = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder_.path() / "data" / "blobs")) {
      files += entry.is_regular_file() ? 1 : 0;
    }
    return files;
  }
};

void ExpectRefusal(const grpc::Status& status, grpc::StatusCode code, const std::string& text) {
  EXPECT_EQ(status.error_code(), code) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr(text));
}

TEST_F(RequestLimitsTest, AMessageLargerThanEightMebibytesIsNotRead) {
  v1::SubmitJobRequest request;
  request.set_request_id(std::string((8 << 20) + 1000, 'r'));
  v1::SubmitJobResponse response;
  ExpectRefusal(TrySubmit(request, &response), grpc::StatusCode::RESOURCE_EXHAUSTED,
                "larger than max");
}

TEST_F(RequestLimitsTest, AChunkHasAtMostAMebibyte) {
  EXPECT_TRUE(UploadInOneChunk(1 << 20).ok());
  const size_t before = FilesOfBlobs();
  ExpectRefusal(UploadInOneChunk((1 << 20) + 1), grpc::StatusCode::INVALID_ARGUMENT,
                "chunk: 1048577 bytes; needed: at most 1048576");
  EXPECT_EQ(FilesOfBlobs(), before) << "nothing half stored";
}

TEST_F(RequestLimitsTest, SoManyDigestsAreNotLookedUp) {
  v1::FindMissingRequest request;
  for (int i = 0; i < 10'001; ++i) request.add_digests(std::string(64, 'a'));
  grpc::ClientContext context;
  v1::FindMissingResponse response;
  ExpectRefusal(blobs_->FindMissing(&context, request, &response),
                grpc::StatusCode::INVALID_ARGUMENT, "10001 entries; needed: at most 10000");
}

TEST_F(RequestLimitsTest, LongNamesAreRefused) {
  AnnouncedWorker("a");
  v1::SubmitJobRequest request = SmallJob();
  request.mutable_spec()->set_model_name(std::string(1'001, 'n'));
  v1::SubmitJobResponse response;
  ExpectRefusal(TrySubmit(request, &response), grpc::StatusCode::INVALID_ARGUMENT, "model_name");
}

TEST_F(RequestLimitsTest, LongRequestIdsAreRefused) {
  AnnouncedWorker("a");
  v1::SubmitJobRequest request = SmallJob();
  request.set_request_id(std::string(100'000, 'r'));
  v1::SubmitJobResponse response;
  ExpectRefusal(TrySubmit(request, &response), grpc::StatusCode::INVALID_ARGUMENT, "request_id");
}

TEST_F(RequestLimitsTest, MoreTrialsThanAMillionAreRefused) {
  AnnouncedWorker("a");
  v1::SubmitJobRequest request = SmallJob();
  request.mutable_spec()->set_trials(1'000'001);
  v1::SubmitJobResponse response;
  ExpectRefusal(TrySubmit(request, &response), grpc::StatusCode::INVALID_ARGUMENT, "1 to 1000000");
}

TEST_F(RequestLimitsTest, AWorkerAnnouncesAtMostAThousandTargets) {
  FakeWorker worker(address(), "a");
  WorkerReport report = worker.Report();
  report.targets.resize(1'001, FakeTarget());
  ExpectRefusal(Synchronize(report), grpc::StatusCode::INVALID_ARGUMENT, "targets");
}

TEST_F(RequestLimitsTest, ALongWorkerIdIsRefused) {
  FakeWorker worker(address(), std::string(1'001, 'w'));
  ExpectRefusal(Synchronize(worker.Report()), grpc::StatusCode::INVALID_ARGUMENT, "worker_id");
}

TEST_F(RequestLimitsTest, APageHasAtMostAThousandEntries) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(SmallJob()).job().id();
  worker.StepUntil([&] { return HasEnded(id); });
  grpc::ClientContext context;
  v1::ListTrialsRequest request;
  request.set_job(id);
  request.set_page_size(INT32_MAX);
  v1::ListTrialsResponse response;
  EXPECT_TRUE(exploration_->ListTrials(&context, request, &response).ok());
  grpc::ClientContext second;
  request.set_page_size(-1);
  ExpectRefusal(exploration_->ListTrials(&second, request, &response),
                grpc::StatusCode::INVALID_ARGUMENT, "page_size");
}

}  // namespace
}  // namespace mico
