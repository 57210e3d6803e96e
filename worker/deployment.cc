#include "worker/deployment.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "fmt/format.h"

namespace mico {
namespace {

std::string Words(int64_t bytes) {
  return fmt::format("{}", std::max<int64_t>(1, (bytes + 3) / 4));
}

bool BelongsToTheNetwork(const GeneratedFile& file) {
  const bool is_code =
      file.path.ends_with(".c") || file.path.ends_with(".h") || file.path.ends_with(".inc");
  return is_code && !file.path.starts_with("selftest/");
}

constexpr std::string_view kEmptyMain = R"(#include "mico_bsp.h"

int main(void) {
  mico_bsp_init();
  mico_bsp_putc((char)mico_bsp_cycles());
  mico_bsp_exit(0);
  return 0;
}
)";

constexpr std::string_view kDeployedMain = R"(#include "mico_bsp.h"
#include "mico_model.h"

static uint32_t input[{}];
static uint32_t output[{}];
static uint32_t arena[{}];

int main(void) {{
  mico_bsp_init();
  mico_bsp_putc((char)mico_bsp_cycles());
  const int status = mico_model_run(input, output, arena);
  mico_bsp_putc((char)output[0]);
  mico_bsp_exit(status);
  return 0;
}}
)";

}  // namespace

std::vector<GeneratedFile> DeployedProgram(std::span<const GeneratedFile> project,
                                           const ProgramPlan& plan) {
  std::vector<GeneratedFile> files;
  std::copy_if(project.begin(), project.end(), std::back_inserter(files), BelongsToTheNetwork);
  files.push_back(
      {"deployed_main.c", fmt::format(kDeployedMain, Words(plan.input_bytes),
                                      Words(plan.output_bytes), Words(plan.arena_bytes))});
  return files;
}

std::vector<GeneratedFile> EmptyProgram() { return {{"empty_main.c", std::string(kEmptyMain)}}; }

}  // namespace mico
