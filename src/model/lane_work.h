/* lane_work.h - what a lane works on, a group of texts, and with what: its part
 * of the encoder's workspace, and how large that is.
 *
 *     struct layout measure = {0};
 *     lane_work_place(&measure, spec, device, rows, attention_bytes);
 *     struct layout real = {.base = block};            // measure.bytes of it
 *     struct lane_work work = lane_work_place(&real, spec, device, rows,
 *                                             attention_bytes);
 *
 * transformer.c and heads.c write there and allocate nothing; who reads what
 * when, and therefore which pieces can be one, is said at the struct. The block
 * is the caller's.
 */

#ifndef MODEL_LANE_WORK_H
#define MODEL_LANE_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/layout.h"
#include "device/device.h"
#include "model/encoder.h"
#include "model/spec.h"

/* What a lane holds while a group of texts goes through. (device)
 *
 * A block reads NARROW. Where norms stand behind blocks (NORM_BEHIND and
 * NORM_TWICE) it holds x, rounded, whenever a layer begins: what writes x
 * there, writes it too. Elsewhere a block begins with the norm that writes it.
 *
 * Where narrow numbers are floats, pieces that are not needed at the same time
 * are one: NARROW is X where it would hold the same. */
struct lane_work {
    size_t rows;             /* of the largest group */
    float *x;                /* [rows, hidden] the residual stream */
    struct narrow *narrow;   /* [rows, hidden or embedding] what a block
                                reads */
    float *other;            /* likewise; NULL: nothing needs it */
    struct narrow *inside;   /* [rows, ...] the inside of a block, and
                                what the heads' matrices read */
    void *attention;         /* the device's own scratch */
    void *experts;           /* likewise */
    void *room;              /* device_lane_bytes of the device */
    struct narrow *relative; /* [relative_rows, qkv] */
    /* heads.c's; NULL where the model gives no such head */
    float *pooled;    /* [rows, head width] */
    float *projected; /* likewise */
    float *words;     /* [DECODED_ROWS, vocab] of SPLADE's decoder */
    float *text;      /* [vocab] what a text's rows come to ... */
    float *lost;      /* ... and what its sums lost; NULL: no sums */
    float *token;     /* [rows, token width] multivectors ... */
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
    enum rows_meant read;             /* by the heads, of the last layer */
};

/* Row ROW of narrow rows of WIDTH. */
static inline struct narrow *narrow_row(const struct device *device,
                                        struct narrow *rows, size_t row,
                                        size_t width) {
    return (struct narrow *)(void *)((char *)rows +
                                     row * width * device->narrow_bytes);
}

/* Do blocks begin with x as it is? */
static inline bool norms_behind(const struct model_spec *spec) {
    enum norm_order order = spec->family->norms;
    return order == NORM_BEHIND || order == NORM_TWICE;
}

/* For groups of ROWS at most, with what device_attention_bytes says of the
 * longest text. Runs twice: first with an empty layout, to measure. */
struct lane_work lane_work_place(struct layout *layout,
                                 const struct model_spec *spec,
                                 const struct device *device, size_t rows,
                                 size_t attention_bytes);

/* The second piece of the inside, behind ROWS of WIDTH. Devices that cannot be
 * written to by the host want pieces to begin as blocks do. */
struct narrow *lane_work_behind(const struct device *device,
                                const struct lane_work *work, size_t rows,
                                size_t width);

#endif
