# tests/fuzz/fuzz_X.c defines LLVMFuzzerTestOneInput; tests/fuzz/corpus/X holds
# its seeds. An ordinary build's driver replays the corpus and a bounded number
# of mutations of it, always the same ones. ENS_FUZZ makes libFuzzer programs
# (clang, with ENS_SANITIZE=address), which look for new ones by what they reach:
# tests/long/fuzz.sh. The first line of the file may name its layer:
# /* layer: data */
if(ENS_FUZZ AND NOT (CMAKE_C_COMPILER_ID MATCHES "Clang" AND ENS_SANITIZE STREQUAL "address"))
  message(FATAL_ERROR "ENS_FUZZ needs clang and ENS_SANITIZE=address")
endif()
set(runs 20000)
if(ENS_SANITIZE)
  set(runs 4000)
endif()
file(GLOB fuzzers CONFIGURE_DEPENDS tests/fuzz/fuzz_*.c)
foreach(fuzzer IN LISTS fuzzers)
  get_filename_component(name ${fuzzer} NAME_WE)
  string(REPLACE "fuzz_" "" short ${name})
  file(STRINGS ${fuzzer} first LIMIT_COUNT 1)
  string(REGEX MATCH "layer: ([a-z]+)" matched "${first}")
  set(layer ${CMAKE_MATCH_1})
  add_executable(${name} ${fuzzer} ${ENS_OBJECTS_${layer}})
  target_link_libraries(${name} PRIVATE ens_flags)
  if(ENS_FUZZ)
    target_compile_options(ens_${layer} PRIVATE -fsanitize=fuzzer-no-link)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    continue()
  endif()
  target_sources(${name} PRIVATE tests/fuzz/driver.c)
  add_test(NAME fuzz/${short}
           COMMAND ${name} ${runs} tests/fuzz/corpus/${short}
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
endforeach()
