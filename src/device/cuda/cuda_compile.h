/* cuda_compile.h - from the kernels' text in the program to machine code for a
 * card, once a card's kind and version.
 *
 *     struct cuda_source source = {.name = "rows", .options = {"-DNARROW=1"},
 *                                  .options_count = 1, .arch = 75};
 *     struct cuda_image image;
 *     cuda_compile(library, &source, cache_folder, memory, &image, err);
 *     driver.cuModuleLoadData(&module, image.data) ...
 *     cuda_image_free(memory, &image);
 *
 * NVRTC compiles it (a second or several), and the result is kept in
 * CACHE_FOLDER under a name made of the SHA-256 of everything it came from: the
 * text, the options, NVRTC's version (cuda_cache.h). A file there is used only
 * if its digest fits; else it is compiled again. Several processes may do so
 * at once. A folder that cannot be written costs only time.
 *
 * It is C++17 with multiply and add contracted (--fmad) and nothing else that
 * changes numbers: no fast math. Safe from several threads.
 */

#ifndef DEVICE_CUDA_CUDA_COMPILE_H
#define DEVICE_CUDA_CUDA_COMPILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/str.h"
#include "device/cuda/cuda_library.h"

enum { CUDA_OPTIONS_MAX = 12 };

struct cuda_source {
    const char *name; /* of a kernel file: "rows", "attention",
                         "attention_plain", "fp8" */
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

/* What a card of compute capability MAJOR.MINOR has its kernels compiled for:
 * the highest of its MAJOR that NVRTC knows, at most its own. ERROR_USAGE:
 * there is none. */
bool cuda_compile_arch(const struct cuda_library *library, int major, int minor,
                       unsigned *arch, struct error *err);

/* CACHE_FOLDER NULL: nothing is kept. ERROR_DEVICE with NVRTC's first lines
 * when it does not compile: our mistake. */
bool cuda_compile(const struct cuda_library *library,
                  const struct cuda_source *source, const char *cache_folder,
                  struct memory *memory, struct cuda_image *image,
                  struct error *err);
void cuda_image_free(struct memory *memory, struct cuda_image *image);

/* Without a cache, TEXT instead of a kernel file's (NULL: its own), and what
 * NVRTC said of it appended to LOG, however it went: with the option
 * --ptxas-options=-v a report of registers, shared memory and spills. */
bool cuda_compile_logged(const struct cuda_library *library,
                         const struct cuda_source *source, const char *text,
                         struct memory *memory, struct cuda_image *image,
                         struct strbuf *log, struct error *err);

/* The text that NVRTC gets for kernel file NAME: prelude.cu, params.h,
 * the headers and the file, NUL-terminated; NULL if there is none. Made from
 * src/device/cuda/kernels when the program is built. */
const char *cuda_kernel_text(const char *name);

#endif
