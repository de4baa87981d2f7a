# The documents against the tree and the program.
add_test(NAME docs/map COMMAND ${ENS_PYTHON} tests/docs/map.py
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
add_test(NAME docs/examples COMMAND ${ENS_PYTHON} tests/docs/examples.py
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
add_test(NAME docs/heads COMMAND ${ENS_PYTHON} tests/docs/heads.py
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
add_test(NAME docs/fp8_bytes COMMAND ${ENS_PYTHON} tests/docs/fp8_bytes.py
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
add_test(NAME docs/chunks COMMAND ${ENS_PYTHON} tools/cut_docs.py --check
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
if(TARGET ens_program)
  add_test(NAME docs/links COMMAND ${ENS_PYTHON} tests/docs/links.py
           $<TARGET_FILE:ens_program> WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  add_test(NAME docs/readme COMMAND ${ENS_PYTHON} tests/docs/readme.py
           $<TARGET_FILE:ens_program> WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(docs/readme PROPERTIES LABELS heavy)
endif()
set_tests_properties(docs/map docs/chunks docs/examples PROPERTIES LABELS heavy
                     SKIP_REGULAR_EXPRESSION "^skip: all")
