#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/exploration.grpc.pb.h"
#include "proto/messages.h"
#include "proto/worker.grpc.pb.h"

namespace mico {

// A target on which the fake worker has a board.
Target FakeTarget();
// What the fake evaluator says of a scheme: fewer bits, fewer correct answers, or a larger error;
// training wins two thirds of them back.
Score FakeScore(const BitScheme& scheme, int64_t samples, Metric metric = Metric::kTop1,
                bool trained = false);
// The bytes that stand for a quantized model; those that stand for what a training gives back.
std::string FakeModel(const BitScheme& scheme, bool trained = false);
std::string FakeLearned(const BitScheme& scheme);
std::string FakeState(const BitScheme& scheme);

// A worker that speaks the real protocol over gRPC and makes up its results; one call at a time, so
// that a test decides what happens when.
class FakeWorker {
 public:
  FakeWorker(const std::string& address, std::string id);

  // Sizes of the splits of the data set, which the fake evaluator does not read.
  int64_t val_samples = 40, test_samples = 30;
  Target target = FakeTarget();
  bool evaluates = true;
  bool converts = false;
  // What every TorchScript file is to it: the bytes of a ModelPackage.
  std::string converted;
  // What it says of itself.
  std::vector<Check> checks;
  std::vector<TargetHealth> target_health;
  // Instead of a result, for the tasks that it answers with one.
  std::function<absl::Status(const Task&)> fails = [](const Task&) { return absl::OkStatus(); };

  // Finishes the task it holds, if any, and asks for the next one. False: nothing to do now.
  bool Step();
  // Steps until `done`; at most `most` times.
  void StepUntil(const std::function<bool()>& done, int most = 20'000);

  absl::StatusOr<WorkerOrder> Say(const WorkerReport& report);
  WorkerReport Report() const;
  WorkerReport ReportFinished(const std::string& lease, const TaskResult& result) const;
  TaskResult Work(const Task& task);
  // Keeps its lease, saying that another could go on from `checkpoint`, which it uploads first.
  WorkerOrder ReportCheckpoint(const std::string& checkpoint, bool leaving = false);

  std::optional<TaskOrder> held;
  int64_t orders = 0;

 private:
  TaskResult Calibrate(const CalibrateTask& task);
  TaskResult Profile(const ProfileTask& task);
  TaskResult Evaluate(const EvaluateTask& task);
  TaskResult MakeArtifact(const ArtifactTask& task);
  TaskResult Convert(const ConvertTask& task);
  TaskResult Reconstruct(const ReconstructTask& task);
  TaskResult Train(const TrainTask& task);

  std::string id_;
  std::unique_ptr<v1::WorkerService::Stub> workers_;
  std::unique_ptr<v1::BlobService::Stub> blobs_;
};

// Uploads in chunks, as a client does.
absl::StatusOr<Digest> UploadBlob(v1::BlobService::Stub& blobs, const std::string& bytes);

}  // namespace mico
