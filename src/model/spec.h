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
    size_t vocab, positions, types;
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

/* Width of the pooled vector before any Dense module. */
size_t model_spec_pooled_width(const struct model_spec *spec);

/* The widest row that pooling and the Dense modules pass through. */
size_t model_spec_head_width(const struct model_spec *spec);

#endif
