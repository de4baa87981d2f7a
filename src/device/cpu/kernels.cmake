# The CPU device: each instruction set's file has its own flags, and the
# program chooses among them when it opens the device. Contraction to
# multiply-add is asked for here and nowhere else.
file(GLOB ENS_CPU_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/device/cpu/*.c
     ${CMAKE_SOURCE_DIR}/src/device/sim/*.c)
target_sources(ens_device PRIVATE ${ENS_CPU_SOURCES})

set(ENS_KERNEL_FLAGS -O3 -ffp-contract=fast)
set(ENS_CPU ${CMAKE_SOURCE_DIR}/src/device/cpu)
set_source_files_properties(${ENS_CPU}/kernels_generic.c ${ENS_CPU}/int8_generic.c
  ${ENS_CPU}/bf16_generic.c PROPERTIES COMPILE_OPTIONS "${ENS_KERNEL_FLAGS}")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(ENS_AVX2 "${ENS_KERNEL_FLAGS};-mavx2;-mfma")
  set(ENS_AVX512 "${ENS_KERNEL_FLAGS};-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mfma;-mprefer-vector-width=512")
  set_source_files_properties(${ENS_CPU}/kernels_avx2.c ${ENS_CPU}/int8_avx2.c
    ${ENS_CPU}/bf16_avx2.c PROPERTIES COMPILE_OPTIONS "${ENS_AVX2}")
  set_source_files_properties(${ENS_CPU}/int8_avx2vnni.c PROPERTIES
    COMPILE_OPTIONS "${ENS_AVX2};-mavxvnni")
  set_source_files_properties(${ENS_CPU}/kernels_avx512.c ${ENS_CPU}/int8_avx512.c
    ${ENS_CPU}/bf16_avx512.c PROPERTIES COMPILE_OPTIONS "${ENS_AVX512}")
  set_source_files_properties(${ENS_CPU}/int8_avx512vnni.c PROPERTIES
    COMPILE_OPTIONS "${ENS_AVX512};-mavx512vnni")
  set_source_files_properties(${ENS_CPU}/bf16_avx512bf16.c
    ${ENS_CPU}/attention_avx512bf16.c PROPERTIES
    COMPILE_OPTIONS "${ENS_AVX512};-mavx512bf16")
endif()
# clang 14 takes many minutes to instrument the unrolled kernels for undefined
# behaviour; they keep ASan there, and gcc's build in tools/test has both. They
# keep -O3 too: with -O1 not every multiply-add is contracted, and the same sum
# written twice may differ in its last bit.
if(CMAKE_C_COMPILER_ID MATCHES "Clang" AND ENS_SANITIZE STREQUAL "address")
  file(GLOB ENS_KERNELS ${ENS_CPU}/kernels_*.c ${ENS_CPU}/int8_*.c ${ENS_CPU}/bf16_*.c
       ${ENS_CPU}/attention_*.c)
  set_property(SOURCE ${ENS_KERNELS}
               APPEND PROPERTY COMPILE_OPTIONS -fno-sanitize=undefined)
endif()
