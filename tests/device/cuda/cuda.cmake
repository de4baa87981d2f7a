# Kernels as C++ on the CPU (emulate.h), and a card that is none (fake_cuda.h).
# C++ is used here and nowhere else.
#   kernels_*.cpp  the program's kernels, a choice of types each, in ens_kernels
#   test_X.c       compares them with the CPU device: linked with both
#   test_X.cpp     of the emulator itself: linked with nothing else
#   test_fake_X.c  of the fake libraries: they have the kernels in them
# All are test_device_cuda_X, in ctest device/cuda_X.
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

# What a C program is linked with, or opens, knows nothing of C++'s own
# checks. It comes behind ens_flags, whose sanitizers would ask for it again.
add_library(ens_no_vptr INTERFACE)
target_compile_options(ens_no_vptr INTERFACE
  $<$<BOOL:${ENS_SANITIZE}>:-fno-sanitize=vptr>
  $<$<AND:$<BOOL:${ENS_SANITIZE}>,$<CXX_COMPILER_ID:Clang>>:-fno-sanitize=function>)

set(ENS_CUDA_TESTS ${CMAKE_SOURCE_DIR}/tests/device/cuda)
file(GLOB kernels CONFIGURE_DEPENDS ${ENS_CUDA_TESTS}/kernels_*.cpp)
add_library(ens_kernels OBJECT ${ENS_CUDA_TESTS}/emulate.cpp
            ${ENS_CUDA_TESTS}/emulate_collectives.cpp
            ${ENS_CUDA_TESTS}/emulate_fiber.cpp
            ${ENS_CUDA_TESTS}/emulate_kernels.cpp ${kernels})
target_include_directories(ens_kernels PRIVATE tests)
# Kernels call fmaf for each product: without the instruction it is a call. No
# product is contracted that they do not contract.
include(CheckCXXSourceRuns)
check_cxx_source_runs("int main() { return !__builtin_cpu_supports(\"fma\"); }"
                      ENS_HAS_FMA)
set_source_files_properties(${kernels} PROPERTIES COMPILE_OPTIONS
  "-ffp-contract=off;$<$<BOOL:${ENS_HAS_FMA}>:-mfma>")
target_link_libraries(ens_kernels PRIVATE ens_flags ens_no_vptr)

file(GLOB tests CONFIGURE_DEPENDS ${ENS_CUDA_TESTS}/test_*.cpp
     ${ENS_CUDA_TESTS}/test_*.c)
foreach(test IN LISTS tests)
  get_filename_component(name ${test} NAME_WE)
  string(REPLACE "test_" "" short ${name})
  add_executable(test_device_cuda_${short} ${test})
  if(NOT name MATCHES "^test_fake")
    target_sources(test_device_cuda_${short} PRIVATE
                   $<TARGET_OBJECTS:ens_kernels>)
  endif()
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

# A driver, NVRTC and cuBLASLt without a card (fake_cuda.h), in build/fake_cuda
# (CUDA 12) and build/fake_cuda/13. Tests called cuda* know the folder as
# FAKE_CUDA_FOLDER.
set(ENS_FAKE_CUDA ${CMAKE_BINARY_DIR}/fake_cuda)
function(fake_library target file folder major)
  add_library(${target} MODULE ${ARGN})
  set_target_properties(${target} PROPERTIES PREFIX "" SUFFIX ""
                        OUTPUT_NAME ${file} LINKER_LANGUAGE CXX
                        LIBRARY_OUTPUT_DIRECTORY ${folder})
  target_include_directories(${target} PRIVATE tests)
  target_compile_definitions(${target} PRIVATE FAKE_MAJOR=${major})
  target_link_libraries(${target} PRIVATE ens_flags ens_no_vptr)
  target_link_options(${target} PRIVATE -Wl,-soname,${file} -Wl,-z,nodelete)
endfunction()
set(here ${ENS_CUDA_TESTS})
fake_library(fake_driver libcuda.so.1 ${ENS_FAKE_CUDA} 0
             ${here}/fake_card.cpp ${here}/fake_stream.cpp
             ${here}/fake_driver.cpp ${here}/fake_modules.cpp
             $<TARGET_OBJECTS:ens_kernels>)
foreach(major 12 13)
  set(folder ${ENS_FAKE_CUDA})
  if(major EQUAL 13)
    set(folder ${ENS_FAKE_CUDA}/13)
  endif()
  fake_library(fake_nvrtc_${major} libnvrtc.so.${major} ${folder} ${major}
               ${here}/fake_nvrtc.cpp)
  fake_library(fake_blas_${major} libcublasLt.so.${major} ${folder} ${major}
               ${here}/fake_blas.cpp ${here}/fake_gemm.cpp)
endforeach()
set_source_files_properties(${here}/fake_gemm.cpp ${here}/emulate.cpp
                            ${here}/emulate_collectives.cpp PROPERTIES
                            COMPILE_OPTIONS -O3)

file(GLOB tests CONFIGURE_DEPENDS tests/*/test_cuda*.c ${here}/test_fake*.c)
foreach(test IN LISTS tests)
  file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR}/tests ${test})
  string(REGEX REPLACE "[.]c$" "" name ${name})
  string(REGEX REPLACE "/(test_)?" "_" name test_${name})
  target_compile_definitions(${name} PRIVATE
                             FAKE_CUDA_FOLDER="${ENS_FAKE_CUDA}")
  add_dependencies(${name} fake_driver fake_nvrtc_12 fake_nvrtc_13
                   fake_blas_12 fake_blas_13)
endforeach()

# The comparisons that know a place (kernel_card.h): on the fake card, and on a
# real one where there is one. ENS_CUDA_FOLDERS: where its NVRTC and cuBLASLt
# lie, besides the loader's own places.
set(ENS_CUDA_FOLDERS "" CACHE STRING "Folders of NVIDIA's libraries for tests")
foreach(short rows_kernels rows_numbers experts_kernels fp8_kernels)
  add_dependencies(test_device_cuda_${short} fake_driver fake_nvrtc_12
                   fake_blas_12)
  add_test(NAME device/cuda_${short}_fake
           COMMAND test_device_cuda_${short} --card ${ENS_FAKE_CUDA}
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  add_test(NAME device/cuda_${short}_card
           COMMAND test_device_cuda_${short} --card ${ENS_CUDA_FOLDERS}
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(device/cuda_${short}_fake device/cuda_${short}_card
                       PROPERTIES TIMEOUT 600
                       SKIP_REGULAR_EXPRESSION "^skip: all")
endforeach()
set_tests_properties(device/cuda_fp8_kernels_fake PROPERTIES
                     ENVIRONMENT FAKE_CUDA=${here}/l4.txt)

# tools/gpu_check itself, on programs that stand for all that it calls.
add_test(NAME device/gpu_check COMMAND ${here}/gpu_check.sh
         ${CMAKE_BINARY_DIR}/gpu_check_test
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
