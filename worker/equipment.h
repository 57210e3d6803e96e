#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "proto/messages.h"
#include "target/target.h"
#include "worker/compiler.h"
#include "worker/target_look.h"

namespace mico {

struct EquipmentOptions {
  // What was found well is looked at again after this long ...
  std::chrono::milliseconds keep{600'000};
  // ... and a fault sooner: somebody may have mended it.
  std::chrono::milliseconds keep_fault{15'000};
  // The worker's scratch folder.
  std::filesystem::path cache_dir;
  // For the tiny programs that are built.
  CompilerOptions compiler;
  // What was found out elsewhere at the start (libtorch's self-test).
  std::vector<Check> found_at_start;
};

// What a worker works with: its target files, a workbench for each that can be used, and what the
// last look at them found. A compiler or board that is missing is no error but a finding, and when
// it comes, later looks find it. Thread-safe.
//
// Boards serve one program at a time: looks and tasks exclude each other, and a task that begins
// stops the look, which is taken up later.
class Equipment {
 public:
  // Reads the files and takes a quick look at each (LookAtTarget). An error in a file, or one name
  // in two files, is InvalidArgument and names the file.
  static absl::StatusOr<std::unique_ptr<Equipment>> Open(
      std::span<const std::filesystem::path> target_files, EquipmentOptions options);
  ~Equipment();

  // Looks at everything that is due, now and whenever something is, on a thread of its own.
  void KeepLooking();
  // Looks at everything that is due, tiny programs included. False: a task was in the way.
  bool LookNow();

  // Fills what the worker holds and how it is into a report.
  void Describe(WorkerReport& report) const;

  // A target's workbench, for as long as the task holds it. NotFound: the worker has no such
  // target; FailedPrecondition: no program can be built for it, with the reason.
  absl::StatusOr<std::shared_ptr<const Workbench>> Find(const std::string& target) const;

  // While one of these lives, no look is taken.
  class Reservation {
   public:
    explicit Reservation(Equipment& equipment);
    ~Reservation();
    Reservation(const Reservation&) = delete;
    Reservation& operator=(const Reservation&) = delete;

   private:
    Equipment& equipment_;
  };

 private:
  using Time = std::chrono::steady_clock::time_point;

  struct Held {
    TargetFile file;
    std::filesystem::path path;
    TargetLook look;
    Time looked{};
    bool tried = false;  // with tiny programs, not only quickly
  };

  explicit Equipment(EquipmentOptions options) : options_(std::move(options)) {}

  Time DueAt(const Held& held) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool LookAt(size_t index);
  void LookUntilStopped();

  const EquipmentOptions options_;
  const Time started_ = std::chrono::steady_clock::now();
  std::atomic<bool> stop_look_ = false;

  mutable absl::Mutex mutex_;
  std::vector<Held> held_ ABSL_GUARDED_BY(mutex_);  // its length never changes
  std::vector<Check> machine_ ABSL_GUARDED_BY(mutex_);
  Time machine_looked_ ABSL_GUARDED_BY(mutex_){};
  int reservations_ ABSL_GUARDED_BY(mutex_) = 0;
  bool looking_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// Scratch and temporary folders, memory.
std::vector<Check> LookAtMachine(const std::filesystem::path& cache_dir);

}  // namespace mico
