#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"

namespace mico {

// Samples [first, first + count) of those that are wanted.
struct Batch {
  int64_t first = 0;
  int64_t count = 0;
};

// Cuts `samples` into batches and gives them to `threads` threads, the caller's among them, each
// with libtorch confined to it. `work` is called from all of them at once.
// The first error ends the call, an exception counts as Internal. `keep_going` is asked on the
// caller's thread with the share that is done; false ends the call with Cancelled.
absl::Status ForEachBatch(int threads, int64_t samples, int64_t batch_size,
                          const std::function<absl::Status(Batch)>& work,
                          const std::function<bool(double)>& keep_going);

}  // namespace mico
