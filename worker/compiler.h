#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "codegen/generate_c.h"
#include "target/target.h"

namespace mico {

struct CompilerOptions {
  // Compilers that run at once; 0: one for each core.
  int parallel = 0;
  // For one source file, and for the link.
  std::chrono::seconds timeout{120};
  // Objects of kernels and board support are kept here; empty: nowhere.
  std::filesystem::path object_cache;
  // Stops the compilers soon after it becomes true. May be null.
  const std::atomic<bool>* cancelled = nullptr;
};

// One target's toolchain and board support. Everything in its command lines comes from the target
// file, or is the name of a file that a generator of ours gave. Thread-safe.
class Compiler {
 public:
  // Asks the compiler for its version and reads the bsp folder (an empty path: none). NotFound if
  // there is no such compiler or folder.
  static absl::StatusOr<Compiler> Create(const Toolchain& toolchain);

  // Writes `files` below `folder` (which must exist), compiles every .c file among them and every
  // .c and .S file of the bsp folder, and links them. Gives the program's path. Folders with
  // headers are include folders. Unused functions and data are dropped.
  //
  // InvalidArgument: a path that is not plain; FailedPrecondition: the compiler refused, with the
  // first lines it said; ResourceExhausted: the linker says that the program does not fit.
  absl::StatusOr<std::filesystem::path> Build(std::span<const GeneratedFile> files,
                                              const std::filesystem::path& folder,
                                              const CompilerOptions& options = {}) const;

  // What the compiler says of itself, first line.
  const std::string& version() const { return version_; }
  // All that its output depends on: version, flags, names and contents of the bsp files.
  const std::string& identity() const { return identity_; }

 private:
  Compiler() = default;

  Toolchain toolchain_;
  std::string version_;
  std::string identity_;
  std::vector<GeneratedFile> bsp_files_;
};

// Writes generated files below `folder`. InvalidArgument for a path that could leave it or that is
// not made of letters, digits, '_', '-', '.' and '/'.
absl::Status WriteGeneratedFiles(std::span<const GeneratedFile> files,
                                 const std::filesystem::path& folder);

}  // namespace mico
