/* cuda_library.h - finding and opening NVIDIA's libraries.
 *
 *     struct cuda_library *library = cuda_library_open(memory, folders, err);
 *     library->driver.cuInit(0) ...
 *     cuda_library_close(library);
 *
 * libcuda comes with the graphics driver. NVRTC and cuBLASLt come with a
 * toolkit or as Python packages. For each the loader's own places are tried
 * first, then FOLDERS and the places below them where pip puts libraries
 * (nvidia/cu13/lib, nvidia/cublas/lib, nvidia/cuda_nvrtc/lib below
 * site-packages). A library whose major version is above the driver's is not
 * opened; of those that will do the newest is taken, and of equal ones the
 * first. Nothing of a library is used before its version and all its functions
 * are there. Opening one runs its own code, as starting a program does: FOLDERS
 * are the user's to choose.
 *
 * Opening libcuda does not make a context: memory on a card is taken by
 * cuda_open alone. May be opened several times; each open counts. A library
 * that was chosen stays mapped until the process ends, since its threads and
 * exit handlers may outlive us.
 */

#ifndef DEVICE_CUDA_CUDA_LIBRARY_H
#define DEVICE_CUDA_CUDA_LIBRARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "device/cuda/cuda_api.h"

enum { CUDA_FOUND_DRIVER, CUDA_FOUND_NVRTC, CUDA_FOUND_BLAS, CUDA_FOUND_COUNT };

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
    struct cuda_found found[CUDA_FOUND_COUNT];
    struct memory *memory; /* borrowed */
    void *handles[CUDA_FOUND_COUNT];
};

/* NULL and ERROR_USAGE when one of them is missing or unfit: the message says
 * which, and the one command that installs it (cuda_install_advice). */
struct cuda_library *cuda_library_open(struct memory *memory,
                                       const char *const *folders,
                                       struct error *err);
/* NVRTC alone, of CUDA_MAJOR at most, where there need be no driver: to compile
 * kernels for a card that is elsewhere. */
struct cuda_library *cuda_library_open_nvrtc(struct memory *memory,
                                             const char *const *folders,
                                             int cuda_major, struct error *err);
void cuda_library_close(struct cuda_library *library); /* NULL is fine */

/* What is there, whether it can be used or not; for `doctor` and for "is there
 * a card at all". Never fails; nothing stays open. */
void cuda_library_look(const char *const *folders,
                       struct cuda_found found[CUDA_FOUND_COUNT]);

/* A card as the driver tells of it. */
struct cuda_seen {
    char name[96];
    int major, minor; /* compute capability */
    uint64_t bytes;
};
/* The first MOST cards of this machine into CARDS; returns how many there are.
 * 0 and a sentence in PROBLEM: none, and why. */
size_t cuda_library_cards(const char *const *folders, struct cuda_seen *cards,
                          size_t most, char problem[512]);

/* "pip install nvidia-cublas nvidia-cuda-nvrtc" or its -cu12 form, by the major
 * version of the driver (0: there is none, and it says so). */
const char *cuda_install_advice(int driver_major);

/* What a driver's call says, as "CUDA_ERROR_OUT_OF_MEMORY (out of memory)". */
void cuda_result_text(const struct cuda_library *library, cu_result result,
                      char *text, size_t bytes);

#endif
