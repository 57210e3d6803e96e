#include "base/logging.h"

#include <memory>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "nlohmann/json.hpp"
#include "spdlog/pattern_formatter.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace mico {
namespace {

// The message as a JSON string, whatever is in it.
class JsonMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& destination) override {
    const std::string text(message.payload.data(), message.payload.size());
    const std::string quoted =
        nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    destination.append(quoted.data(), quoted.data() + quoted.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessage>();
  }
};

// The message for people: nothing in it repaints a terminal, and its further lines are indented, so
// that none of them looks like a line of the log.
class TextMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& destination) override {
    const std::string_view payload(message.payload.data(), message.payload.size());
    for (const char c : Printable(payload)) {
      destination.push_back(c);
      if (c == '\n') destination.append(kIndent.data(), kIndent.data() + kIndent.size());
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<TextMessage>();
  }

 private:
  static constexpr std::string_view kIndent = "    ";
};

}  // namespace

void LogToStandardError(const std::string& format) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<JsonMessage>('*');
  formatter->add_flag<TextMessage>('_');
  formatter->set_pattern(format == "json"
                             ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":%*})"
                             : "%Y-%m-%d %H:%M:%S.%e %l %_");
  spdlog::set_default_logger(spdlog::stderr_logger_mt("mico"));
  spdlog::set_formatter(std::move(formatter));
}

}  // namespace mico
