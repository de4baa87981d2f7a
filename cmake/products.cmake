# What the build makes of the layers: libensembed as a shared and a static
# library, both with nothing but ens_* exported, and the program, which takes
# the objects themselves and so may use every layer.

# The command line without the commands: it needs base/ only, and is tested
# with nothing else.
file(GLOB cli_sources CONFIGURE_DEPENDS src/cli/*.c)
set(cli_commands ${cli_sources})
list(FILTER cli_commands INCLUDE REGEX "/(main|cmd_[a-z_]*)[.]c$")
list(REMOVE_ITEM cli_sources ${cli_commands})
add_library(ens_cli OBJECT ${cli_sources})
target_link_libraries(ens_cli PUBLIC ens_flags)
set(ENS_OBJECTS_cli ${ENS_OBJECTS_base} $<TARGET_OBJECTS:ens_cli>)

if(TARGET ens_api)
  add_library(ens_shared SHARED ${ENS_OBJECTS_api})
  set_target_properties(ens_shared PROPERTIES OUTPUT_NAME ensembed
                        VERSION ${PROJECT_VERSION}
                        SOVERSION ${PROJECT_VERSION_MAJOR}
                        LINKER_LANGUAGE C)
  target_link_libraries(ens_shared PRIVATE ens_flags)
  if(ENS_SANITIZE STREQUAL "")
    target_link_options(ens_shared PRIVATE -Wl,--no-undefined)
  endif()

  # One object whose hidden symbols are made local: an archive that cannot
  # clash with the names of the program that links it.
  set(archive ${CMAKE_BINARY_DIR}/libensembed.a)
  add_custom_command(
    OUTPUT ${archive}
    COMMAND ${CMAKE_LINKER} -r -o ensembed.o ${ENS_OBJECTS_api}
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ensembed.o
    COMMAND ${CMAKE_COMMAND} -E rm -f ${archive}
    COMMAND ${CMAKE_AR} rcs ${archive} ensembed.o
    DEPENDS ${ENS_OBJECTS_api}
    COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(ens_static ALL DEPENDS ${archive})
  # Make, unlike ninja, knows no rule of other targets for the objects: they
  # must be there before.
  foreach(layer IN LISTS ENS_LAYERS)
    if(TARGET ens_${layer})
      add_dependencies(ens_static ens_${layer})
    endif()
  endforeach()
endif()

if(EXISTS ${CMAKE_SOURCE_DIR}/src/cli/main.c)
  add_executable(ens_program ${cli_commands} $<TARGET_OBJECTS:ens_cli>
                 ${ENS_OBJECTS_api})
  set_target_properties(ens_program PROPERTIES OUTPUT_NAME ensembed)
  target_link_libraries(ens_program PRIVATE ens_flags)

  # The program writes its own manual and completions.
  set(made "")
  foreach(kind "--man=ensembed.1" "--completion bash=ensembed.bash"
               "--completion zsh=_ensembed" "--completion fish=ensembed.fish")
    string(REPLACE "=" ";" pair "${kind}")
    list(GET pair 0 arguments)
    list(GET pair 1 file)
    separate_arguments(arguments UNIX_COMMAND "${arguments}")
    add_custom_command(
      OUTPUT ${CMAKE_BINARY_DIR}/manual/${file}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/manual
      COMMAND ens_program help ${arguments} > manual/${file}
      DEPENDS ens_program VERBATIM)
    list(APPEND made ${CMAKE_BINARY_DIR}/manual/${file})
  endforeach()
  add_custom_target(ens_manual ALL DEPENDS ${made})
endif()
