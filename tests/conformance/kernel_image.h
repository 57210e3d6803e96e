#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/conformance/kernel_case.h"

namespace mico::conformance {

// Where kernels run in tests and benchmarks: a compiler and what starts its programs.
struct Machine {
  std::string name;
  std::vector<std::string> compiler;  // with its flags
  std::vector<std::string> linker_flags;
  std::string bsp;               // folder below target/catalogue/bsp
  std::vector<std::string> run;  // the program follows
};
Machine Host();
Machine HostWithSanitizers();
Machine Rv32();
Machine CortexM4();

// A program that calls kernels: every case once, between two readings of the counter, its output
// hashed on the machine and compared with the oracle's there.
struct ImageResult {
  std::string output;  // all that it printed
  int exit_code = -1;
  int cases = 0;
  int failed = 0;
  std::vector<uint64_t> counts;  // parallel to the cases: mico_bsp_cycles between call and return
};

// The source of such a program, one file.
std::string ImageSource(const std::vector<KernelCase>& cases);

// Writes, compiles (all warnings are errors) and runs it in `folder`. Internal with the compiler's
// words if it does not compile.
absl::StatusOr<ImageResult> RunImage(const std::vector<KernelCase>& cases, const Machine& machine,
                                     const std::filesystem::path& folder,
                                     const std::string& optimization = "-O2");

// The same with a source of the caller's.
absl::StatusOr<ImageResult> RunSource(const std::string& source, const Machine& machine,
                                      const std::filesystem::path& folder,
                                      const std::string& optimization = "-O2");

}  // namespace mico::conformance
