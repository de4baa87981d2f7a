/* cuda_compile.h - from the kernels' text in the program to machine code for a
 * card, once a card's kind and version.
 *
 *     struct cuda_source source = {.name = "rows", .options = options,
 *                                  .options_count = 2, .arch = 75};
 *     struct cuda_image image;
 *     cuda_compile(library, &source, cache_folder, memory, &image, err);
 *     driver.cuModuleLoadData(&module, image.data) ...
 *     cuda_image_free(memory, &image);
 *
 * NVRTC compiles it (a second or several), and the result is kept in
 * CACHE_FOLDER under a name made of the SHA-256 of everything it came from: the
 * text, the options, NVRTC's version. A file there begins with the digest of
 * its image and is used only if that fits; else it is compiled again. Written
 * under another name and renamed, so several processes may do so at once. A
 * folder that cannot be written costs only time.
 */

#ifndef DEVICE_CUDA_CUDA_COMPILE_H
#define DEVICE_CUDA_CUDA_COMPILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/memory.h"
#include "device/cuda/cuda_library.h"

enum { CUDA_OPTIONS_MAX = 12 };

struct cuda_source {
    const char *name; /* "rows", "attention", "attention_plain": a kernel file
                       */
    unsigned arch;    /* 75, 80, ...: the card's, or the nearest below it that
                         NVRTC knows (cuda_compile_arch) */
    const char *options[CUDA_OPTIONS_MAX]; /* "-DNARROW=1", ... */
    size_t options_count;
};

struct cuda_image {
    void *data; /* owned */
    size_t bytes;
    bool from_cache;
};

/* What ARCH is compiled as: "sm_90a" where NVRTC knows it, "sm_75"; the highest
 * that NVRTC knows and the card of MAJOR.MINOR runs. False: none. */
bool cuda_compile_arch(const struct cuda_library *library, int major, int minor,
                       unsigned *arch, struct error *err);

/* CACHE_FOLDER NULL: nothing is kept. ERROR_DEVICE with NVRTC's first lines
 * when it does not compile: our mistake. */
bool cuda_compile(const struct cuda_library *library,
                  const struct cuda_source *source, const char *cache_folder,
                  struct memory *memory, struct cuda_image *image,
                  struct error *err);
void cuda_image_free(struct memory *memory, struct cuda_image *image);

/* The text that NVRTC gets for kernel file NAME: params.h, prelude.cu and the
 * file, NUL-terminated; NULL if there is none. Made from
 * src/device/cuda/kernels when the program is built. */
const char *cuda_kernel_text(const char *name);

#endif
