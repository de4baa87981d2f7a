# The CUDA device: plain C that opens NVIDIA's libraries when a card is used, so
# nothing of theirs is needed here. The kernels are text in the program, made
# into an array by embed.cmake: what is not C needs no tool but CMake itself.
file(GLOB ENS_CUDA_SOURCES CONFIGURE_DEPENDS
     ${CMAKE_SOURCE_DIR}/src/device/cuda/*.c)
target_sources(ens_device PRIVATE ${ENS_CUDA_SOURCES})
target_link_libraries(ens_flags INTERFACE ${CMAKE_DL_LIBS})

file(GLOB ENS_CUDA_KERNELS CONFIGURE_DEPENDS
     ${CMAKE_SOURCE_DIR}/src/device/cuda/kernels/*.cu
     ${CMAKE_SOURCE_DIR}/src/device/cuda/kernels/*.h)
set(ENS_KERNEL_TEXT ${CMAKE_BINARY_DIR}/kernel_text.c)
add_custom_command(
  OUTPUT ${ENS_KERNEL_TEXT}
  COMMAND ${CMAKE_COMMAND}
          -DFOLDER=${CMAKE_SOURCE_DIR}/src/device/cuda/kernels
          -DOUT=${ENS_KERNEL_TEXT}
          -P ${CMAKE_SOURCE_DIR}/src/device/cuda/embed.cmake
  DEPENDS ${ENS_CUDA_KERNELS} ${CMAKE_SOURCE_DIR}/src/device/cuda/embed.cmake
  VERBATIM)
target_sources(ens_device PRIVATE ${ENS_KERNEL_TEXT})
