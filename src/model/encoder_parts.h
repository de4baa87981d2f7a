/* encoder_parts.h - between encoder.c (the transformer) and heads.c (what is
 * made of its last rows).
 */

#ifndef MODEL_ENCODER_PARTS_H
#define MODEL_ENCODER_PARTS_H

#include "base/layout.h"
#include "model/encoder.h"

/* What a lane holds while a group of texts goes through. (device)
 *
 * A block reads NARROW. Where norms stand behind blocks (NORM_BEHIND and
 * NORM_TWICE) it holds x, rounded, whenever a layer begins: what writes x
 * there, writes it too. Elsewhere a block begins with the norm that writes it.
 *
 * Where narrow numbers are floats, pieces that are not needed at the same time
 * are one: NARROW is X where it would hold the same. */
struct lane_work {
    float *x;                /* [group_tokens, hidden] the residual stream */
    struct narrow *narrow;   /* [group_tokens, hidden or embedding] what a block
                                reads */
    float *other;            /* likewise; NULL: nothing needs it */
    struct narrow *inside;   /* [group_tokens, ...] the inside of a block, and
                                what the heads' matrices read */
    void *attention;         /* the device's own scratch */
    void *experts;           /* likewise */
    void *room;              /* device_lane_bytes of the device */
    struct narrow *relative; /* [relative_rows, qkv] */
    /* heads.c's; NULL where the model gives no such head */
    float *pooled;    /* [group_tokens, head width] */
    float *projected; /* likewise */
    float *words;     /* [DECODED_ROWS, vocab] of SPLADE's decoder */
    float *text;      /* [vocab] what a text's rows come to ... */
    float *lost;      /* ... and what its sums lost; NULL: no sums */
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

/* Row ROW of narrow rows of WIDTH. */
static inline struct narrow *narrow_row(const struct device *device,
                                        struct narrow *rows, size_t row,
                                        size_t width) {
    return (struct narrow *)(void *)((char *)rows +
                                     row * width * device->narrow_bytes);
}

/* Numbers a row that the heads' matrices read, at most. */
size_t heads_width(const struct model_spec *spec);

/* The heads' part of a lane's workspace for groups of ROWS. */
void heads_place(struct layout *layout, const struct model_spec *spec,
                 size_t rows, struct lane_work *work);

/* From work->x to what the group's `out` asks for, in host memory when the
 * submit is finished. May overwrite work->x, narrow, other
 * and inside. */
void heads_run(const struct model_spec *spec, const struct weights *weights,
               struct lane *lane, const struct lane_work *work,
               const struct group *group);

#endif
