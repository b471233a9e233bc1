# samara_room(NAME DIR folder [LINK rooms...] [OUTSIDE libraries...])
# The folder's sources as one static library.  Rooms below are visible to those
# above; an outside library is visible in its room alone.  A room may still be
# empty.
function(samara_room name)
	cmake_parse_arguments(R "" "DIR" "LINK;OUTSIDE" ${ARGN})
	file(GLOB src CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${R_DIR}/*.c)
	if(NOT src)
		set(src ${CMAKE_BINARY_DIR}/empty_${name}.c)
		file(CONFIGURE OUTPUT ${src} CONTENT "extern int ${name}_is_empty;\nint ${name}_is_empty;\n")
	endif()
	add_library(${name} STATIC ${src})
	target_link_libraries(${name} PUBLIC ${R_LINK} PRIVATE samara_flags ${R_OUTSIDE})
endfunction()

# samara_tool(NAME)
# The program samara-NAME from the folder NAME/, with the whole library below it.
function(samara_tool name)
	file(GLOB src CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${name}/*.c)
	if(NOT src)
		return()
	endif()
	add_executable(samara-${name} ${src})
	target_link_libraries(samara-${name} PRIVATE flow samara_flags)
	install(TARGETS samara-${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
		COMPONENT samara-${name})
endfunction()
