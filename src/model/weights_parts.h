/* weights_parts.h - between the files that make weights_load: names and checks
 * (weights_check.c), where each tensor goes (weights_place.c), what is put
 * there (weights_fill.c), and the layers that stream (weights_stream.c).
 */

#ifndef MODEL_WEIGHTS_PARTS_H
#define MODEL_WEIGHTS_PARTS_H

#include "base/layout.h"
#include "base/str.h"
#include "model/family.h"
#include "model/spec.h"
#include "model/weights.h"

enum { NAME_MAX_BYTES = 256 };

/* One loading, checking or measuring. */
struct loader {
    const struct model_spec *spec;
    const struct model_files *files;
    const struct device *device;
    struct weights *weights;
    struct tensors *st;
    const char *prefix;
    bool *used;   /* [tensors_count] */
    float *stage; /* [loader_stage_floats]: rows on their way to the device */
    size_t stage_floats;
    struct strbuf missing, unexpected;
    size_t missing_count, unexpected_count;
};

/* ---- weights_check.c ---------------------------------------------------- */

const char *find_prefix(const struct tensors *st, const struct family *family);
const struct tensor *find_rule(const struct loader *loader,
                               const struct tensor_rule *rule, size_t layer);

/* Every tensor that the table asks for is there and fits, and there is no
 * other. */
bool check_encoder(struct loader *loader, struct error *err);

/* A Dense module has a file of its own, with exactly these tensors. BIAS is
 * NULL where it has none. NULL if they are not there; the caller closes. */
struct tensors *open_dense(const struct loader *loader, size_t i,
                           struct memory *memory, const struct tensor **weight,
                           const struct tensor **bias, struct error *err);

/* ---- weights_place.c ---------------------------------------------------- */

size_t dim_size(const struct model_spec *spec, enum dim dim);
bool in_layer(const struct tensor_rule *rule);
size_t types_used(const struct model_spec *spec); /* rows of their table */
/* The row of the joined matrix where RULE's part begins, in LAYER. */
size_t part_begin(const struct model_spec *spec, const struct tensor_rule *rule,
                  size_t layer);
/* A table can stay in the file if its floats can be read where they are. */
bool stays_mapped(const struct tensor *tensor);

/* Runs twice: first with empty layouts, to measure. What the device holds goes
 * to ON_DEVICE; the descriptions, and the layers that stream, to ON_HOST. */
void place_weights(const struct loader *loader, struct layout *on_device,
                   struct layout *on_host);

/* ---- weights_fill.c ----------------------------------------------------- */

size_t stage_floats(const struct model_spec *spec);
bool fill_weights(struct loader *loader, struct error *err);

/* ---- weights_made.c ----------------------------------------------------- */

/* Fill the tables that no file has: rotary positions, ALiBi's slopes, rows of
 * relative positions; norm DeBERTa's table. */
void fill_made(const struct model_spec *spec, struct weights *weights);

/* ---- weights_stream.c --------------------------------------------------- */

void stream_stop(struct weights *weights);

#endif
