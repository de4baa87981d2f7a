# The sums of a scan: each instruction set's file has its own flags, and the
# program chooses among them. Their bits are the same everywhere, so nothing is
# contracted to multiply-add.
set(ENS_SUMS_FLAGS -O3 -ffp-contract=off)
set(ENS_SUMS ${CMAKE_SOURCE_DIR}/src/data/row_sums)
set_source_files_properties(${ENS_SUMS}_generic.c PROPERTIES
  COMPILE_OPTIONS "${ENS_SUMS_FLAGS}")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set_source_files_properties(${ENS_SUMS}_avx2.c PROPERTIES
    COMPILE_OPTIONS "${ENS_SUMS_FLAGS};-mavx2")
  set_source_files_properties(${ENS_SUMS}_avx512.c PROPERTIES
    COMPILE_OPTIONS "${ENS_SUMS_FLAGS};-mavx512f;-mprefer-vector-width=512")
endif()
