# bench_attention prints what attention costs beside the matrix product.
add_executable(bench_attention bench/attention.c ${ENS_OBJECTS_device})
target_link_libraries(bench_attention PRIVATE ens_flags)

# bench_gemm compares our matrix product with oneDNN's where that is installed
# (Debian: libdnnl-dev), else it prints ours alone.
add_executable(bench_gemm bench/gemm.c ${ENS_OBJECTS_device})
target_link_libraries(bench_gemm PRIVATE ens_flags)
find_path(ENS_DNNL_INCLUDE dnnl.h)
find_library(ENS_DNNL_LIBRARY dnnl)
find_package(OpenMP COMPONENTS C QUIET)
if(ENS_DNNL_INCLUDE AND ENS_DNNL_LIBRARY)
  target_compile_definitions(bench_gemm PRIVATE BENCH_DNNL)
  target_include_directories(bench_gemm SYSTEM PRIVATE ${ENS_DNNL_INCLUDE})
  target_link_libraries(bench_gemm PRIVATE ${ENS_DNNL_LIBRARY})
  if(OpenMP_C_FOUND)
    target_link_libraries(bench_gemm PRIVATE OpenMP::OpenMP_C)
  endif()
endif()

# bench_search: the scan of `search` beside the memory's own rate.
add_executable(bench_search bench/search.c ${ENS_OBJECTS_base}
                            $<TARGET_OBJECTS:ens_data>)
target_link_libraries(bench_search PRIVATE ens_flags)
