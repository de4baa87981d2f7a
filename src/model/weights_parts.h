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

/* One loading, checking or measuring; kept, where layers come from the file. */
struct loader {
    const struct model_spec *spec;
    const struct model_files *files;
    const struct device *device;
    struct weights *weights;
    struct tensors *st;
    const char *prefix;
    bool *used;   /* [tensors_count] */
    float *stage; /* [stage_floats + lora_floats]: rows on their way to the
                     device, and what weights_lora.c needs */
    size_t stage_floats;
    struct strbuf missing, unexpected;
    size_t missing_count, unexpected_count;
};

/* ---- weights_check.c ---------------------------------------------------- */

const char *find_prefix(const struct tensors *st, const struct family *family);
/* RULE's own tensor, or the one that holds all parts; NULL if it is not there.
 */
const struct tensor *find_rule(const struct loader *loader,
                               const struct tensor_rule *rule, size_t layer);
const struct tensor *find_whole(const struct loader *loader,
                                const struct tensor_rule *rule, size_t layer);

/* Every tensor that the table asks for is there and fits, and there is no
 * other. */
bool check_encoder(struct loader *loader, struct error *err);

/* Is it of the right shape and of a type that we read? COLUMNS 0: a vector. */
bool check_tensor(const struct tensor *tensor, size_t rows, size_t columns,
                  const char *file, struct error *err);
bool check_dtype(const struct tensor *tensor, const char *file,
                 struct error *err);

/* ---- weights_place.c ---------------------------------------------------- */

size_t dim_size(const struct model_spec *spec, enum dim dim);
bool in_layer(const struct tensor_rule *rule);
size_t types_used(const struct model_spec *spec); /* rows of their table */
/* Rows of the joined matrix that RULE's tensor is a part of, in LAYER. */
size_t joined_rows(const struct model_spec *spec,
                   const struct tensor_rule *rule, size_t layer);
/* The row of the joined matrix where RULE's part begins, in LAYER. */
size_t part_begin(const struct model_spec *spec, const struct tensor_rule *rule,
                  size_t layer);
/* A table can stay in the file if its floats can be read where they are. */
bool stays_mapped(const struct loader *loader, const struct tensor *tensor);

void place_matrix(const struct loader *loader, struct layout *layout, size_t in,
                  size_t out, struct linear *linear);

/* Runs twice: first with empty layouts, to measure. What the device holds goes
 * to ON_DEVICE; the descriptions, and the layers that stream, to ON_HOST. */
void place_weights(const struct loader *loader, struct layout *on_device,
                   struct layout *on_host);

/* ---- weights_fill.c ----------------------------------------------------- */

size_t widest_row(const struct model_spec *spec); /* of any matrix */
bool fill_weights(struct loader *loader, struct error *err);
/* A layer's tensors to where LAYER says; the stage must be there. */
void fill_layer(const struct loader *loader, size_t number,
                struct layer_weights *layer);
uint64_t stage_bytes(const struct model_spec *spec); /* as memory counts it */
/* The first COUNT numbers of the stage, to where the layout has TO. */
void put_stage(const struct loader *loader, const float *to, size_t count);
/* Of a module's file; NULL where its source names none. */
struct module_tensors {
    const struct tensor *weight, *bias, *shortcut;
};
void fill_module(const struct loader *loader, size_t i,
                 const struct module_tensors *tensors);

/* ---- weights_modules.c -------------------------------------------------- */

/* Those among the encoder's tensors: marks them as used. */
bool check_modules_beside(struct loader *loader, struct error *err);
/* Those in files of their own, which are opened one after the other with
 * MEMORY. */
bool check_module_files(struct loader *loader, struct memory *memory,
                        struct error *err);
void place_modules(const struct loader *loader, struct layout *layout);
bool fill_modules(struct loader *loader, struct error *err);

/* Of the file that has TENSOR. */
const char *weights_path(const struct loader *loader,
                         const struct tensor *tensor);

/* ---- weights_lora.c ----------------------------------------------------- */

/* The adapters beside TENSOR, if there are any, fit and are marked as used. */
bool check_lora(struct loader *loader, const struct tensor *tensor,
                struct error *err);
/* Does the chosen task (spec->task) change TENSOR? */
bool has_lora(const struct loader *loader, const struct tensor *tensor);
/* To ROWS [count, columns], which are TENSOR's from row FIRST on, add what the
 * chosen task's adapter adds. */
void add_lora(const struct loader *loader, const struct tensor *tensor,
              size_t first, size_t count, float *rows);
size_t lora_floats(const struct model_spec *spec);

/* ---- weights_folded.c --------------------------------------------------- */

/* Where the spec has a folded table: is what stands beside it in the files of
 * the right shape and kind, and does it name only rows that there are? Marks it
 * as used. */
bool check_folded(struct loader *loader, struct error *err);
/* Rows [first, first + count) of the unfolded TABLE, to the stage. */
void read_folded(const struct loader *loader, const struct tensor *table,
                 size_t first, size_t count);

/* ---- weights_made.c ----------------------------------------------------- */

/* Fill the tables that no file has: rotary positions, ALiBi's slopes, rows of
 * relative positions. */
void fill_made(const struct loader *loader);
/* [heads] */
void alibi_slopes(size_t heads, float *slopes);
/* A row of norm->width on the host, as the norm's scale and shift are here. */
void norm_row(const struct norm *norm, float *x);
/* T5's and MPNet's bucket of the key BEHIND rows behind the query. */
size_t distance_bucket(const struct model_spec *spec, long behind);
/* DeBERTa's row for a query DISTANCE rows behind the key. */
uint32_t relative_row(const struct model_spec *spec, long distance);

/* ---- weights_stream.c --------------------------------------------------- */

unsigned stream_slots(const struct weights *weights);
void stream_stop(struct weights *weights);

#endif
