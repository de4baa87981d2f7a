/* encoder_parts.h - between encoder.c (the transformer) and heads.c (what is
 * made of its last rows).
 */

#ifndef MODEL_ENCODER_PARTS_H
#define MODEL_ENCODER_PARTS_H

#include "base/layout.h"
#include "model/encoder.h"

/* What a lane holds while a group of texts goes through. (device) */
struct lane_work {
    float *x;         /* [group_tokens, hidden] the residual stream */
    float *normed;    /* [group_tokens, hidden] what a block reads, where norms
                         go before it; NULL: NORM_BEHIND */
    float *wide;      /* [group_tokens, ...] the inside of a block */
    void *attention;  /* the device's own scratch */
    void *experts;    /* likewise */
    float *relative;  /* [relative_rows, qkv] */
    uint32_t *starts; /* [group_tokens + 1] the group's own, from 0 */
    /* heads.c's; NULL where the model gives no such head */
    float *pooled;    /* [group_tokens, head width] */
    float *projected; /* likewise */
    float *words;     /* [DECODED_ROWS, vocab] of SPLADE's decoder */
    float *text;      /* [vocab] what a text's rows come to */
    float *token;     /* [group_tokens, token width] multivectors ... */
    float *token_too; /* ... and the layer before */
};

enum { DECODED_ROWS = 64 };

/* Whole texts of a batch that go through together. */
struct group {
    const struct encoder_batch *batch;
    size_t first; /* text of the batch */
    struct sequences texts;
    const uint32_t *ids;
    const struct encoder_output *out; /* the batch's */
};

/* The heads' part of a lane's workspace for groups of ROWS. */
void heads_place(struct layout *layout, const struct model_spec *spec,
                 size_t rows, struct lane_work *work);

/* From work->x to what the group's `out` asks for, in host memory when the
 * submit is finished. May overwrite work->x, normed and wide. */
void heads_run(const struct model_spec *spec, const struct weights *weights,
               struct lane *lane, const struct lane_work *work,
               const struct group *group);

#endif
