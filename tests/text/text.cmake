# Real tokenizers, and generated ones on new strings, with the package as the
# judge.
add_test(NAME text/package COMMAND ${ENS_PYTHON} tests/text/package.py
         $<TARGET_FILE:test_text_tokenizer> WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(text/package PROPERTIES TIMEOUT 600)
