# tests/fuzz/fuzz_X.c defines LLVMFuzzerTestOneInput; tests/fuzz/corpus/X holds
# its seeds. With clang and ASan it is a libFuzzer program, which keeps what it
# finds in the build folder; else a small driver replays the corpus and mutates
# it a bounded number of times. The first line
# of the file may name its layer: /* layer: data */
file(GLOB fuzzers CONFIGURE_DEPENDS tests/fuzz/fuzz_*.c)
foreach(fuzzer IN LISTS fuzzers)
  get_filename_component(name ${fuzzer} NAME_WE)
  string(REPLACE "fuzz_" "" short ${name})
  file(STRINGS ${fuzzer} first LIMIT_COUNT 1)
  string(REGEX MATCH "layer: ([a-z]+)" matched "${first}")
  set(layer ${CMAKE_MATCH_1})
  add_executable(${name} ${fuzzer} ${ENS_OBJECTS_${layer}})
  target_link_libraries(${name} PRIVATE ens_flags)
  set(found "")
  if(CMAKE_C_COMPILER_ID MATCHES "Clang" AND ENS_SANITIZE STREQUAL "address")
    set(found ${CMAKE_BINARY_DIR}/fuzz/${short})
    file(MAKE_DIRECTORY ${found})
    target_compile_options(ens_${layer} PRIVATE -fsanitize=fuzzer-no-link)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set(bound -runs=20000 -max_total_time=20)
  else()
    target_sources(${name} PRIVATE tests/fuzz/driver.c)
    set(bound 20000)
  endif()
  add_test(NAME fuzz/${short}
           COMMAND ${name} ${bound} ${found} tests/fuzz/corpus/${short}
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
endforeach()
