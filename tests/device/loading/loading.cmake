# Small libraries under the names of NVIDIA's, in the folders where NVIDIA's
# lie: below ENS_FAKE_NVIDIA. FOLDER FILE LIKE VERSION OPTION...
set(ENS_FAKE_NVIDIA ${CMAKE_BINARY_DIR}/fake_nvidia)
function(ens_fake_nvidia folder file like version)
  string(MAKE_C_IDENTIFIER "fake_${folder}_${file}" target)
  add_library(${target} MODULE tests/device/loading/fake_nvidia.c)
  set_target_properties(${target} PROPERTIES PREFIX "" SUFFIX ""
    OUTPUT_NAME ${file} LIBRARY_OUTPUT_DIRECTORY ${ENS_FAKE_NVIDIA}/${folder})
  target_compile_definitions(${target} PRIVATE LIKE_${like} VERSION=${version}
                             ${ARGN})
  add_dependencies(ens_fakes ${target})
endfunction()

add_custom_target(ens_fakes)
ens_fake_nvidia(driver12 libcuda.so.1 DRIVER 12040 CARDS=2 OLD_NAMES)
ens_fake_nvidia(driver13 libcuda.so.1 DRIVER 13010 CARDS=1)
ens_fake_nvidia(driver11 libcuda.so.1 DRIVER 11080 CARDS=1)
ens_fake_nvidia(driver_mute libcuda.so.1 DRIVER 12040 CARDS=1 MUTE)
ens_fake_nvidia(driver_lacking libcuda.so.1 DRIVER 12040 CARDS=1 LACKING)
ens_fake_nvidia(driver_dead libcuda.so.1 DRIVER 12040 CARDS=1 DEAD)
ens_fake_nvidia(driver_bare libcuda.so.1 DRIVER 12040 CARDS=0)
ens_fake_nvidia(toolkit/lib64 libnvrtc.so.12 NVRTC 12010)
ens_fake_nvidia(toolkit/lib64 libcublasLt.so.12 BLAS 12010)
ens_fake_nvidia(pip12/nvidia/cuda_nvrtc/lib libnvrtc.so.12 NVRTC 12090)
ens_fake_nvidia(pip12/nvidia/cublas/lib libcublasLt.so.12 BLAS 12090)
ens_fake_nvidia(pip13/nvidia/cu13/lib libnvrtc.so.13 NVRTC 13050)
ens_fake_nvidia(pip13/nvidia/cu13/lib libcublasLt.so.13 BLAS 13050)
ens_fake_nvidia(lying libnvrtc.so.12 NVRTC 13000)
ens_fake_nvidia(lacking libnvrtc.so.12 NVRTC 12090 LACKING)
ens_fake_nvidia(mute libnvrtc.so.12 NVRTC 12090 MUTE)

if(TARGET test_device_cuda_library)
  add_dependencies(test_device_cuda_library ens_fakes)
  target_compile_definitions(test_device_cuda_library PRIVATE
                             ENS_FAKE_NVIDIA="${ENS_FAKE_NVIDIA}")
  # What the loader finds by itself is the test's to say.
  target_link_options(test_device_cuda_library PRIVATE -Wl,--wrap=dlopen)
endif()
if(TARGET test_device_cuda_compile)
  target_link_options(test_device_cuda_compile PRIVATE
                      -Wl,--wrap=cuda_kernel_text)
endif()

# Every kernel to machine code by NVRTC, where its package is installed; what
# ptxas says of them is docs/gpu-kernels.md. tools/test --long compiles all
# variants, under both versions.
add_executable(compile_kernels tests/device/loading/compile_kernels.c
               ${ENS_OBJECTS_device})
target_link_libraries(compile_kernels PRIVATE ens_flags)
add_test(NAME device/kernels_compile
         COMMAND ${ENS_PYTHON} tools/kernel_table.py
                 $<TARGET_FILE:compile_kernels> --check
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(device/kernels_compile PROPERTIES TIMEOUT 900 LABELS heavy
                     SKIP_REGULAR_EXPRESSION "^skip: ")

# The PTX that NVRTC makes of them, run without a card.
add_test(NAME device/kernels_ptx
         COMMAND ${ENS_PYTHON} tests/device/cuda/ptx_kernels.py
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(device/kernels_ptx PROPERTIES
                     SKIP_REGULAR_EXPRESSION "^skip: ")
