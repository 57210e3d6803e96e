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

// Who works: threads, and the samples that each takes at a time.
struct Crew {
  int threads = 1;
  int64_t batch_size = 1;
};

// Cuts `samples` into batches and gives them to the crew's threads, the caller's among them, each
// with libtorch confined to it. `work` is called from all of them at once.
// The first error ends the call; an exception counts as Internal, std::bad_alloc as
// ResourceExhausted. `keep_going` is asked on the
// caller's thread with the share that is done; false ends the call with Cancelled.
absl::Status ForEachBatch(const Crew& crew, int64_t samples,
                          const std::function<absl::Status(Batch)>& work,
                          const std::function<bool(double)>& keep_going);

// The part of a longer piece of work that lies between two shares, as progress of the whole.
// `keep_going` must outlive it.
std::function<bool(double)> Part(const std::function<bool(double)>& keep_going, double from,
                                 double to);

}  // namespace mico
