#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace mico {

// A function or object that is in the program.
struct ElfSymbol {
  std::string name;
  std::string section;  // ".text", ".rodata", ...
  // The source file of a symbol that only its own file sees ("mico_add.c"); empty for all others.
  std::string file;
  int64_t size_bytes = 0;
  bool is_function = false;
};

// What a program or an object file takes up.
struct ElfContent {
  // Whose machine code it is: "RISC-V, 32 bits", "Arm, 32 bits", "x86-64, 64 bits", or "machine 42,
  // 32 bits" where the number is not one of these.
  std::string machine;
  // Code, constants and initial values: everything loaded that has bytes in the file.
  int64_t flash_bytes = 0;
  // Writable: initialised and zeroed. No stack, no heap.
  int64_t ram_bytes = 0;
  // Constants without code (a part of flash_bytes).
  int64_t constant_bytes = 0;
  std::vector<ElfSymbol> symbols;  // sorted by name
};

// Reads a program or an object file. InvalidArgument if it is no ELF file.
absl::StatusOr<ElfContent> ReadElf(const std::filesystem::path& path);

}  // namespace mico
