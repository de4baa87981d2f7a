# Sparse rows and multivectors, with SciPy and NumPy as the judges.
add_test(NAME data/exports_scipy COMMAND ${ENS_PYTHON} tests/data/exports.py
         $<TARGET_FILE:test_data_exports> WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(data/exports_scipy PROPERTIES TIMEOUT 300
                     SKIP_REGULAR_EXPRESSION "^skip: all")
