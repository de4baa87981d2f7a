# Oracles written in Python run by this interpreter; tools/test gives the one
# of build/venv, which has the packages of tests/requirements.txt.
find_program(ENS_PYTHON python3)
# A test binary a file: tests/LAYER/test_X.c is linked with LAYER and what is
# below it. Names in ctest: LAYER/X.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
foreach(layer IN LISTS ENS_LAYERS ITEMS cli)
  file(GLOB tests CONFIGURE_DEPENDS tests/${layer}/test_*.c)
  foreach(test IN LISTS tests)
    get_filename_component(name ${test} NAME_WE)
    string(REPLACE "test_" "" short ${name})
    add_executable(test_${layer}_${short} ${test} ${ENS_OBJECTS_${layer}})
    target_include_directories(test_${layer}_${short} PRIVATE tests)
    target_link_libraries(test_${layer}_${short} PRIVATE ens_flags PkgConfig::CMOCKA)
    add_test(NAME ${layer}/${short} COMMAND test_${layer}_${short}
             WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${layer}/${short} PROPERTIES TIMEOUT 900
                         SKIP_REGULAR_EXPRESSION "^skip: all")
  endforeach()
endforeach()
# Under sanitizers SIMDe's emulated vectors take minutes to optimize.
if(NOT ENS_SANITIZE STREQUAL "")
  file(GLOB tests CONFIGURE_DEPENDS tests/device/test_simde_*.c)
  set_source_files_properties(${tests} PROPERTIES COMPILE_OPTIONS -O1)
endif()
# Which processor it is, these tests say.
foreach(test test_device_isa test_device_linear_int8)
  target_link_options(${test} PRIVATE -Wl,--wrap=processor_has)
endforeach()
# A file's writer hears from this test that its system refuses.
target_link_options(test_base_base PRIVATE -Wl,--wrap=write -Wl,--wrap=fsync
                    -Wl,--wrap=fdatasync -Wl,--wrap=close -Wl,--wrap=rename)
# Names that the system cannot look at for a moment (base/blind.h).
foreach(test test_hub_model_files test_data_chunk_list test_run_head_rules
        test_run_digest_list)
  target_link_options(${test} PRIVATE -Wl,--wrap=stat -Wl,--wrap=lstat
                      -Wl,--wrap=opendir)
endforeach()
# Which threads start, too.
foreach(test test_base_thread test_run_threads)
  target_link_options(${test} PRIVATE -Wl,--wrap=pthread_create)
endforeach()
include(tests/fuzz/fuzz.cmake OPTIONAL)
include(tests/device/cuda/cuda.cmake)
include(tests/text/text.cmake)
include(tests/data/data.cmake)
include(tests/device/loading/loading.cmake)
include(tests/hub/hub.cmake)
include(tests/model/model.cmake)
include(tests/run/run.cmake)
include(tests/cli/cli.cmake OPTIONAL)
include(tests/docs/docs.cmake)
include(tests/api/api.cmake)
include(tests/bench/bench.cmake)
