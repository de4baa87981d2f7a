# Real tokenizers, and generated ones on new strings, with the package as the
# judge.
add_test(NAME text/package COMMAND ${ENS_PYTHON} tests/text/package.py
         $<TARGET_FILE:test_text_tokenizer> WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(text/package PROPERTIES TIMEOUT 900)
# BM25's table of code points is what this Python says (one of Unicode 14).
add_test(NAME text/bm25_tables COMMAND ${ENS_PYTHON} tools/bm25_tables.py --check
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(text/bm25_tables PROPERTIES
                     SKIP_REGULAR_EXPRESSION "^skip: all")
