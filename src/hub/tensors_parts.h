/* tensors_parts.h - the tensors of some files while they are opened: what
 * tensors.c owns, and what the readers of its formats fill in. Inside hub/
 * only. */

#ifndef HUB_TENSORS_PARTS_H
#define HUB_TENSORS_PARTS_H

#include "base/arena.h"
#include "base/file.h"
#include "base/map.h"
#include "hub/tensors.h"

struct dtype_row {
    const char *name; /* as safetensors spells it */
    unsigned bits;
    enum tensor_dtype dtype;
};

struct source {
    const char *path; /* for messages; in the arena */
    struct file_map map;
    bool borrowed; /* the bytes are the caller's */
};

struct tensors {
    struct memory *memory;
    struct arena arena;
    struct source *sources; /* [sources_count], in the arena */
    size_t sources_count;
    struct tensor *tensors; /* [count], owned: by file */
    size_t count, capacity;
    struct map names;
};

/* NULL for a name that safetensors does not know. */
const struct dtype_row *dtype_find(const char *name);

/* Room for COUNT more; then one after the other. TENSOR's name lies in the
 * arena, its file is the one that is read. */
bool tensors_reserve(struct tensors *st, size_t count, struct error *err);
bool tensors_add(struct tensors *st, const struct tensor *tensor,
                 struct error *err);

/* Read source FILE: safetensors.c, torch_file.c. */
bool safetensors_read(struct tensors *st, unsigned file, struct error *err);
bool torch_file_read(struct tensors *st, unsigned file, struct error *err);
/* Do these bytes begin as torch.save's do? */
bool torch_file_is(struct str bytes);

#endif
