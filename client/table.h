#pragma once

#include <string>
#include <vector>

#include "client/options.h"

namespace mico {

// Columns aligned for reading, or comma-separated with quotes where needed (RFC 4180, lines end in
// a bare newline). Every cell is made printable and one line first, whoever wrote it.
class Table {
 public:
  explicit Table(std::vector<std::string> header) { Add(std::move(header)); }
  // As many cells as the header has.
  void Add(std::vector<std::string> row);
  std::string ToText() const;
  std::string ToCsv() const;
  std::string Render(OutputFormat format) const {
    return format == OutputFormat::kCsv ? ToCsv() : ToText();
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace mico
