#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace mico {

enum class OutputFormat { kTable, kJson, kCsv };

// What every verb is told.
struct GlobalOptions {
  std::string server = "localhost:50051";
  OutputFormat output = OutputFormat::kTable;
  // Standard output is a terminal: progress may redraw itself. In a pipe: plain lines.
  bool terminal = false;
};

// The fields of a submit as people write them, from flags or from a job file; absent ones take the
// server's defaults.
struct SubmitOptions {
  std::optional<std::string> model, data, target, metric, strategy, ptq;
  std::optional<std::string> input_shape;  // of a TorchScript model
  std::optional<std::string> qat, qat_epochs, qat_minutes, qat_optimizer, qat_augment;
  std::optional<std::string> max_latency, max_ram, max_flash, min_accuracy, max_error;
  std::optional<int64_t> trials, calibration_samples;
  std::optional<uint64_t> seed;
  std::string file;  // a job file; flags override it
  bool dry_run = false;
  bool watch = false;
};

// Where the options of this call came from, as far as the doctor looks at it.
struct DoctorOptions {
  std::string config_file;  // of --config; empty: none
  bool server_is_default = false;
  // A server that is silent this long has something wrong.
  std::chrono::milliseconds patience{20'000};
};

struct FetchOptions {
  std::string job;
  std::optional<int64_t> trial;  // absent: the best
  std::string folder;
  // How often a pending artifact is asked for: building takes seconds.
  std::chrono::milliseconds poll_interval{250};
};

}  // namespace mico
