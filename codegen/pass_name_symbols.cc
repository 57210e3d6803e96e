#include <set>

#include "absl/strings/ascii.h"
#include "codegen/program.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr size_t kLongestStem = 40;

// The step's name as a part of a C identifier, in lower case, cut where it is long.
std::string Stem(const std::string& name) {
  std::string stem;
  for (const char c : name.substr(0, kLongestStem)) {
    stem += absl::ascii_isalnum(static_cast<unsigned char>(c)) ? absl::ascii_tolower(c) : '_';
  }
  return stem;
}

}  // namespace

absl::Status NameSymbols(Program& program) {
  std::set<std::string> taken;
  for (size_t i = 0; i < program.steps.size(); ++i) {
    // Names that end alike once they are identifiers get their step's number.
    std::string symbol = fmt::format("{}_{}", program.prefix, Stem(program.step(i).name));
    if (!taken.insert(symbol).second) {
      symbol += fmt::format("_step{}", i);
      taken.insert(symbol);
    }
    program.steps[i].symbol = std::move(symbol);
  }
  return absl::OkStatus();
}

}  // namespace mico
