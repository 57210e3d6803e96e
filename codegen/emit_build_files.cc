#include "codegen/c_text.h"
#include "codegen/emitters.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "nlohmann/json.hpp"

namespace mico {
namespace {

// What the library is made of, in the artifact's folder.
std::vector<std::string> LibrarySources(const Emission& emission) {
  std::vector<std::string> sources{"mico_model.c", "weights.c"};
  if (emission.info.input_is_uint8) sources.push_back("mico_model_prepare.c");
  for (const KernelInstance& kernel : emission.program.Kernels()) {
    sources.push_back(fmt::format("kernels/{}.c", kernel.name));
  }
  return sources;
}

constexpr std::string_view kMakefile = R"(
# make            the library
# make selftest   builds the self-test for this machine and runs it
# make selftest.elf CC=... CFLAGS="..." LDFLAGS="..." BSP=folder
#                 for a board: the folder has mico_bsp.h, mico_bsp.c, start-up code, link.ld
CC ?= cc
AR ?= ar
CFLAGS ?= -O2
BSP ?= selftest/host
STRICT = -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -ffunction-sections -fdata-sections

OBJECTS = $(SOURCES:.c=.o)
SELFTEST = selftest/main.c selftest/vectors.c selftest/mico_protocol.c
BOARD = $(wildcard $(BSP)/*.c) $(wildcard $(BSP)/*.S)
SCRIPT = $(wildcard $(BSP)/link.ld)

libmico_model.a: $(OBJECTS)
	$(AR) rcs $@ $(OBJECTS)

%.o: %.c
	$(CC) $(CFLAGS) $(STRICT) -I. -c $< -o $@

selftest.elf: $(SOURCES) $(SELFTEST) $(BOARD)
	$(CC) $(CFLAGS) $(STRICT) -I. -Iselftest -I$(BSP) $^ $(LDFLAGS) $(SCRIPT:%=-T%) -Wl,--gc-sections -o $@

selftest: selftest.elf
	./selftest.elf

clean:
	rm -f $(OBJECTS) libmico_model.a selftest.elf

.PHONY: selftest clean
)";

constexpr std::string_view kCMakeEnd = R"()
target_include_directories(mico_model PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
set_target_properties(mico_model PROPERTIES C_STANDARD 99 C_STANDARD_REQUIRED ON)

option(MICO_MODEL_SELFTEST "Build the self-test for this machine" ${PROJECT_IS_TOP_LEVEL})
if(MICO_MODEL_SELFTEST)
  add_executable(mico_model_selftest selftest/main.c selftest/vectors.c selftest/mico_protocol.c
                                     selftest/host/mico_bsp.c)
  target_include_directories(mico_model_selftest PRIVATE selftest selftest/host)
  target_link_libraries(mico_model_selftest PRIVATE mico_model)
  enable_testing()
  add_test(NAME mico_model_selftest COMMAND mico_model_selftest)
endif()
)";

GeneratedFile EmitMakefile(const std::vector<std::string>& sources) {
  return {"Makefile",
          fmt::format("SOURCES = {}\n", fmt::join(sources, " \\\n  ")) + std::string(kMakefile)};
}

GeneratedFile EmitCMake(const std::vector<std::string>& sources) {
  return {"CMakeLists.txt",
          "cmake_minimum_required(VERSION 3.21)\nproject(mico_model LANGUAGES C)\n\n"
          "add_library(mico_model STATIC\n" +
              fmt::format("  {}\n", fmt::join(sources, "\n  ")) + std::string(kCMakeEnd)};
}

GeneratedFile EmitPlatformIo(const Emission& emission, const std::vector<std::string>& sources) {
  nlohmann::ordered_json filter = nlohmann::ordered_json::array();
  for (const std::string& source : sources) filter.push_back(fmt::format("+<{}>", source));
  const nlohmann::ordered_json library = {
      {"name", "mico_model"},
      {"version", "1.0.0"},
      {"description", fmt::format("Quantized network {}", PlainText(emission.info.model_name))},
      {"frameworks", "*"},
      {"platforms", "*"},
      {"build", {{"srcDir", "."}, {"includeDir", "."}, {"srcFilter", filter}}}};
  return {"library.json", library.dump(2) + "\n"};
}

GeneratedFile EmitZephyrModule() {
  return {"zephyr/module.yml", "name: mico_model\nbuild:\n  cmake: zephyr\n"};
}

GeneratedFile EmitZephyrCMake(const std::vector<std::string>& sources) {
  std::vector<std::string> paths;
  for (const std::string& source : sources) {
    paths.push_back("  ${CMAKE_CURRENT_SOURCE_DIR}/../" + source);
  }
  return {"zephyr/CMakeLists.txt",
          fmt::format("zephyr_include_directories(${{CMAKE_CURRENT_SOURCE_DIR}}/..)\n"
                      "zephyr_library_named(mico_model)\nzephyr_library_sources(\n{}\n)\n",
                      fmt::join(paths, "\n"))};
}

}  // namespace

std::vector<GeneratedFile> EmitBuildFiles(const Emission& emission) {
  const std::vector<std::string> sources = LibrarySources(emission);
  return {EmitMakefile(sources), EmitCMake(sources), EmitPlatformIo(emission, sources),
          EmitZephyrModule(), EmitZephyrCMake(sources)};
}

}  // namespace mico
