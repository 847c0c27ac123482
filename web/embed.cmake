# cmake -DBUNDLE=FOLDER -DOUT=FOLDER -P embed.cmake: writes OUT/embedded_pages.S and .cc for BUNDLE/pages.list.
file(STRINGS ${BUNDLE}/pages.list lines)
set(assembly ".section .rodata\n")
set(symbols "")
set(rows "")
set(index 0)
foreach(line IN LISTS lines)
  # Media types have a semicolon, which is CMake's own separator.
  string(REGEX MATCH "^([^|]+)[|]([^|]+)[|]([^|]+)[|]([^|]+)$" matched "${line}")
  if(NOT matched)
    message(FATAL_ERROR "${BUNDLE}/pages.list: what is '${line}'?")
  endif()
  set(url "${CMAKE_MATCH_1}")
  set(media "${CMAKE_MATCH_2}")
  set(encoding "${CMAKE_MATCH_3}")
  set(file "${BUNDLE}/${CMAKE_MATCH_4}")
  file(SHA256 ${file} hash)
  file(SIZE ${file} num_bytes)
  string(SUBSTRING ${hash} 0 32 tag)
  string(APPEND assembly ".global pagoda_page_${index}\npagoda_page_${index}:\n.incbin \"${file}\"\n")
  string(APPEND symbols "extern const char pagoda_page_${index}[];\n")
  string(APPEND rows "      {\"${url}\", \"${media}\", \"${encoding}\", \"\\\"${tag}\\\"\", {pagoda_page_${index}, ${num_bytes}}},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(MAKE_DIRECTORY ${OUT})
file(WRITE ${OUT}/embedded_pages.S "${assembly}.section .note.GNU-stack,\"\",%progbits\n")
file(WRITE ${OUT}/embedded_pages.cc "// Made by web/embed.cmake.
#include \"server/pages.h\"

extern \"C\" {
${symbols}}

namespace pagoda {

std::span<const PageFile> embedded_pages() {
  static const PageFile kFiles[] = {
${rows}  };
  return kFiles;
}

}  // namespace pagoda
")
