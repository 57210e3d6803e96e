set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 99)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
# Programs find nothing at run time by path into the build tree but their own libraries.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

option(MICO_WERROR "Warnings are errors" OFF)
set(MICO_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")
option(MICO_TORCH "Build mico-worker and what else needs libtorch" ON)
option(MICO_FUZZ "Build tests/fuzz (clang); the rest still runs, a little slower" OFF)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(MICO_CCACHE ccache)
if(MICO_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${MICO_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${MICO_CCACHE})
endif()

find_program(MICO_LLD ld.lld)
if(MICO_LLD)
  add_link_options(-fuse-ld=lld)
endif()

if(MICO_SANITIZE)
  add_compile_options(-fsanitize=${MICO_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${MICO_SANITIZE})
  # Line tables are all that a report needs; whole debug information doubles the time of a build.
  # Fuzzing lives of many runs a second; the tests with threads are short, so that not optimizing
  # them saves a quarter of the time that the stage takes.
  if(MICO_SANITIZE MATCHES thread)
    set(MICO_SANITIZE_OPTIMIZATION -O0)
  else()
    set(MICO_SANITIZE_OPTIMIZATION -O1)
  endif()
  set(CMAKE_C_FLAGS_DEBUG "${MICO_SANITIZE_OPTIMIZATION} -gline-tables-only")
  set(CMAKE_CXX_FLAGS_DEBUG "${MICO_SANITIZE_OPTIMIZATION} -gline-tables-only")
  # What AddressSanitizer cannot see: an index beyond size() but inside capacity(), an empty optional.
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
endif()
if(MICO_FUZZ AND NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  message(STATUS "libFuzzer comes with clang; found ${CMAKE_CXX_COMPILER_ID}: no fuzz targets")
  set(MICO_FUZZ OFF)
endif()
if(MICO_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Warnings apply to our own code only; mico_room adds them.
set(MICO_WARNINGS -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 warns inside its own std::string where two strings are joined (GCC bug 105651).
  list(APPEND MICO_WARNINGS -Wno-restrict)
endif()
if(MICO_WERROR)
  list(APPEND MICO_WARNINGS -Werror)
endif()
