// Everything that somebody can say to the server: an input is a few calls, one after another, to
// the real services over a real coordinator and database. A call is a byte that chooses the method,
// then the request's bytes as one piece. Texts like "@job" in a request stand for what this server
// has (ServiceState::names), because no mutation finds a digest; "@new" and "@next" for the job and
// the lease that an earlier call of the same input was given.
#include <functional>

#include "fmt/format.h"
#include "google/protobuf/message.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/service_state.h"

namespace mico::fuzz {
namespace {

constexpr int kMostCalls = 12;

ServiceState& State() {
  static ServiceState state;
  return state;
}

void PutNames(google::protobuf::Message& message) {
  const auto* reflection = message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const auto* field : fields) {
    const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (field->type() == field->TYPE_MESSAGE) {
        PutNames(field->is_repeated() ? *reflection->MutableRepeatedMessage(&message, field, i)
                                      : *reflection->MutableMessage(&message, field));
      } else if (field->type() == field->TYPE_STRING) {
        const std::string text = field->is_repeated()
                                     ? reflection->GetRepeatedString(message, field, i)
                                     : reflection->GetString(message, field);
        const std::string* name = State().Find(text);
        if (name == nullptr) continue;
        if (field->is_repeated()) {
          reflection->SetRepeatedString(&message, field, i, *name);
        } else {
          reflection->SetString(&message, field, *name);
        }
      }
    }
  }
}

// False: not a request of this type.
template <typename Request>
bool Read(std::string_view bytes, Request& request) {
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
  PutNames(request);
  return true;
}

// What later calls of the input can speak of.
template <typename Response>
void Remember(const Response&) {}
void Remember(const v1::SubmitJobResponse& response) {
  State().SetName("@new", response.job().id());
}
void Remember(const v1::SynchronizeResponse& response) {
  if (response.has_order()) State().SetName("@next", response.order().lease_id());
}

// Whether a call that ended so may have changed anything.
bool MayHaveChanged(const grpc::Status& status) {
  return status.error_code() != grpc::StatusCode::INVALID_ARGUMENT &&
         status.error_code() != grpc::StatusCode::NOT_FOUND;
}

struct Method {
  // What the descriptor says: "mico.v1.ExplorationService.GetJob".
  std::string name;
  // True if the server has to be reset afterwards.
  std::function<bool(std::string_view bytes)> call;
};

template <typename Service, typename Request, typename Response>
Method Unary(const char* name, bool changes, Service& (ServiceState::*service)(),
             grpc::Status (Service::*method)(grpc::ServerContext*, const Request*, Response*)) {
  return {name, [=](std::string_view bytes) {
            Request request;
            if (!Read(bytes, request)) return false;
            grpc::ServerContext context;
            Response response;
            const grpc::Status status =
                ((State().*service)().*method)(&context, &request, &response);
            Require(status.error_code() != grpc::StatusCode::INTERNAL &&
                        status.error_code() != grpc::StatusCode::UNKNOWN,
                    "no request makes the server fail");
            if (status.ok()) Remember(response);
            return changes && MayHaveChanged(status);
          }};
}

bool Download(std::string_view bytes) {
  v1::DownloadRequest request;
  if (!Read(bytes, request)) return false;
  grpc::ClientContext context;
  const auto reader = v1::BlobService::NewStub(State().Channel())->Download(&context, request);
  v1::DownloadResponse part;
  while (reader->Read(&part)) {
  }
  reader->Finish();
  return false;
}

// Not of a job that runs: the server looks whether anybody still watches four times a second.
bool Watch(std::string_view bytes) {
  v1::WatchJobRequest request;
  if (!Read(bytes, request) || State().Runs(request.job())) return false;
  grpc::ClientContext context;
  const auto reader =
      v1::ExplorationService::NewStub(State().Channel())->WatchJob(&context, request);
  v1::Job job;
  while (reader->Read(&job)) {
  }
  reader->Finish();
  return false;
}

