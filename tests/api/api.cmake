# The library as a stranger uses it. Only in plain builds: the examples are
# built by the plain compiler.
if(TARGET ens_shared AND ENS_SANITIZE STREQUAL "")
  add_test(NAME api/install
           COMMAND ${CMAKE_SOURCE_DIR}/tests/api/install.sh ${CMAKE_BINARY_DIR})
  set_tests_properties(api/install PROPERTIES TIMEOUT 600 LABELS heavy)
endif()
