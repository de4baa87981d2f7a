# Kernels as C++ on the CPU (emulate.h). C++ is used here and nowhere else.
#   kernels_*.cpp  the program's kernels, a choice of types each, in ens_kernels
#   test_X.c       compares them with the CPU device: linked with both
#   test_X.cpp     of the emulator itself: linked with nothing else
# Both are test_device_cuda_X, in ctest device/cuda_X.
if(NOT CMAKE_CXX_COMPILER AND NOT DEFINED ENV{CXX} AND
   CMAKE_C_COMPILER_ID MATCHES "Clang")
  string(REGEX REPLACE "clang([^/]*)$" "clang++\\1" CMAKE_CXX_COMPILER
         "${CMAKE_C_COMPILER}")
endif()
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
enable_language(CXX)

set(ENS_CUDA_TESTS ${CMAKE_SOURCE_DIR}/tests/device/cuda)
file(GLOB kernels CONFIGURE_DEPENDS ${ENS_CUDA_TESTS}/kernels_*.cpp)
add_library(ens_kernels OBJECT ${ENS_CUDA_TESTS}/emulate.cpp
            ${ENS_CUDA_TESTS}/emulate_fiber.cpp
            ${ENS_CUDA_TESTS}/emulate_kernels.cpp ${kernels})
target_include_directories(ens_kernels PRIVATE tests)
target_link_libraries(ens_kernels PRIVATE ens_flags)

file(GLOB tests CONFIGURE_DEPENDS ${ENS_CUDA_TESTS}/test_*.cpp
     ${ENS_CUDA_TESTS}/test_*.c)
foreach(test IN LISTS tests)
  get_filename_component(name ${test} NAME_WE)
  string(REPLACE "test_" "" short ${name})
  add_executable(test_device_cuda_${short} ${test}
                 $<TARGET_OBJECTS:ens_kernels>)
  if(test MATCHES "[.]c$")
    target_sources(test_device_cuda_${short} PRIVATE ${ENS_OBJECTS_device})
  endif()
  target_include_directories(test_device_cuda_${short} PRIVATE tests)
  target_link_libraries(test_device_cuda_${short} PRIVATE ens_flags
                        PkgConfig::CMOCKA)
  set_target_properties(test_device_cuda_${short} PROPERTIES
                        LINKER_LANGUAGE CXX)
  add_test(NAME device/cuda_${short} COMMAND test_device_cuda_${short}
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(device/cuda_${short} PROPERTIES TIMEOUT 600)
endforeach()
