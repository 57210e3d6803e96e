#include "worker/torch/runtime.h"

#include <malloc.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <string_view>
#include <thread>

namespace mico {
namespace {

// Set when this process has already replaced itself once.
constexpr char kGuard[] = "MICO_PROCESS_PREPARED";

bool SetIfDifferent(const char* name, const char* value) {
  const char* present = std::getenv(name);
  if (present != nullptr && std::string_view(present) == value) return false;
  setenv(name, value, /*overwrite=*/1);
  return true;
}

bool HasAvx512() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

// Freed activation buffers stay in the process: giving them back and faulting them in again costs
// more than the convolutions between.
void KeepFreedMemory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 256 << 20);
}

}  // namespace

void PrepareProcess(int argc, char** argv) {
  KeepFreedMemory();
  if (argc < 1 || std::getenv(kGuard) != nullptr) {
    unsetenv(kGuard);  // children that want it prepare themselves
    return;
  }
  bool changed = SetIfDifferent("OPENBLAS_NUM_THREADS", "1");
  changed |= SetIfDifferent("OMP_NUM_THREADS", "1");
  if (HasAvx512() && std::getenv("OPENBLAS_CORETYPE") == nullptr) {
    changed |= SetIfDifferent("OPENBLAS_CORETYPE", "SkylakeX");
  }
  if (!changed) return;
  setenv(kGuard, "1", /*overwrite=*/1);
  execv("/proc/self/exe", argv);
  // Where a process cannot replace itself it runs on, slower.
  unsetenv(kGuard);
}

int AvailableCores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) {
    return std::max(1, CPU_COUNT(&allowed));
  }
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace mico
