#include "base/yaml.h"

#include <sstream>
#include <string>

#include "fmt/format.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/parser.h"

namespace mico {
namespace {

constexpr int kMostLevels = 32;
constexpr int kMostValues = 10'000;
// The scanner looks far ahead: a file of nothing but brackets costs the square of its size.
constexpr size_t kMostBytes = size_t{128} * 1024;

// Follows the parser through the document, before anything is built of it; throws what the parser
// itself throws of bad text, which is the only way to stop it.
class Watch : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) Refuse(mark, "a second document; needed: one");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { Count(mark, anchor); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Refuse(mark, "an alias (*); needed: every value written out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                const std::string&) override {
    Count(mark, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Enter(mark, anchor);
  }
  void OnSequenceEnd() override { --levels_; }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Enter(mark, anchor);
  }
  void OnMapEnd() override { --levels_; }

 private:
  [[noreturn]] static void Refuse(const YAML::Mark& mark, const std::string& what) {
    throw YAML::ParserException(mark, what);
  }

  void Count(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) Refuse(mark, "an anchor (&); needed: every value written out");
    if (++values_ > kMostValues) Refuse(mark, fmt::format("more than {} values", kMostValues));
  }

  void Enter(const YAML::Mark& mark, YAML::anchor_t anchor) {
    Count(mark, anchor);
    if (++levels_ > kMostLevels) {
      Refuse(mark, fmt::format("more than {} levels of lists and maps", kMostLevels));
    }
  }

  int documents_ = 0, levels_ = 0, values_ = 0;
};

}  // namespace

absl::Status CheckYaml(std::string_view text) {
  if (text.size() > kMostBytes) {
    return absl::InvalidArgumentError(
        fmt::format("{} bytes of YAML; needed: at most {}", text.size(), kMostBytes));
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Watch watch;
    while (parser.HandleNextDocument(watch)) {
    }
    return absl::OkStatus();
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(fmt::format("line {}: {}", error.mark.line + 1, error.msg));
  }
}

}  // namespace mico
