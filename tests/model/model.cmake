# The oracle of model/shape, where PyTorch and transformers are installed.
file(GLOB shapes RELATIVE ${CMAKE_SOURCE_DIR} tests/fixtures/shapes/*.json)
add_test(NAME model/shape_oracle
         COMMAND ${ENS_PYTHON} tools/shape_oracle.py --check
                 tests/fixtures/shapes/parameters.txt ${shapes}
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(model/shape_oracle PROPERTIES TIMEOUT 600
                     SKIP_REGULAR_EXPRESSION "^skip: ")

# The oracle of model/rope, likewise.
add_test(NAME model/rope_oracle
         COMMAND ${ENS_PYTHON} tools/rope_oracle.py --check
                 tests/fixtures/rope/cases.json
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(model/rope_oracle PROPERTIES TIMEOUT 600
                     SKIP_REGULAR_EXPRESSION "^skip: ")

# The oracle of model/relative, likewise.
add_test(NAME model/relative_oracle
         COMMAND ${ENS_PYTHON} tools/relative_oracle.py --check
                 tests/fixtures/relative/cases.json
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(model/relative_oracle PROPERTIES TIMEOUT 600
                     SKIP_REGULAR_EXPRESSION "^skip: ")

# Nothing may allocate while a batch is encoded: the tests count every call.
foreach(test test_model_weights test_model_encoder test_model_spec test_model_heads
        test_model_strict test_model_one_row
        test_model_weights_check)
  foreach(name malloc calloc realloc aligned_alloc posix_memalign)
    target_link_options(${test} PRIVATE -Wl,--wrap=${name})
  endforeach()
endforeach()
