#include "worker/remedy.h"

#include <array>

#include "fmt/format.h"

namespace mico {
namespace {

struct Package {
  std::string_view program;  // a name, or the beginning of it
  std::string_view packages;
};

// Compilers come with the C library that the catalogue's targets link.
constexpr std::array<Package, 12> kPackages{{
    {"riscv64-unknown-elf-", "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf"},
    {"arm-none-eabi-", "gcc-arm-none-eabi libnewlib-arm-none-eabi"},
    {"avr-gcc", "gcc-avr avr-libc"},
    {"qemu-system-arm", "qemu-system-arm"},
    {"qemu-system-aarch64", "qemu-system-arm"},
    {"qemu-system-", "qemu-system-misc"},
    {"qemu-", "qemu-user"},
    {"cc", "gcc libc6-dev"},
    {"gcc", "gcc libc6-dev"},
    {"clang", "clang libc6-dev"},
    {"openocd", "openocd"},
    {"st-flash", "stlink-tools"},
}};

std::string_view PackagesOf(std::string_view program) {
  for (const Package& package : kPackages) {
    const bool is_family = package.program.ends_with('-');
    if (is_family ? program.starts_with(package.program) : program == package.program) {
      return package.packages;
    }
  }
  return "";
}

}  // namespace

std::string HowToInstall(std::string_view program) {
  const std::string_view packages = PackagesOf(program);
  if (!packages.empty()) return fmt::format("apt-get install {}", packages);
  if (program.find('/') != std::string_view::npos) return fmt::format("ls -l {}", program);
  return fmt::format("apt-get install {}   # or put its folder on the worker's PATH", program);
}

std::string HowToMendCompiler(std::string_view program, std::string_view said,
                              std::string_view target_file) {
  const auto says = [&said](std::string_view text) {
    return said.find(text) != std::string_view::npos;
  };
  if (says("unrecognized command-line option") || says("unknown argument") ||
      says("needed for isa")) {
    return fmt::format("edit {}   # toolchain.cc and cflags must suit the isa", target_file);
  }
  const bool lacks_library = says(".specs: No such file") || says("cannot find -l") ||
                             says("cannot find crt") || says(".h: No such file");
  const std::string_view packages = PackagesOf(program);
  if (lacks_library && !packages.empty()) return fmt::format("apt-get install {}", packages);
  return fmt::format("edit {}   # toolchain and bsp", target_file);
}

}  // namespace mico
