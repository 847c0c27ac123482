# The pages of web/ in the binary: bundled by Node where it is there, else one plain page that says so.
#
# pagoda_embed_pages(TARGET) adds the files to a target, as bytes (.incbin) and as the table of src/server/pages.h.

option(PAGODA_PAGES "Bundle the chat page and the dashboard, if Node and its packages can be had" ON)
set(PAGODA_PAGES_DIR "" CACHE PATH "Pages that were bundled before (a folder with pages.list), instead of bundling")

# Sets `result` to whether the packages of web/package-lock.json are in web/node_modules; gets them when not.
function(pagoda_have_page_packages result)
  set(web ${CMAKE_SOURCE_DIR}/web)
  set(${result} FALSE PARENT_SCOPE)
  find_program(NODE NAMES node nodejs)
  find_program(NPM npm)
  if(NOT PAGODA_PAGES OR NOT NODE)
    return()
  endif()
  # npm writes this copy of the lock file last.
  set(installed ${web}/node_modules/.package-lock.json)
  if(NOT EXISTS ${installed} OR ${web}/package-lock.json IS_NEWER_THAN ${installed})
    if(NOT NPM)
      return()
    endif()
    message(STATUS "Getting the packages of the pages (npm ci)")
    execute_process(COMMAND ${NPM} ci --ignore-scripts --no-audit --no-fund --fetch-retries=1
                    WORKING_DIRECTORY ${web} TIMEOUT 180 RESULT_VARIABLE failed OUTPUT_QUIET
                    ERROR_VARIABLE message)
    if(failed)
      message(WARNING "npm ci in web/ failed, so the binary gets a plain page: ${message}")
      return()
    endif()
    file(TOUCH ${installed})
  endif()
  set(${result} TRUE PARENT_SCOPE)
endfunction()

function(pagoda_embed_pages target)
  set(web ${CMAKE_SOURCE_DIR}/web)
  set(out ${CMAKE_BINARY_DIR}/pages)
  set(generated ${out}/embedded_pages.S ${out}/embedded_pages.cc)
  set(embed ${CMAKE_COMMAND} -DOUT=${out} -P ${web}/embed.cmake)
  pagoda_have_page_packages(have_packages)
  if(PAGODA_PAGES_DIR)
    list(INSERT embed 1 -DBUNDLE=${PAGODA_PAGES_DIR})
    add_custom_command(OUTPUT ${generated} COMMAND ${embed}
                       DEPENDS ${PAGODA_PAGES_DIR}/pages.list ${web}/embed.cmake VERBATIM)
  elseif(have_packages)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${web}/src/*)
    list(INSERT embed 1 -DBUNDLE=${out}/bundle)
    add_custom_command(OUTPUT ${generated} COMMAND ${NODE} ${web}/build.mjs ${out}/bundle --cache ${CMAKE_SOURCE_DIR}/build/pages COMMAND ${embed}
                       DEPENDS ${sources} ${web}/build.mjs ${web}/package-lock.json ${web}/embed.cmake
                       COMMENT "Bundling the pages" VERBATIM)
  else()
    message(STATUS "Pages: plain, without Node and the packages of web/package-lock.json")
    list(INSERT embed 1 -DBUNDLE=${web}/plain)
    add_custom_command(OUTPUT ${generated} COMMAND ${embed}
                       DEPENDS ${web}/plain/pages.list ${web}/plain/plain.html ${web}/embed.cmake VERBATIM)
  endif()
  target_sources(${target} PRIVATE ${generated})
endfunction()
