# What `cmake --install` puts where, and the Debian package that `cpack` makes of the same files.

include(GNUInstallDirs)
install(TARGETS pagoda RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
# Where the program looks for it, seen from its own place.
install(DIRECTORY models/demo/ DESTINATION ${CMAKE_INSTALL_DATADIR}/pagoda/models/demo
        FILES_MATCHING PATTERN "*.json" PATTERN "*.safetensors")
file(GLOB manual CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/*.md)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${manual} DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)

# The rest is the package's alone: an installation under another prefix must not write into /etc.
set(debian ${CMAKE_SOURCE_DIR}/deploy/debian)
set(made ${CMAKE_BINARY_DIR}/debian)
configure_file(${debian}/changelog ${made}/changelog @ONLY)
execute_process(COMMAND gzip -9n -c ${made}/changelog OUTPUT_FILE ${made}/changelog.gz COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND gzip -9n -c ${debian}/pagoda.1 OUTPUT_FILE ${made}/pagoda.1.gz COMMAND_ERROR_IS_FATAL ANY)
set(of_package COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES ${made}/changelog.gz ${debian}/copyright DESTINATION /usr/share/doc/pagoda ${of_package})
install(FILES ${made}/pagoda.1.gz DESTINATION /usr/share/man/man1 ${of_package})
install(FILES ${debian}/pagoda.service DESTINATION /lib/systemd/system ${of_package})
install(FILES ${debian}/pagoda.yaml DESTINATION /etc/pagoda ${of_package})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME pagoda)
set(CPACK_PACKAGE_VENDOR "Pagoda")
set(CPACK_PACKAGE_CONTACT "The Pagoda maintainers <pagoda@localhost.localdomain>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "LLM server with an OpenAI-compatible API")
set(CPACK_PACKAGE_DESCRIPTION
"Serves large language models on CPUs: paged KV cache, continuous batching,
chunked prefill, streaming, Prometheus metrics, a chat page and a dashboard,
from Hugging Face folders and GGUF files. A small demo model is included.")
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_CMAKE_PROJECTS
    ${CMAKE_BINARY_DIR} pagoda ALL / ${CMAKE_BINARY_DIR} pagoda debian /)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
    WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${debian}/conffiles ${debian}/postinst ${debian}/prerm ${debian}/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
