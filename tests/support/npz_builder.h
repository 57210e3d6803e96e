#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mico {

// The bytes of an .npy file (version 1.0) with any header text and any body.
std::string NpyBytes(std::string_view header, std::string_view body);

// The bytes of a zip file with these entries, in this order.
std::string ZipBytes(const std::vector<std::pair<std::string, std::string>>& entries);

// Builds .npz files, for tests:
//   NpzBuilder().Add<uint8_t>("x_train", "|u1", {2, 1, 1, 1}, {0, 255}) ... .Build()
class NpzBuilder {
 public:
  template <typename T>
  NpzBuilder& Add(const std::string& name, std::string_view descr,
                  const std::vector<int64_t>& shape, const std::vector<T>& values) {
    std::string body(values.size() * sizeof(T), '\0');
    if (!values.empty()) std::memcpy(body.data(), values.data(), body.size());
    return AddRaw(name, descr, shape, body);
  }
  NpzBuilder& AddRaw(const std::string& name, std::string_view descr,
                     const std::vector<int64_t>& shape, std::string_view body);
  // An array whose .npy bytes are given.
  NpzBuilder& AddFile(const std::string& name, std::string npy);
  NpzBuilder& Remove(const std::string& name);

  std::string Build() const { return ZipBytes(entries_); }

 private:
  std::vector<std::pair<std::string, std::string>> entries_;
};

}  // namespace mico
