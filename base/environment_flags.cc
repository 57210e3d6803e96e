#include "base/environment_flags.h"

#include <cstdlib>

namespace mico {

std::vector<std::string> WithEnvironment(std::span<const EnvironmentFlag> flags,
                                         const std::vector<std::string>& arguments) {
  std::vector<std::string> all;
  for (const EnvironmentFlag& flag : flags) {
    const char* value = std::getenv(flag.variable);
    if (value != nullptr && *value != '\0') all.push_back(std::string(flag.flag) + "=" + value);
  }
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

}  // namespace mico
