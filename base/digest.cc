#include "base/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "absl/status/status.h"
#include "fmt/format.h"

namespace mico {

struct DigestBuilder::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

DigestBuilder::DigestBuilder() : state_(std::make_unique<State>()) {
  EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr);
}
DigestBuilder::~DigestBuilder() = default;
DigestBuilder::DigestBuilder(DigestBuilder&&) noexcept = default;
DigestBuilder& DigestBuilder::operator=(DigestBuilder&&) noexcept = default;

void DigestBuilder::Update(std::string_view bytes) {
  EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
}

Digest DigestBuilder::Finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw;
  unsigned int length = 0;
  EVP_DigestFinal_ex(state_->context, raw.data(), &length);
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) hex += fmt::format("{:02x}", raw[i]);
  return Digest::FromHex(hex).value();
}

Digest Digest::Of(std::string_view bytes) {
  DigestBuilder builder;
  builder.Update(bytes);
  return builder.Finish();
}

absl::StatusOr<Digest> Digest::FromHex(std::string_view hex) {
  const bool all_hex = std::all_of(hex.begin(), hex.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  if (hex.size() != 64 || !all_hex) {
    return absl::InvalidArgumentError(
        fmt::format("digest: {} characters; needed: 64 lower-case hexadecimal digits", hex.size()));
  }
  Digest digest;
  digest.hex_ = std::string(hex);
  return digest;
}

}  // namespace mico
