#pragma once

#include <string>
#include <string_view>

namespace mico {

// The command that installs a program on Debian, or what to do where no package is known for it.
std::string HowToInstall(std::string_view program);

// What mends a compiler that fails: `said` is its error, `target_file` the file that names it.
std::string HowToMendCompiler(std::string_view program, std::string_view said,
                              std::string_view target_file);

}  // namespace mico
