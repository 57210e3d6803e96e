// mico-cli: reads options, calls one verb.
#include <string>
#include <vector>

#include "client/command_line.h"
#include "client/interrupt.h"
#include "client/output.h"
#include "client/terminal.h"

int main(int argc, char** argv) {
  mico::ExitOnInterrupt();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const mico::ExitCode code = mico::RunCommandLine(arguments, mico::StdoutIsTerminal());
  const absl::Status written = mico::FinishOutput();
  if (!written.ok()) return static_cast<int>(mico::Fail(written));
  return static_cast<int>(code);
}
