// docs/torchscript.md says what is followed: its table is read here.

#include <set>
#include <sstream>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/script_operators.h"
#include "tests/support/paths.h"

namespace mico {
namespace {

std::multiset<std::string> Documented() {
  const auto text = ReadFile(std::string(kSourceFolder) + "/docs/torchscript.md");
  EXPECT_TRUE(text.ok()) << text.status();
  std::multiset<std::string> kinds;
  std::istringstream lines(text.value_or(""));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| aten::") && !line.starts_with("| prim::")) continue;
    std::istringstream names(line.substr(2, line.find(" | ") - 2));
    for (std::string name; std::getline(names, name, ',');) {
      kinds.insert(name.substr(name.find_first_not_of(' ')));
    }
  }
  return kinds;
}

TEST(TorchScriptDocument, ItsTableIsWhatIsSupported) {
  std::multiset<std::string> supported;
  for (const std::string_view kind : ScriptOperatorKinds()) supported.emplace(kind);
  EXPECT_EQ(Documented(), supported);
}

TEST(TorchScriptDocument, OperatorsInPlaceAreFoundUnderThePlainName) {
  EXPECT_EQ(FindScriptOperator("aten::relu_"), FindScriptOperator("aten::relu"));
  EXPECT_NE(FindScriptOperator("aten::__not__"), nullptr);
  EXPECT_EQ(FindScriptOperator("aten::sigmoid_"), nullptr);
}

}  // namespace
}  // namespace mico
