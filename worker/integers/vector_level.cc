#include "worker/integers/vector_level.h"

#include <algorithm>

namespace mico {
namespace {

VectorLevel Detect() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
    return __builtin_cpu_supports("avx512vnni") ? VectorLevel::kAvx512Vnni : VectorLevel::kAvx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return VectorLevel::kAvx2;
#endif
  return VectorLevel::kBase;
}

VectorLevel level_in_use = Detect();

}  // namespace

VectorLevel VectorLevelInUse() { return level_in_use; }

VectorLevel LimitVectorLevel(VectorLevel most) {
  level_in_use = std::min(Detect(), most);
  return level_in_use;
}

}  // namespace mico
