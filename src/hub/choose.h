/* choose.h - which files of a repository a model here is made of.
 *
 * In the folder of the repository and in those that its modules.json names:
 * configurations, the tokenizer's files, the files of heads (sparse_linear.pt),
 * and the weights in one form: model.safetensors or, where there is none, the
 * shards and their index, else pytorch_model.bin or its shards. Not the same
 * weights once more in other formats, no pictures, no code.
 */

#ifndef HUB_CHOOSE_H
#define HUB_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "hub/repo_tree.h"

struct choice {
    const struct repo_file **files; /* in the order in which to fetch them */
    size_t count;
};

/* Can there be a model in the repository at all? To be asked before anything of
 * it is in the cache. ERROR_UNSUPPORTED as below. */
bool choose_possible(const struct repo_tree *tree, const char *id,
                     struct error *err);

/* MODULES is the content of modules.json, or NULL where there is none.
 * ERROR_UNSUPPORTED for a repository without config.json (a StaticEmbedding has
 * none) or weights. */
bool choose_files(struct arena *arena, const struct repo_tree *tree,
                  const json_t *modules, const char *id, struct choice *choice,
                  struct error *err);

#endif
