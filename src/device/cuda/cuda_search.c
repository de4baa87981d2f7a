#include "device/cuda/cuda_search.h"

#include <elf.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

/* Below site-packages: the wheels of CUDA 13 share a folder, those of 12 have
 * one each. lib64 and targets are a toolkit's. */
static const char *const below[] = {
    "",
    "lib64/",
    "lib/",
#if defined(__aarch64__)
    "targets/sbsa-linux/lib/",
#else
    "targets/x86_64-linux/lib/",
#endif
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

static bool is_elf64(const struct file_map *map) {
    return map->size >= sizeof(Elf64_Ehdr) &&
           memcmp(map->data, ELFMAG, SELFMAG) == 0 &&
           map->data[EI_CLASS] == ELFCLASS64;
}

static bool is_within(const struct file_map *map, uint64_t offset,
                      uint64_t bytes) {
    return offset <= map->size && bytes <= map->size - offset;
}

static bool parts_are_within(const struct file_map *map) {
    Elf64_Ehdr header;
    memcpy(&header, map->data, sizeof header);
    uint64_t bytes = (uint64_t)header.e_phnum * sizeof(Elf64_Phdr);
    if (!is_within(map, header.e_phoff, bytes))
        return false;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr part;
        memcpy(&part, map->data + header.e_phoff + i * sizeof part,
               sizeof part);
        if (part.p_type == PT_LOAD &&
            !is_within(map, part.p_offset, part.p_filesz))
            return false;
    }
    return true;
}

bool cuda_file_is_cut(const char *path) {
    struct file_map map;
    if (!file_map_open(&map, path, NULL))
        return false;
    bool cut = is_elf64(&map) && !parts_are_within(&map);
    file_map_close(&map);
    return cut;
}
