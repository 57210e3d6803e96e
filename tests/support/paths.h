#pragma once

namespace mico {

// The root of the repository and the build folder of this preset. Known to one small file, so that
// clones in different folders share the compiled rest.
extern const char* const kSourceFolder;
extern const char* const kBinaryFolder;

}  // namespace mico
