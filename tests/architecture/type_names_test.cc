// A type's name is its own: two types of one name in one namespace make programs that link both
// undefined, and nothing says so.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <string>

#include "tests/support/paths.h"

namespace mico {
namespace {

// Types that headers define for all who include them, and where.
std::map<std::string, std::string> DefinitionsIn(const std::filesystem::path& header) {
  static const std::regex pattern(
      "^(struct|class|enum class) ([A-Za-z0-9_]+)( final)?( :[^;]*)? \\{.*");
  std::ifstream file(header);
  std::map<std::string, std::string> definitions;
  for (std::string line; std::getline(file, line);) {
    std::smatch match;
    if (std::regex_match(line, match, pattern)) definitions[match[2]] = header.string();
  }
  return definitions;
}

TEST(TypeNamesTest, EveryTypeOfAHeaderHasItsNameForItself) {
  std::map<std::string, std::string> known;
  for (const char* room : {"base", "model", "data", "quant", "target", "search", "codegen", "proto",
                           "db", "server", "worker", "client", "tests"}) {
    const auto folder = std::filesystem::path(kSourceFolder) / room;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (entry.path().extension() != ".h") continue;
      for (const auto& [name, header] : DefinitionsIn(entry.path())) {
        const auto [place, is_new] = known.emplace(name, header);
        EXPECT_TRUE(is_new) << name << " is defined in " << place->second << " and in " << header;
      }
    }
  }
  EXPECT_GT(known.size(), 300u);
}

}  // namespace
}  // namespace mico
