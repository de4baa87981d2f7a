/* cuda.h - the device cuda:N, one NVIDIA card.
 *
 * Plain C over the driver, NVRTC and cuBLASLt (cuda_library.h): rows are
 * multiplied by cuBLASLt, everything else is done by the kernels in kernels/.
 * Weights, tables and what products read and give inside a block are f16, bf16
 * or float (struct narrow); the residual stream, sums and results are float.
 * With NUMBER_FP8 narrow numbers are bf16, and matrices e4m3 (cuda_fp8.c).
 *
 *     struct device *card = cuda_open(&name, &options, err);   // "cuda:0"
 *     ...
 *     device_close(card);
 *
 * One lane, and a stream for it; copies of layers that stream have a stream of
 * their own. Memory is taken block by block (cuMemAlloc, multiples of 2 MiB)
 * and counted in device->account. What the card needs besides (context,
 * kernels' code, cuBLASLt's workspace) is measured while it is opened and when
 * device_prepare loads kernels, and charged there as long as it is open:
 * device_facts.bytes_overhead.
 *
 * A call that fails as only a dead card's does (or for a reason that we do not
 * know) makes the device lost: every later call says so, and nothing else is
 * asked of the card. A card without room is not lost: ERROR_MEMORY.
 *
 * The same text gives the same bits in every batch as long as the device is
 * open, with one exception: the algorithm of a product is chosen once for its
 * shape and used for all numbers of rows that cuBLASLt accepts it for; where it
 * does not, another sums in another order. Between runs the choice, which is
 * measured, can differ.
 *
 * Threads: as device.h says; the card's context is made the calling thread's in
 * each call and stays its current one.
 */

#ifndef DEVICE_CUDA_CUDA_H
#define DEVICE_CUDA_CUDA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "device/device.h"

enum { CUDA_UUID_BYTES = 41 };

/* A card as the driver tells of it; CUDA_VISIBLE_DEVICES has been heard. */
struct cuda_card {
    unsigned ordinal;           /* N of cuda:N */
    char name[96];              /* "Tesla T4" */
    char uuid[CUDA_UUID_BYTES]; /* "GPU-" and 36 characters */
    int major, minor;           /* of its capability: 7, 5 */
    uint64_t bytes_total;
};

/* "cuda:" and a number of at most two digits. */
bool device_name_is_cuda(const char *name, unsigned *ordinal);

/* NULL: ERROR_USAGE (no such card, no libraries, a type that it cannot do),
 * ERROR_UNSUPPORTED (a card below sm_75), ERROR_MEMORY (no room for the context
 * and what goes with it), ERROR_DEVICE (it does not work). */
struct device *cuda_open(const struct device_name *name,
                         const struct device_options *options,
                         struct error *err);

#endif
