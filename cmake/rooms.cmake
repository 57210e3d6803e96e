# mico_room(name SOURCES a.cc ... DEPENDS other libraries [PRIVATE_DEPENDS ...])
# One room is one library, mico::<name>, with its sources listed by hand.
# The one place of the version: mico --version, artifacts, workers.
add_compile_definitions(MICO_VERSION="${PROJECT_VERSION}")

function(mico_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  add_library(mico_${name} STATIC ${ROOM_SOURCES})
  add_library(mico::${name} ALIAS mico_${name})
  target_include_directories(mico_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(mico_${name} PUBLIC ${ROOM_DEPENDS} PRIVATE ${ROOM_PRIVATE_DEPENDS})
  target_compile_options(mico_${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${MICO_WARNINGS}>)
endfunction()

# mico_program(name SOURCES ... DEPENDS ...): an executable in build/<preset>/bin.
function(mico_program name)
  cmake_parse_arguments(PROGRAM "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${PROGRAM_SOURCES})
  target_link_libraries(${name} PRIVATE ${PROGRAM_DEPENDS})
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${MICO_WARNINGS}>)
endfunction()

# mico_test(name SOURCES ... DEPENDS ... [LABEL tier] [TIMEOUT s] [THREADS]): a GoogleTest program,
# one ctest entry. Test programs go to build/<preset>/tests so that bin/ holds only what people run.
# THREADS: our own code runs in several threads there, so that ThreadSanitizer has something to see.
# The target <tier>_tests builds the programs of a tier, threads_tests those with threads.
function(mico_test name)
  cmake_parse_arguments(TEST "THREADS" "LABEL;TIMEOUT" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${TEST_DEPENDS} mico_test_paths GTest::gmock
                                        GTest::gtest_main)
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${MICO_WARNINGS}>)
  if(MICO_SANITIZE)
    # Optimizing the tests themselves costs more time than it saves.
    target_compile_options(${name} PRIVATE -O0)
  endif()
  if(MICO_SANITIZE MATCHES thread)
    if(NOT TARGET mico_tsan_mutex)
      add_library(mico_tsan_mutex OBJECT ${PROJECT_SOURCE_DIR}/tests/support/tsan_mutex.cc)
      target_link_libraries(mico_tsan_mutex PUBLIC absl::synchronization fmt::fmt ${CMAKE_DL_LIBS})
    endif()
    target_link_libraries(${name} PRIVATE mico_tsan_mutex)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  if(NOT TEST_LABEL)
    set(TEST_LABEL unit)
  endif()
  if(TEST_THREADS)
    list(APPEND TEST_LABEL threads)
  endif()
  foreach(label ${TEST_LABEL})
    if(NOT TARGET ${label}_tests)
      add_custom_target(${label}_tests)
    endif()
    add_dependencies(${label}_tests ${name})
  endforeach()
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 300)
  endif()
  if(MICO_SANITIZE)
    math(EXPR TEST_TIMEOUT "4 * ${TEST_TIMEOUT}")
  endif()
  set_tests_properties(${name} PROPERTIES
    LABELS "${TEST_LABEL}" TIMEOUT ${TEST_TIMEOUT}
    # gRPC and SQLite are not instrumented: what they do under their own locks looks like races.
    ENVIRONMENT "TSAN_OPTIONS=ignore_noninstrumented_modules=1")
endfunction()
