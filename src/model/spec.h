/* spec.h - what a model is, in numbers: its config.json read against the table
 * of families, and the modules that make a sentence vector of its rows.
 *
 * The words for sizes are the same everywhere: hidden (width of a token),
 * inter (width inside the feed-forward block), heads, head_dim, vocab, width
 * (of the sentence vector).
 */

#ifndef MODEL_SPEC_H
#define MODEL_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "device/device.h"
#include "hub/model_files.h"
#include "model/family.h"

struct dense_spec {
    size_t in, out;
    bool bias;
    enum activation activation;
};

struct model_spec {
    const struct family *family;
    size_t hidden, layers, heads, head_dim, inter;
    size_t depth; /* times that a text goes through a layer: layers, or more
                     where layers are shared */
    size_t vocab, positions, types, buckets; /* 0: the family has none */
    size_t embedding;                        /* width of the tables */
    bool projects;         /* from that to hidden, by a matrix */
    size_t position_first; /* of a text's first token */
    bool pad_has_no_position;
    uint32_t pad;
    float norm_epsilon;
    enum activation activation;

    size_t max_length; /* tokens a text may have, special ones included */

    enum pooling pooling[POOLING_MODES_MAX]; /* concatenated in this order */
    size_t pooling_count;
    bool pooling_include_prompt;
    struct dense_spec dense[DENSE_MAX];
    size_t dense_count;
    bool normalize;
    size_t width; /* of the vector that comes out */
};

/* False and ERROR_UNSUPPORTED (an architecture, an option of it: by name),
 * ERROR_INPUT (numbers that cannot be). */
bool model_spec_read(const struct model_files *files, struct model_spec *spec,
                     struct error *err);

/* Only the family and its sizes, of a config.json at PATH, whose model need
 * not be one that we can compute otherwise. */
bool model_spec_read_sizes(const json_t *config, const char *path,
                           struct model_spec *spec, struct error *err);

/* The layer that a text goes through at STEP < depth. */
size_t model_spec_layer(const struct model_spec *spec, size_t step);

/* Width of the pooled vector before any Dense module. */
size_t model_spec_pooled_width(const struct model_spec *spec);

/* The widest row that pooling and the Dense modules pass through. */
size_t model_spec_head_width(const struct model_spec *spec);

#endif