// Its pieces are the messages of the stream.
bool Upload(std::string_view bytes) {
  grpc::ClientContext context;
  v1::UploadResponse response;
  const auto writer = v1::BlobService::NewStub(State().Channel())->Upload(&context, &response);
  Pieces pieces(bytes);
  while (!pieces.empty()) {
    v1::UploadRequest part;
    if (!Read(pieces.Piece(), part) || !writer->Write(part)) break;
  }
  writer->WritesDone();
  return MayHaveChanged(writer->Finish());
}

// Time passes: up to 255 times a tenth of what a lease lasts.
bool Wait(std::string_view bytes) {
  const int tenths = bytes.empty() ? 1 : static_cast<uint8_t>(bytes[0]);
  State().clock().Advance(tenths * WorkQueueOptions().lease_duration / 10);
  return true;
}

// An honest worker takes what there is and does it: up to 31 calls of its verb.
bool Work(std::string_view bytes) {
  State().Work(bytes.empty() ? 1 : static_cast<uint8_t>(bytes[0]) % 32);
  return true;
}

const std::vector<Method>& Methods() {
  static const std::vector<Method> methods = [] {
    const auto explore = &ServiceState::exploration;
    using Explore = ExplorationServiceImpl;
    const bool changes = true, reads = false;
    std::vector<Method> all = {
        Unary("WorkerService.Synchronize", changes, &ServiceState::workers,
              &WorkerServiceImpl::Synchronize),
        Unary("ExplorationService.SubmitJob", changes, explore, &Explore::SubmitJob),
        Unary("ExplorationService.GetJob", reads, explore, &Explore::GetJob),
        Unary("ExplorationService.ListJobs", reads, explore, &Explore::ListJobs),
        {"ExplorationService.WatchJob", Watch},
        Unary("ExplorationService.CancelJob", changes, explore, &Explore::CancelJob),
        Unary("ExplorationService.GetArtifact", changes, explore, &Explore::GetArtifact),
        Unary("ExplorationService.ListTrials", reads, explore, &Explore::ListTrials),
        Unary("ExplorationService.ListModels", reads, explore, &Explore::ListModels),
        Unary("ExplorationService.ListDatasets", reads, explore, &Explore::ListDatasets),
        Unary("ExplorationService.ListTargets", reads, explore, &Explore::ListTargets),
        Unary("ExplorationService.ListWorkers", reads, explore, &Explore::ListWorkers),
        Unary("BlobService.FindMissing", reads, &ServiceState::blobs,
              &BlobServiceImpl::FindMissing),
        {"BlobService.Upload", Upload},
        {"BlobService.Download", Download},
        Unary("ExplorationService.DescribeDataset", changes, explore, &Explore::DescribeDataset),
        Unary("ExplorationService.Diagnose", reads, explore, &Explore::Diagnose),
        Unary("ExplorationService.ConvertModel", changes, explore, &Explore::ConvertModel),
    };
    // A method that is added to a service is added here.
    size_t described = 0;
    for (const char* service : {"WorkerService", "ExplorationService", "BlobService"}) {
      const auto* descriptor =
          google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
              fmt::format("mico.v1.{}", service));
      described += static_cast<size_t>(descriptor->method_count());
    }
    Require(all.size() == described, "service_fuzz knows every method of the services");
    all.push_back({"time", Wait});
    all.push_back({"work", Work});
    return all;
  }();
  return methods;
}

}  // namespace
}  // namespace mico::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);  // a line for every text that is not UTF-8
  mico::fuzz::Methods();
  mico::fuzz::State();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mico::fuzz;
  Pieces pieces(Bytes(data, size));
  bool changed = false;
  for (int call = 0; call < kMostCalls && !pieces.empty(); ++call) {
    const Method& method = Methods()[pieces.Byte() % Methods().size()];
    changed |= method.call(pieces.Piece());
  }
  if (changed) State().Reset();
  return 0;
}
