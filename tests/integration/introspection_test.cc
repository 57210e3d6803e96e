#include <chrono>
#include <string>
#include <vector>

#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "tests/integration/service.h"

namespace mico {
namespace {

using testing::HasSubstr;

class IntrospectionTest : public ServiceTest {
 protected:
  // One message there and one back, both in protobuf's encoding: Debian has no generated code for
  // these two services. Empty if nothing comes back.
  std::string Exchange(const std::string& method, const std::string& request) {
    grpc::GenericStub stub(grpc::CreateChannel(address(), grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    grpc::CompletionQueue queue;
    const auto done = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    const auto call = stub.PrepareCall(&context, method, &queue);
    call->StartCall(nullptr);
    if (!done()) return "";
    const grpc::Slice slice(request);
    call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
    if (!done()) return "";
    grpc::ByteBuffer answer;
    call->Read(&answer, nullptr);
    const bool answered = done();
    grpc::Status status;
    call->Finish(&status, nullptr);
    done();
    return answered ? Text(answer) : "";
  }

 private:
  static std::string Text(const grpc::ByteBuffer& bytes) {
    std::vector<grpc::Slice> slices;
    std::string text;
    if (!bytes.Dump(&slices).ok()) return "";
    for (const grpc::Slice& slice : slices) {
      text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    return text;
  }
};

TEST_F(IntrospectionTest, HealthSaysThatItServes) {
  // Of the whole server: HealthCheckRequest{}; HealthCheckResponse{status: SERVING}.
  EXPECT_EQ(Exchange("/grpc.health.v1.Health/Check", ""), std::string("\x08\x01"));
  // Of one service: {service: "mico.v1.WorkerService"}.
  EXPECT_EQ(Exchange("/grpc.health.v1.Health/Check", "\x0a\x15mico.v1.WorkerService"),
            std::string("\x08\x01"));
}

TEST_F(IntrospectionTest, ReflectionListsTheThreeServices) {
  // ServerReflectionRequest{list_services: ""}.
  const std::string services = Exchange(
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", std::string("\x3a\x00", 2));
  EXPECT_THAT(services, HasSubstr("mico.v1.ExplorationService"));
  EXPECT_THAT(services, HasSubstr("mico.v1.WorkerService"));
  EXPECT_THAT(services, HasSubstr("mico.v1.BlobService"));
}

}  // namespace
}  // namespace mico
