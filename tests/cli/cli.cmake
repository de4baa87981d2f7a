# One ctest a case: tests/cli/TOPIC/CASE.sh is cli/TOPIC/CASE. A first line
# with "heavy" labels it so: such cases are left out of sanitizer builds.
if(TARGET ens_program)
  file(GLOB cases CONFIGURE_DEPENDS tests/cli/*/*.sh)
  foreach(case IN LISTS cases)
    file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR}/tests ${case})
    string(REGEX REPLACE "[.]sh$" "" name ${name})
    add_test(NAME ${name}
             COMMAND ${CMAKE_SOURCE_DIR}/tests/cli/run_case
                     $<TARGET_FILE:ens_program> ${case})
    set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 900)
    file(STRINGS ${case} first LIMIT_COUNT 1)
    if(first MATCHES "heavy")
      set_tests_properties(${name} PROPERTIES LABELS heavy)
    endif()
  endforeach()
endif()
