#pragma once

#include <filesystem>
#include <string_view>

namespace mico::fuzz {

// A folder of this process in memory (/dev/shm where there is one), gone when it ends.
const std::filesystem::path& ScratchFolder();

void WriteScratch(const std::filesystem::path& path, std::string_view content);

}  // namespace mico::fuzz
