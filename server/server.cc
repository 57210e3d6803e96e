#include "server/server.h"

#include <arpa/inet.h>

#include <chrono>
#include <utility>

#include "absl/strings/numbers.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "db/data_folder.h"
#include "fmt/format.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "server/blob_service.h"
#include "server/exploration_service.h"
#include "server/worker_service.h"

namespace mico {
namespace {

// Chunks of blobs have 1 MiB; a page of a thousand deep trials is the largest answer.
constexpr int kLargestRequest = 8 << 20;
constexpr int kLargestResponse = 64 << 20;
constexpr std::chrono::seconds kDrain{5};
constexpr int kLargestPort = 65'535;

}  // namespace

absl::Status CheckLoopback(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(
        fmt::format("--listen '{}'; needed: HOST:PORT, as in 127.0.0.1:50051", listen));
  }
  // gRPC would take 99999 for another port, and what is no number for 443 or 80.
  int port = 0;
  if (!absl::SimpleAtoi(listen.substr(colon + 1), &port) || port < 0 || port > kLargestPort) {
    return absl::InvalidArgumentError(
        fmt::format("--listen '{}': port '{}'; needed: a number from 0 (any free one) to {}",
                    listen, listen.substr(colon + 1), kLargestPort));
  }
  const std::string host = listen.substr(0, colon);
  in_addr address{};
  // A name may lead anywhere, whatever it begins with.
  const bool numeric = inet_pton(AF_INET, host.c_str(), &address) == 1;
  if (host == "localhost" || host == "[::1]" || (numeric && host.starts_with("127."))) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(fmt::format(
      "--listen '{}': only loopback addresses (127.0.0.1, localhost, [::1]) are allowed, because "
      "the service does not know who is calling (ADR 4); reach it from elsewhere through an SSH "
      "tunnel",
      listen));
}

// Destroyed from the last member to the first: the services before what they use.
struct Server::Parts {
  std::unique_ptr<DataFolder> folder;
  std::unique_ptr<BlobStore> blobs;
  std::unique_ptr<Store> store;
  OnnxImporter importer;
  std::unique_ptr<Coordinator> coordinator;
  std::unique_ptr<StorageLook> storage_look;
  std::unique_ptr<WorkerServiceImpl> worker_service;
  std::unique_ptr<ExplorationServiceImpl> exploration_service;
  std::unique_ptr<BlobServiceImpl> blob_service;
  std::unique_ptr<grpc::Server> grpc_server;
  std::string address;
};

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      const Clock& clock) {
  MICO_RETURN_IF_ERROR(CheckLoopback(options.listen));
  auto parts = std::make_unique<Parts>();
  MICO_ASSIGN_OR_RETURN(parts->folder, DataFolder::Open(options.data_dir));
  MICO_ASSIGN_OR_RETURN(parts->blobs, BlobStore::Open(parts->folder->blobs()));
  MICO_ASSIGN_OR_RETURN(parts->store, Store::Open(parts->folder->database()));
  MICO_ASSIGN_OR_RETURN(parts->coordinator,
                        Coordinator::Start(*parts->store, *parts->blobs, parts->importer, clock,
                                           Random(EntropySeed()), options.coordinator));
  parts->storage_look = std::make_unique<StorageLook>(options.data_dir, *parts->store);
  parts->worker_service = std::make_unique<WorkerServiceImpl>(*parts->coordinator);
  parts->exploration_service =
      std::make_unique<ExplorationServiceImpl>(*parts->coordinator, *parts->storage_look, clock);
  parts->blob_service = std::make_unique<BlobServiceImpl>(*parts->blobs, *parts->store, clock);

  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &port);
  builder.SetMaxReceiveMessageSize(kLargestRequest);
  builder.SetMaxSendMessageSize(kLargestResponse);
  // Two servers on one port would each get half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.RegisterService(parts->worker_service.get());
  builder.RegisterService(parts->exploration_service.get());
  builder.RegisterService(parts->blob_service.get());
  parts->grpc_server = builder.BuildAndStart();
  if (parts->grpc_server == nullptr || port == 0) {
    return absl::UnavailableError(fmt::format(
        "--listen '{}': cannot listen there; is another server running?", options.listen));
  }
  // By itself gRPC answers for the server as a whole only.
  for (const char* service :
       {v1::WorkerService::service_full_name(), v1::ExplorationService::service_full_name(),
        v1::BlobService::service_full_name()}) {
    parts->grpc_server->GetHealthCheckService()->SetServingStatus(service, true);
  }
  parts->address = fmt::format("{}:{}", options.listen.substr(0, options.listen.rfind(':')), port);
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

Server::~Server() { Stop(); }

const std::string& Server::address() const { return parts_->address; }

void Server::Stop() {
  parts_->exploration_service->StopWatching();
  parts_->grpc_server->Shutdown(std::chrono::system_clock::now() + kDrain);
  parts_->grpc_server->Wait();
}

}  // namespace mico
