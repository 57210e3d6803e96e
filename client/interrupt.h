#pragma once

#include <string_view>

namespace mico {

// From now on Ctrl-C ends the process at once with exit code 130. There is nothing to put in order:
// jobs live in the server.
void ExitOnInterrupt();

// What Ctrl-C says on its way out, from now on; cut after 255 bytes.
void SayOnInterrupt(std::string_view text);

}  // namespace mico
