// The table of CONTRIBUTING.md, "Who may include whom", enforced on every source file.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "tests/support/paths.h"

namespace mico {
namespace {

using Rooms = std::set<std::string>;

const std::map<std::string, Rooms>& AllowedIncludes() {
  static const std::map<std::string, Rooms> allowed{
      {"base", {}},
      {"model", {"base"}},
      {"data", {"base", "model"}},
      {"quant", {"base", "model"}},
      {"target", {"base", "model", "quant"}},
      {"search", {"base", "model", "quant", "target"}},
      {"codegen", {"base", "model", "data", "quant", "target"}},
      {"proto", {"base", "model", "data", "quant", "target", "search"}},
      {"db", {"base", "model", "data", "quant", "target", "search"}},
      {"server", {"base", "model", "data", "quant", "target", "search", "codegen", "proto", "db"}},
      {"worker", {"base", "model", "data", "quant", "target", "codegen", "proto"}},
      {"client", {"base", "proto"}},
  };
  return allowed;
}

bool IsSource(const std::filesystem::path& path) {
  return path.extension() == ".h" || path.extension() == ".cc";
}

std::vector<std::filesystem::path> SourcesOf(const std::string& room) {
  std::vector<std::filesystem::path> sources;
  const std::filesystem::path root = std::filesystem::path(kSourceFolder) / room;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.is_regular_file() && IsSource(entry.path())) sources.push_back(entry.path());
  }
  return sources;
}

std::vector<std::string> QuotedIncludes(const std::filesystem::path& path) {
  static const std::regex pattern("^\\s*#\\s*include\\s*\"([^\"]+)\"");
  std::ifstream file(path);
  std::vector<std::string> includes;
  for (std::string line; std::getline(file, line);) {
    std::smatch match;
    if (std::regex_search(line, match, pattern)) includes.push_back(match[1]);
  }
  return includes;
}

// The room that an include path begins with, or empty for a library's header.
std::string RoomOf(const std::string& include) {
  const std::string first = include.substr(0, include.find('/'));
  return AllowedIncludes().contains(first) ? first : "";
}

std::vector<std::string> Violations(const std::string& room, const Rooms& allowed) {
  std::vector<std::string> violations;
  for (const auto& source : SourcesOf(room)) {
    for (const std::string& include : QuotedIncludes(source)) {
      const std::string included = RoomOf(include);
      if (included.empty() || included == room || allowed.contains(included)) continue;
      violations.push_back(fmt::format("{} includes {}", source.string(), include));
    }
  }
  return violations;
}

class IncludeTableTest : public testing::TestWithParam<std::string> {};

TEST_P(IncludeTableTest, RoomIncludesOnlyWhatTheTableAllows) {
  const std::string room = GetParam();
  ASSERT_FALSE(SourcesOf(room).empty()) << "the room has sources";
  for (const std::string& violation : Violations(room, AllowedIncludes().at(room))) {
    ADD_FAILURE() << violation;
  }
}

std::vector<std::string> RoomNames() {
  std::vector<std::string> names;
  for (const auto& [room, allowed] : AllowedIncludes()) names.push_back(room);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Rooms, IncludeTableTest, testing::ValuesIn(RoomNames()),
                         [](const auto& info) { return info.param; });

TEST(IncludeTableTest, OnlyTheTorchEvaluatorSeesLibtorch) {
  for (const auto& [room, allowed] : AllowedIncludes()) {
    for (const auto& source : SourcesOf(room)) {
      if (source.string().find("/worker/torch/") != std::string::npos) continue;
      std::ifstream file(source);
      for (std::string line; std::getline(file, line);) {
        const bool torch =
            line.starts_with("#include") &&
            (line.find("torch/torch.h") != std::string::npos ||
             line.find("<ATen/") != std::string::npos ||
             line.find("<torch/") != std::string::npos || line.find("<c10/") != std::string::npos);
        EXPECT_FALSE(torch) << source << ": " << line;
      }
    }
  }
}

TEST(IncludeTableTest, TheTableFindsAViolation) {
  // A room that may include nothing: everything that quant includes from elsewhere is a violation.
  EXPECT_FALSE(Violations("quant", {}).empty());
}

}  // namespace
}  // namespace mico
