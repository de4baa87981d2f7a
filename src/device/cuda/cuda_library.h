/* cuda_library.h - finding and opening NVIDIA's libraries.
 *
 *     struct cuda_library *library = cuda_library_open(memory, folders, err);
 *     library->driver.cuInit(0) ...
 *     cuda_library_close(library);
 *
 * libcuda comes with the graphics driver and is the loader's to find. NVRTC and
 * cuBLASLt come with a toolkit or as Python packages: the loader's own places
 * are tried first, then FOLDERS and the places below them where pip puts them
 * (nvidia/cu13/lib, nvidia/cublas/lib, nvidia/cuda_nvrtc/lib below
 * site-packages). A library whose major version is above the driver's is not
 * opened; of those that will do the newest is taken. Nothing of a library is
 * trusted before its version and all its functions are there.
 *
 * Opening libcuda does not make a context: memory on a card is taken by
 * cuda_open alone. May be opened several times; each open counts.
 */

#ifndef DEVICE_CUDA_CUDA_LIBRARY_H
#define DEVICE_CUDA_CUDA_LIBRARY_H

#include <stdbool.h>

#include "base/error.h"
#include "base/memory.h"
#include "device/cuda/cuda_api.h"

/* One of the three, as `doctor` tells of it. */
struct cuda_found {
    const char *what;  /* "NVIDIA driver", "NVRTC", "cuBLASLt" */
    char path[1024];   /* "": not found */
    int major, minor;  /* of the library; the driver's: CUDA that it can do */
    char problem[512]; /* why it cannot be used, in a sentence; "": it can */
};

struct cuda_library {
    struct cuda_driver driver;
    struct cuda_nvrtc nvrtc;
    struct cuda_blas blas;
    struct cuda_found found[3]; /* driver, nvrtc, blas */
    struct memory *memory;      /* borrowed */
    void *handles[3];
};

/* NULL and ERROR_USAGE when one of them is missing or unfit: the message says
 * which, and the one command that installs it (cuda_install_advice). */
struct cuda_library *cuda_library_open(struct memory *memory,
                                       const char *const *folders,
                                       struct error *err);
void cuda_library_close(struct cuda_library *library); /* NULL is fine */

/* What is there, whether it can be used or not; for `doctor` and for "is there
 * a card at all". Never fails; nothing stays open. */
void cuda_library_look(const char *const *folders, struct cuda_found found[3]);

/* "pip install nvidia-cublas nvidia-cuda-nvrtc" or its -cu12 form, by the major
 * version of the driver (0: there is none, and it says so). */
const char *cuda_install_advice(int driver_major);

/* What a driver's call says, as "CUDA_ERROR_OUT_OF_MEMORY (out of memory)". */
void cuda_result_text(const struct cuda_library *library, cu_result result,
                      char *text, size_t bytes);

#endif
