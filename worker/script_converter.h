#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/messages.h"

namespace mico {

struct ScriptConverterOptions {
  // mico-torchscript.
  std::filesystem::path program;
  // A larger file is refused. A network may have 2^27 weights (model/draft.h), in float or double.
  size_t most_file_bytes = (size_t{1} << 30) + (size_t{64} << 20);
  // The largest ModelPackage.
  size_t most_package_bytes = size_t{576} << 20;
  // Of one conversion; see SandboxOptions.
  uint64_t most_memory_bytes = uint64_t{4} << 30;
  std::chrono::seconds most_cpu_time{120};
  std::chrono::milliseconds timeout{600'000};
};

// Turns TorchScript files of strangers into packages. Loading one runs what its author wrote, so
// another program does, in a sandbox (worker/sandbox.h), and what that program says is checked like
// everything from outside. Thread-safe.
class ScriptConverter {
 public:
  explicit ScriptConverter(ScriptConverterOptions options) : options_(std::move(options)) {}

  // The bytes of a valid ModelPackage. `input_dims` as model/torchscript_importer.h has them.
  // InvalidArgument, Unimplemented: the file's fault, which another attempt would only repeat; so
  // is one that needs more than its limits. FailedPrecondition: no sandbox on this machine.
  // DeadlineExceeded, ResourceExhausted: it took too long by the clock or was killed, perhaps
  // because of what else ran here.
  absl::StatusOr<std::string> Convert(std::string_view file, const std::vector<int64_t>& input_dims,
                                      const std::atomic<bool>* cancelled) const;

  // Whether the program can be started in a sandbox here.
  Check Look() const;

 private:
  ScriptConverterOptions options_;
};

// Beside this process's own program.
std::filesystem::path ScriptConverterProgram();

}  // namespace mico
