#pragma once

#include <string>
#include <vector>

#include "client/exit_code.h"

namespace mico {

// Runs one command, given without the program's name. Flags override MICO_SERVER and MICO_OUTPUT,
// these override the file of --config. `terminal`: standard output may be repainted.
ExitCode RunCommandLine(const std::vector<std::string>& arguments, bool terminal);

}  // namespace mico
