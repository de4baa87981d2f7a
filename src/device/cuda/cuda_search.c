#include "device/cuda/cuda_search.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

/* Below site-packages: the wheels of CUDA 13 share a folder, those of 12 have
 * one each. lib64 and targets are a toolkit's. */
static const char *const below[] = {
    "",
    "lib64/",
    "lib/",
    "targets/x86_64-linux/lib/",
    "nvidia/cu13/lib/",
    "nvidia/cublas/lib/",
    "nvidia/cuda_nvrtc/lib/",
};

void cuda_search(const char *name, const char *const *folders,
                 cuda_search_visit *visit, void *context) {
    visit(context, name);
    for (; folders && *folders; folders++)
        for (size_t i = 0; **folders && i < sizeof below / sizeof *below; i++) {
            char path[PATH_MAX];
            int size = snprintf(path, sizeof path, "%s/%s%s", *folders,
                                below[i], name);
            if (size > 0 && (size_t)size < sizeof path &&
                access(path, F_OK) == 0)
                visit(context, path);
        }
}
