#pragma once

// How a function is compiled for an instruction set that the rest of the program may not use.
// Included by sources of this folder only.
#if defined(__x86_64__)
#include <immintrin.h>
#define MICO_AVX2 __attribute__((target("avx2,fma")))
#define MICO_AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")))
#define MICO_AVX512_VNNI \
  __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512vnni,avx2,fma")))
#endif
// Iterations of the next loop are independent.
#if defined(__clang__)
#define MICO_IVDEP _Pragma("clang loop vectorize(assume_safety)")
#else
#define MICO_IVDEP _Pragma("GCC ivdep")
#endif
#define MICO_INLINE inline __attribute__((always_inline))

#include "worker/integers/vector_level.h"

namespace mico {

#if defined(__x86_64__)
template <typename Loop>
MICO_AVX512 void RunAvx512(const Loop& loop) {
  loop();
}
template <typename Loop>
MICO_AVX2 void RunAvx2(const Loop& loop) {
  loop();
}
#endif

// Runs a loop whose operator() is MICO_INLINE, compiled for what is in use.
template <typename Loop>
void Dispatch(const Loop& loop) {
#if defined(__x86_64__)
  if (VectorLevelInUse() >= VectorLevel::kAvx512) return RunAvx512(loop);
  if (VectorLevelInUse() >= VectorLevel::kAvx2) return RunAvx2(loop);
#endif
  loop();
}

}  // namespace mico
