/* registry.h - the short names of models, which are those of the system that
 * this replaces, and what we know of them beyond their own files. */

#ifndef HUB_REGISTRY_H
#define HUB_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

enum registry_kind {
    REGISTRY_DENSE,
    REGISTRY_SPARSE,
    REGISTRY_RERANK,
    REGISTRY_BI_ENCODER, /* a dense model that reranks: by its cosine */
    REGISTRY_BM25,       /* no model and no files: BM25 is our own */
};

struct registry_entry {
    const char *key;
    const char *id;         /* the hub id that we run */
    const char *stands_for; /* an id without safetensors that ID replaces, or
                               NULL */
    enum registry_kind kind;
    size_t width; /* the model's own; 0: not a dense one */
    size_t max_tokens;
    bool gated;           /* the hub gives it to accounts that took its terms */
    size_t matryoshka[8]; /* declared widths, 0-terminated */
    const char *family;   /* "bert": what it takes to run it */
};

/* NULL after the last. */
const struct registry_entry *registry_at(size_t i);
/* By key, id or the id that is stood for, in this order, letters of any case;
 * NULL if there is none. */
const struct registry_entry *registry_find(const char *name);
/* By key only. */
const struct registry_entry *registry_find_key(const char *key);
/* The entry whose id is run instead of ID. */
const struct registry_entry *registry_find_replaced(const char *id);

#endif
