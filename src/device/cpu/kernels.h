/* kernels.h - what one instruction set computes, on one thread.
 *
 * kernels.inc is compiled once for each instruction set and fills one of these
 * tables; cpu.c chooses a table when the device is opened, and says which
 * thread does which rows and columns. Nothing here allocates, and no split of
 * rows, columns or texts changes a bit of a result.
 */

#ifndef DEVICE_CPU_KERNELS_H
#define DEVICE_CPU_KERNELS_H

#include "device/device.h"

struct linear_job {
    const struct linear *linear;
    enum activation activation;
    const float *x;        /* [rows, in] */
    const float *residual; /* [rows, out], NULL: none; may be y */
    float *y;              /* [rows, out] */
};

/* One head of one text. */
struct attention_job {
    size_t heads, head_dim, head;
    float scale;
    const float *distances; /* [2 * reach + 1] of the head, or NULL */
    size_t reach;
    size_t rows;
    const float *qkv; /* [rows, 3, heads, head_dim] */
    float *scratch;   /* attention_bytes; packed K and V */
    float *context;   /* [rows, heads, head_dim] */
};

struct kernels {
    const char *isa;
    size_t panel_columns; /* linear's pieces begin at multiples of these */
    size_t tile_rows;     /* a good piece of rows is a multiple of this */
    size_t buffer_bytes;  /* what a thread needs, whatever the shapes */

    size_t (*pack_bytes)(size_t in, size_t out);
    void (*pack)(const float *weights, size_t in, size_t out, size_t row_begin,
                 size_t row_count, void *packed);
    void (*linear)(const struct linear_job *job, size_t row_begin,
                   size_t row_end, size_t panel_begin, size_t panel_end,
                   float *buffer);
    size_t (*attention_bytes)(size_t head_dim, size_t rows); /* a head's */
    void (*attention_pack)(const struct attention_job *job, size_t begin,
                           size_t end); /* begin: multiple of panel_columns */
    void (*attention_rows)(const struct attention_job *job, size_t begin,
                           size_t end, float *buffer);
    /* IDS and rows are those of one text. */
    void (*embed)(const struct embedding *embedding, const uint32_t *ids,
                  size_t rows, float *y);
    void (*norm)(const struct norm *norm, const float *x, size_t rows,
                 float *y);
    /* Rows [first, rows) of a text, first < rows. */
    void (*pool)(enum pooling pooling, const float *x, size_t first,
                 size_t rows, size_t width, float *y);
    void (*normalize)(float *x, size_t rows, size_t width);
};

extern const struct kernels kernels_generic;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avx512;
#endif

/* The tables that this machine can run, best first, NULL at the end. */
const struct kernels *const *kernels_usable(void);
const char *const *kernels_names(void); /* of the same, in the same order */

#endif
