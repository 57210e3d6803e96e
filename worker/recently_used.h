#pragma once

#include <list>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "base/digest.h"

namespace mico {

// The last few parsed things by the digest of their bytes, so that a search does not parse the same
// data set for every task. Not thread-safe.
template <typename T>
class RecentlyUsed {
 public:
  explicit RecentlyUsed(size_t most) : most_(most) {}

  // The thing of this digest: kept, or made by `make`, a function that gives absl::StatusOr<T>.
  template <typename Make>
  absl::StatusOr<std::shared_ptr<const T>> Get(const Digest& digest, const Make& make) {
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->first != digest) continue;
      entries_.splice(entries_.begin(), entries_, entry);
      return entry->second;
    }
    absl::StatusOr<T> made = make();
    if (!made.ok()) return made.status();
    entries_.emplace_front(digest, std::make_shared<const T>(*std::move(made)));
    if (entries_.size() > most_) entries_.pop_back();
    return entries_.front().second;
  }

 private:
  const size_t most_;
  std::list<std::pair<Digest, std::shared_ptr<const T>>> entries_;
};

}  // namespace mico
