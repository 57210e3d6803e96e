# cmake -DOUTPUT=a.cc -DROOTS=dir;dir -DFILES=file;file -P embed_files.cmake
# Writes a C++ file that holds the files' contents, named by their paths below the first root that
# contains them, sorted.
set(entries "")
foreach(file IN LISTS FILES)
  foreach(root IN LISTS ROOTS)
    cmake_path(IS_PREFIX root "${file}" NORMALIZE is_below)
    if(is_below)
      file(RELATIVE_PATH name "${root}" "${file}")
      list(APPEND entries "${name}|${file}")
      break()
    endif()
  endforeach()
endforeach()
list(SORT entries)

file(WRITE "${OUTPUT}" "// Written by embed_files.cmake.\n#include \"codegen/embedded_files.h\"\n\n"
     "namespace mico {\nnamespace {\nconstexpr EmbeddedFile kFiles[] = {\n")
foreach(entry IN LISTS entries)
  string(REGEX REPLACE "\\|.*" "" name "${entry}")
  string(REGEX REPLACE ".*\\|" "" file "${entry}")
  file(READ "${file}" content)
  file(APPEND "${OUTPUT}" "{\"${name}\", R\"MICO_FILE(${content})MICO_FILE\"},\n")
endforeach()
file(APPEND "${OUTPUT}" "};\n}  // namespace\n"
     "std::span<const EmbeddedFile> EmbeddedFiles() { return kFiles; }\n}  // namespace mico\n")
