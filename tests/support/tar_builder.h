#pragma once

#include <string>
#include <string_view>

#include "fmt/format.h"

namespace mico {

// Writes tar archives (POSIX ustar) field by field, so that a test can lie in any of them.
class TarBuilder {
 public:
  TarBuilder& Add(std::string_view name, std::string_view content) {
    AddHeader(name, '0', content.size(), "");
    bytes_ += content;
    bytes_.resize((bytes_.size() + 511) / 512 * 512, '\0');
    return *this;
  }
  // `type`: '1' hard link, '2' symbolic link, '3' device, '5' folder.
  TarBuilder& AddSpecial(std::string_view name, char type, std::string_view link = "") {
    return AddHeader(name, type, 0, link);
  }
  TarBuilder& AddHeader(std::string_view name, char type, size_t size, std::string_view link) {
    std::string header(512, '\0');
    header.replace(0, name.size(), name);
    header.replace(100, 7, "0000644");
    header.replace(108, 7, "0000000");
    header.replace(116, 7, "0000000");
    header.replace(124, 11, fmt::format("{:011o}", size));
    header.replace(136, 11, "00000000000");
    header.replace(148, 8, "        ");
    header[156] = type;
    header.replace(157, link.size(), link);
    header.replace(257, 8, std::string_view("ustar\00000", 8));
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    header.replace(148, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
    bytes_ += header;
    return *this;
  }
  std::string Build() const { return bytes_ + std::string(1024, '\0'); }

 private:
  std::string bytes_;
};

}  // namespace mico
