# The program against a hub on this machine, and huggingface_hub as the judge of
# what the cache looks like.
if(TARGET ens_program)
  add_test(NAME hub/pull COMMAND ${ENS_PYTHON} tests/hub/pull.py
           $<TARGET_FILE:ens_program> WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(hub/pull PROPERTIES TIMEOUT 900)
  # Thousands of short runs: too slow under a sanitizer.
  add_test(NAME hub/config_keys
           COMMAND ${ENS_PYTHON} tests/hub/config_keys.py
                   $<TARGET_FILE:ens_program>
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(hub/config_keys PROPERTIES TIMEOUT 900 LABELS heavy)
  add_test(NAME hub/head_keys
           COMMAND ${ENS_PYTHON} tests/hub/head_keys.py
                   $<TARGET_FILE:ens_program>
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(hub/head_keys PROPERTIES TIMEOUT 900 LABELS heavy)
endif()
