#pragma once

#include <span>
#include <string>
#include <vector>

namespace mico {

// An environment variable that stands for a flag.
struct EnvironmentFlag {
  const char* flag;      // "--listen"
  const char* variable;  // "MICO_LISTEN"
};

// The variables that are set and not empty, as "--flag=value", in front of `arguments`. CLI11 would
// let a file override the environment; as flags before all others the variables rank where they
// should: the last flag wins, and a file only fills what no flag has set.
std::vector<std::string> WithEnvironment(std::span<const EnvironmentFlag> flags,
                                         const std::vector<std::string>& arguments);

}  // namespace mico
