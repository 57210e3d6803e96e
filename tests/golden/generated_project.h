#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "codegen/generate_c.h"
#include "quant/quantized_model.h"
#include "target/target.h"

// Generated projects on disk: written, compiled with real compilers, run on this machine or under
// an emulator.
namespace mico::golden {

// One of target/catalogue.
TargetFile CatalogueTarget(const std::string& name);

struct CommandResult {
  int exit_code = 0;
  std::string output;  // stdout and stderr
};
CommandResult RunCommand(const std::string& command);

class GeneratedProject {
 public:
  explicit GeneratedProject(const std::vector<GeneratedFile>& files);

  std::string Path(const std::string& file) const { return folder_.path().string() + "/" + file; }
  void Write(const std::string& file, std::string_view content);

  // Every .c file below the project but those of other boards, with the target's compiler, flags
  // and bsp, warnings being errors. Fails the test with the compiler's words.
  void BuildFor(const TargetFile& target, const std::string& extra_flags = "");
  // The same with another compiler, for this machine.
  void BuildOnHost(const std::string& compiler, const std::string& flags);
  // Runs what was built last.
  CommandResult RunOn(const TargetFile& target);

  // One file of the project to an object, for looking into it; the object's path.
  std::string CompileOne(const TargetFile& target, const std::string& file);

 private:
  void Build(const std::string& compiler, const std::string& flags, const std::string& bsp);

  TemporaryFolder folder_;
  std::vector<std::string> sources_;
};

// Lines of the protocol, without prefix and checksum; fails the test if a checksum is wrong.
std::vector<std::string> ProtocolLines(const std::string& output);

// Self-tests from the oracle and everything else that an artifact says about itself.
ArtifactInfo DescribeForTest(const QuantizedModel& model, const std::string& scheme, int cases);

}  // namespace mico::golden
