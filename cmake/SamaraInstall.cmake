# Man pages, completions, documents, and three Debian packages: one component a
# tool, samara-TOOL.  `cmake --install` with DESTDIR installs the same files.

find_program(SCDOC scdoc)
if(NOT SCDOC)
	message(STATUS "No man pages: scdoc is not here (apt-get install scdoc)")
endif()
find_program(GZIP gzip)

# samara_man(PAGE SECTION COMPONENT): docs/man/PAGE.SECTION.scd, built and installed.
function(samara_man page section component)
	if(NOT SCDOC OR NOT GZIP)
		return()
	endif()
	set(from ${CMAKE_SOURCE_DIR}/docs/man/${page}.${section}.scd)
	set(to ${CMAKE_BINARY_DIR}/man/${page}.${section}.gz)
	add_custom_command(OUTPUT ${to}
		COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/man
		COMMAND sh -c "'${SCDOC}' <'${from}' >'${to}.page' && '${GZIP}' -9n <'${to}.page' >'${to}'"
		DEPENDS ${from} VERBATIM)
	add_custom_target(man_${page} ALL DEPENDS ${to})
	install(FILES ${to} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT ${component})
endfunction()

foreach(tool seed import verify)
	samara_man(samara-${tool} 1 samara-${tool})
	install(FILES ${CMAKE_SOURCE_DIR}/docs/completions/samara-${tool}
		DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT samara-${tool})
	install(FILES ${CMAKE_SOURCE_DIR}/LICENSE RENAME copyright
		DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/samara-${tool} COMPONENT samara-${tool})
endforeach()
samara_man(samara 7 samara-verify)
install(FILES ${CMAKE_SOURCE_DIR}/docs/restore.md
	DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/samara-seed COMPONENT samara-seed)
install(FILES ${CMAKE_SOURCE_DIR}/docs/operations.md
	DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/samara-import COMPONENT samara-import)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME samara)
set(CPACK_PACKAGE_VENDOR "the samara authors")
set(CPACK_PACKAGE_CONTACT "the samara authors <samara@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL samara-seed samara-import samara-verify)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)

# Disks as they are sold: where the kernel does not know these, their drivers do.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "ntfs-3g, exfat-fuse")

# samara_deb(TOOL SUMMARY RECOMMENDS)
macro(samara_deb tool summary recommends)
	string(TOUPPER samara-${tool} upper)
	set(CPACK_DEBIAN_${upper}_PACKAGE_NAME samara-${tool})
	set(CPACK_COMPONENT_${upper}_DESCRIPTION "${summary}")
	set(CPACK_DEBIAN_${upper}_DESCRIPTION "${summary}")
	set(CPACK_DEBIAN_${upper}_PACKAGE_RECOMMENDS "${recommends}")
endmacro()
samara_deb(seed "write encrypted, deduplicated seed images onto disks, and restore
The administrator's side of samara: registers a machine with a vault, writes
its files onto a disk that can be shipped, and restores from a disk or a
vault.  Needs no service and no configuration to restore." samara-verify)
samara_deb(import "keep a vault that takes in seed images and can read nothing
The operator's side of samara: creates vaults, issues credentials and ingests
disks, checking every byte and the completeness of every snapshot without any
key of a machine." samara-verify)
samara_deb(verify "check samara's disks, vaults and snapshots, with or without the key
Proves without a key that every byte is the one that was signed and that no
snapshot lacks a chunk; with recovery kit and passphrase also opens every
chunk and reads every listing." "")
include(CPack)
