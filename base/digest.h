#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace mico {

// The SHA-256 of some bytes: the name of every immutable thing.
class Digest {
 public:
  Digest() = default;

  static Digest Of(std::string_view bytes);
  // Exactly 64 lower-case hexadecimal digits.
  static absl::StatusOr<Digest> FromHex(std::string_view hex);

  const std::string& hex() const { return hex_; }
  bool empty() const { return hex_.empty(); }
  // The first twelve digits, for people.
  std::string ShortHex() const { return hex_.substr(0, 12); }

  friend bool operator==(const Digest&, const Digest&) = default;
  friend auto operator<=>(const Digest&, const Digest&) = default;
  template <typename H>
  friend H AbslHashValue(H state, const Digest& digest) {
    return H::combine(std::move(state), digest.hex_);
  }

 private:
  std::string hex_;
};

// A digest over bytes that arrive in pieces. Not thread-safe.
class DigestBuilder {
 public:
  DigestBuilder();
  ~DigestBuilder();
  DigestBuilder(DigestBuilder&&) noexcept;
  DigestBuilder& operator=(DigestBuilder&&) noexcept;

  void Update(std::string_view bytes);
  // May be called once.
  Digest Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mico
