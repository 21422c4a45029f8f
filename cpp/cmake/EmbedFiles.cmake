# cmake -DOUTPUT=<file.cpp> -DFILES=<a;b> -P EmbedFiles.cmake: writes portfire::page::files(), with the bytes of the files.
set(arrays "")
set(table "")
set(number 0)
foreach(file IN LISTS FILES)
  file(READ "${file}" hex HEX)
  string(REGEX REPLACE "(................................................)" "\\1\n" hex "${hex}") # lines of 24 bytes
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
  get_filename_component(name "${file}" NAME)
  string(APPEND arrays "constexpr char kFile${number}[] = {\n${bytes}};\n")
  string(APPEND table "  {\"${name}\", {kFile${number}, sizeof kFile${number}}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE "${OUTPUT}" "// Written by EmbedFiles.cmake.\n#include \"transport/page/files.h\"\n\nnamespace portfire::page {\nnamespace {\n\n${arrays}
constexpr File kFiles[] = {\n${table}};\n\n}  // namespace\n\nstd::span<const File> files() noexcept { return kFiles; }\n\n}  // namespace portfire::page\n")
