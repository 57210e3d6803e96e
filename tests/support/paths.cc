#include "tests/support/paths.h"

namespace mico {

const char* const kSourceFolder = MICO_SOURCE_DIR;
const char* const kBinaryFolder = MICO_BINARY_DIR;

}  // namespace mico
