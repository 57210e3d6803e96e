#include "tests/fuzz/service_state.h"

#include "fmt/format.h"
#include "model/importer.h"
#include "model/model_package.h"
#include "spdlog/spdlog.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/scratch_folder.h"
#include "tests/integration/small_network.h"

namespace mico::fuzz {
namespace {

// Any two: lease ids then are the same in every process, so that inputs can be repeated, and those
// of the past do not come again.
constexpr uint64_t kPastIds = 1, kIds = 2;

v1::Job JobOf(ExplorationServiceImpl& service, const std::string& id) {
  grpc::ServerContext context;
  v1::GetJobRequest request;
  request.set_job(id);
  v1::Job job;
  Require(service.GetJob(&context, &request, &job).ok(), "the job is there");
  return job;
}

}  // namespace

ServiceState::ServiceState() : folder_(ScratchFolder() / "server") {
  spdlog::set_level(spdlog::level::off);
  std::filesystem::create_directory(folder_);
  Open(kPastIds);
  MakePast();
  Close();
  std::filesystem::copy(folder_ / "mico.sqlite", folder_ / "past.sqlite");
  Open(kIds);
}

ServiceState::~ServiceState() { Close(); }

void ServiceState::Reset() {
  Close();
  later_names_.clear();
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::filesystem::remove(folder_ / fmt::format("mico.sqlite{}", suffix));
  }
  std::filesystem::copy(folder_ / "past.sqlite", folder_ / "mico.sqlite");
  Open(kIds);
}

void ServiceState::Open(uint64_t ids) {
  auto blobs = BlobStore::Open(folder_ / "blobs").value();
  auto store = Store::Open(folder_ / "mico.sqlite").value();
  static const OnnxImporter importer;
  auto coordinator =
      Coordinator::Start(*store, *blobs, importer, clock_, Random(ids), CoordinatorOptions{})
          .value();
  Coordinator& decides = *coordinator;
  BlobStore& bulky = *blobs;
  Store& durable = *store;
  auto storage = std::make_unique<StorageLook>(folder_, durable);
  StorageLook& looks = *storage;
  parts_.reset(new Parts{std::move(blobs), std::move(store), std::move(coordinator),
                         std::move(storage), WorkerServiceImpl(decides),
                         ExplorationServiceImpl(decides, looks, clock_),
                         BlobServiceImpl(bulky, durable, clock_), nullptr, nullptr});
}

void ServiceState::Close() {
  if (parts_ != nullptr && parts_->server != nullptr) {
    parts_->exploration.StopWatching();
    parts_->server->Shutdown();
  }
  parts_.reset();
}

std::string ServiceState::Address() const {
  return fmt::format("unix:{}", (folder_ / "socket").string());
}

std::shared_ptr<grpc::Channel> ServiceState::Channel() {
  if (parts_->server == nullptr) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(Address(), grpc::InsecureServerCredentials());
    builder.RegisterService(&parts_->workers);
    builder.RegisterService(&parts_->exploration);
    builder.RegisterService(&parts_->blob_service);
    parts_->server = builder.BuildAndStart();
    Require(parts_->server != nullptr, "the server listens in the scratch folder");
  }
  return grpc::CreateChannel(Address(), grpc::InsecureChannelCredentials());
}

const std::string* ServiceState::Find(const std::string& name) const {
  for (const auto* names : {&later_names_, &names_}) {
    if (const auto found = names->find(name); found != names->end()) return &found->second;
  }
  return nullptr;
}

bool ServiceState::Runs(const std::string& job) {
  const absl::StatusOr<JobSnapshot> snapshot = parts_->coordinator->GetJob(job);
  return snapshot.ok() && !HasEnded(snapshot->record.state);
}

void ServiceState::Work(int steps) {
  if (parts_->worker == nullptr) {
    Channel();  // starts the server
    parts_->worker = std::make_unique<FakeWorker>(Address(), "worker-2");
    parts_->worker->converts = true;
    parts_->worker->converted = Serialize(OnnxImporter().Import(SmallNetwork()).value());
  }
  for (int step = 0; step < steps; ++step) parts_->worker->Step();
}

std::string ServiceState::SubmitSmallJob(uint64_t seed) {
  v1::SubmitJobRequest request;
  v1::JobSpec& spec = *request.mutable_spec();
  spec.set_model_name("small.onnx");
  spec.set_model_digest(names_["@model"]);
  spec.set_dataset_name("small.npz");
  spec.set_dataset_digest(names_["@data"]);
  spec.set_target("fake");
  spec.set_strategy("sensitivity");
  spec.set_trials(6);
  spec.set_seed(seed);
  grpc::ServerContext context;
  v1::SubmitJobResponse response;
  const grpc::Status status = parts_->exploration.SubmitJob(&context, &request, &response);
  Require(status.ok(), "the small job is taken");
  return response.job().id();
}

void ServiceState::MakePast() {
  const std::unique_ptr<v1::BlobService::Stub> blobs = v1::BlobService::NewStub(Channel());
  names_["@model"] = UploadBlob(*blobs, SmallNetwork()).value().hex();
  names_["@script"] = UploadBlob(*blobs, "PK\x03\x04 a network").value().hex();
  names_["@data"] = UploadBlob(*blobs, SmallData()).value().hex();
  FakeWorker worker(Address(), "worker-1");
  worker.Step();
  names_["@job"] = SubmitSmallJob(1);
  const auto has_ended = [&] { return JobOf(parts_->exploration, names_["@job"]).ended_ms() > 0; };
  worker.StepUntil(has_ended);

  grpc::ServerContext context;
  v1::GetArtifactRequest request;
  request.set_job(names_["@job"]);
  request.set_best(true);
  v1::GetArtifactResponse artifact;
  worker.StepUntil([&] {
    Require(parts_->exploration.GetArtifact(&context, &request, &artifact).ok(), "it has a best");
    return artifact.state() == v1::ARTIFACT_STATE_READY;
  });
  names_["@artifact"] = artifact.artifact_digest();
  names_["@quantized"] = artifact.trial().quantized_digest();

  names_["@running"] = SubmitSmallJob(2);
  worker.StepUntil([&] { return worker.held.has_value(); });
  names_["@lease"] = worker.held->lease_id;
  names_["@worker"] = "worker-1";
}

}  // namespace mico::fuzz
