/* fake_cuda.h - a libcuda, libcublasLt and libnvrtc that need no card, and what
 * a test tells them and asks of them.
 *
 * They are ordinary shared objects (cuda.cmake puts them into
 * build/fake_cuda/), with the symbols of the real ones. Kernels run in the
 * emulator (emulate.h), products in plain C++; streams are threads. Device
 * memory is behind addresses that the host may not touch: a stray access ends
 * the test. What is used and was not set is NaN.
 *
 * What cards there are and what happens to them is text, from fake_cuda_set or
 * from the file that the environment's FAKE_CUDA names (read at cuInit). A line
 * a fact, numbers with K, M or G for 2^10, 2^20, 2^30:
 *
 *     driver 12090                 cuDriverGetVersion
 *     mode async                   (default) streams run by themselves
 *     mode lazy                    they run when somebody waits for them: a
 *                                  missing wait shows always
 *     mode sync                    all is done at the call, for debugging
 *     card name=Tesla_T4 capability=7.5 memory=15095M context=300M module=2M
 *          granularity=2M multiprocessors=40 fp8=1 closed=0 (in one line;
 *          fp8=0: cuBLASLt has no such products for it; closed=1: another
 *          process has it for itself)
 *     at card=0 launch=40 take=6G  before the 40th launch (or alloc, from 1) a
 *     at card=0 launch=90 give=6G  stranger takes memory, and gives it back
 *     at card=0 alloc=3 refuse=2   this one and the next are out of memory
 *     at card=0 launch=7 lost=719  from now on every call says so
 *     at card=0 launch=1 delay=5   each launch from now on takes 5 ms more
 *
 * Without any of this there is one Tesla T4. Matrix products count as launches.
 */

#ifndef TESTS_DEVICE_CUDA_FAKE_CUDA_H
#define TESTS_DEVICE_CUDA_FAKE_CUDA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
/* Before what the fake libraries let others find. */
#define EXPORT extern "C" __attribute__((visibility("default")))
extern "C" {
#endif

/* Of one card since fake_cuda_set. All that is live is 0 when nothing leaks. */
struct fake_cuda_counters {
    uint64_t contexts, blocks, streams, events, modules, registered; /* live */
    uint64_t bytes_live, bytes_peak; /* of blocks, as they were asked for */
    uint64_t bytes_used_peak;        /* all that the card was short of */
    uint64_t allocs, launches, products, uploads, downloads; /* ever */
    uint64_t faults; /* kernels that did wrong; standard error says what */
};

/* Everything anew. No context may be live. NULL, or what is wrong with TEXT. */
typedef const char *fake_cuda_set_function(const char *text);
fake_cuda_set_function fake_cuda_set;

typedef void fake_cuda_count_function(int card,
                                      struct fake_cuda_counters *counters);
fake_cuda_count_function fake_cuda_count;

/* Of libcublasLt: descriptors and handles that are not destroyed. */
typedef uint64_t fake_blas_live_function(void);
fake_blas_live_function fake_blas_live;

/* Of libnvrtc: VERSION 12090; 0: as it was built. Programs compiled so far. */
typedef void fake_nvrtc_set_function(int version);
fake_nvrtc_set_function fake_nvrtc_set;
typedef uint64_t fake_nvrtc_count_function(void);
fake_nvrtc_count_function fake_nvrtc_compiled;

/* ---- between the fake libraries ------------------------------------------ */

struct cu_stream_s;

/* Run it when STREAM comes to it; it may return false: the card is at fault.
 * FREE_IT is called in any case. A result as of the driver. */
typedef int fake_cuda_enqueue_function(struct cu_stream_s *stream,
                                       int (*run)(void *work),
                                       void (*free_it)(void *work), void *work);
fake_cuda_enqueue_function fake_cuda_enqueue;

/* What the card's processors see at a device address of STREAM's card: NULL
 * where [address, address + bytes) is not inside of one block. */
typedef void *fake_cuda_memory_function(struct cu_stream_s *stream,
                                        const void *address, size_t bytes);
fake_cuda_memory_function fake_cuda_memory;

/* Capability of STREAM's card, 75; NULL: of the thread's. */
typedef int fake_cuda_arch_function(struct cu_stream_s *stream);
fake_cuda_arch_function fake_cuda_arch;

#ifdef __cplusplus
}
#endif

#endif
