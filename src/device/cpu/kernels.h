/* kernels.h - what one instruction set computes, on one thread.
 *
 * kernels.inc is compiled once for each instruction set and fills one of these
 * tables; cpu.c chooses a table when the device is opened, and cpu_*.c say
 * which thread does which rows and columns. Nothing here allocates, and no
 * split of rows, columns or texts changes a bit of a result.
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

/* The query heads of one text that read the same keys and values. */
struct attention_job {
    const struct attention *attention;
    size_t kv_head;
    size_t rows;                     /* of the text */
    size_t keys;                     /* the first so many of them are seen */
    size_t table_begin, table_count; /* rows of the relative table that occur
                                        between two rows of the text */
    const float *qkv; /* [rows, heads + 2 * kv_heads, head_dim] */
    float *scratch; /* bytes of the kernels: packed K and V, and of the relative
                       table packed K and its Q times all K */
    float *context; /* [rows, heads, head_dim] */
};

/* A matrix stays floats, whatever the type, where it has so few rows that it
 * costs nothing and decides much (a router, a classifier), or rows so long that
 * a sum of their whole numbers could leave 32 bits. */
enum { NARROW_OUT_MIN = 16, NARROW_IN_MAX = 65536 };

/* Matrices of one type of numbers: how they are packed and multiplied by. */
struct products {
    size_t panel_columns; /* linear's pieces begin at multiples of these */
    size_t tile_rows;     /* a good piece of rows is a multiple of this */
    size_t buffer_bytes;  /* what a thread needs, whatever the shapes */
    size_t (*pack_bytes)(size_t in, size_t out);
    void (*pack)(const float *weights, size_t in, size_t out, size_t row_begin,
                 size_t row_count, void *packed);
    void (*linear)(const struct linear_job *job, size_t row_begin,
                   size_t row_end, size_t panel_begin, size_t panel_end,
                   float *buffer);
};

/* Attention whose two products are of one type of numbers. Scores, softmax and
 * sums are floats in all. */
struct attention_kernels {
    size_t panel_rows;   /* what is packed at a time begins at multiples */
    size_t buffer_bytes; /* as products have */
    /* Of one job; reads numbers only, no (device) memory. */
    size_t (*bytes)(const struct attention *attention, size_t rows);
    /* Rows [begin, end) of the text, begin a multiple of panel_rows; end too,
     * or the text's. */
    void (*pack)(const struct attention_job *job, size_t begin, size_t end,
                 float *buffer);
    /* Rows [begin, end) of table_count, in the same way. */
    void (*pack_table)(const struct attention_job *job, size_t begin,
                       size_t end);
    /* Query rows [begin, end) of one of the job's heads, once all is packed. */
    void (*rows)(const struct attention_job *job, size_t head, size_t begin,
                 size_t end, float *buffer);
};

struct kernels {
    struct products products; /* of floats */
    struct attention_kernels attention;
    /* IDS and rows are those of one text; from row SECOND on the type is 1. */
    void (*embed)(const struct embedding *embedding, const uint32_t *ids,
                  size_t rows, size_t second, float *y);
    /* RESIDUAL may be NULL; rows lie STRIDE floats apart in all three. */
    void (*norm)(const struct norm *norm, const float *x, size_t rows,
                 const float *residual, size_t stride, float *y);
    /* HEADS heads of HEAD_DIM in the row of the token at POSITION. */
    void (*rotate)(const struct rotary *rotary, size_t position, size_t heads,
                   size_t head_dim, float *row);
    void (*gate)(enum activation activation, const float *x, size_t rows,
                 size_t width, float *y);
    void (*add_times)(const float *x, float factor, size_t width, float *y);
    /* Rows [first, rows) of a text, first < rows. */
    void (*pool)(enum pooling pooling, const float *x, size_t first,
                 size_t rows, size_t width, float *y);
    void (*normalize)(float *x, size_t rows, size_t width);
    /* COLUMNS columns of rows STRIDE floats apart; LOST may be NULL. */
    void (*accumulate)(enum accumulate how, const float *x, size_t rows,
                       size_t stride, size_t columns, float *y, float *lost);
};

extern const struct kernels kernels_generic;
extern const struct products int8_generic, bf16_generic;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2, kernels_avx512;
extern const struct products int8_avx2, int8_avx2vnni, int8_avx512,
    int8_avx512vnni;
extern const struct products bf16_avx2, bf16_avx512, bf16_avx512bf16;
extern const struct attention_kernels attention_avx512bf16;
#endif

/* What an instruction set has for one type of numbers. */
struct isa {
    const char *name; /* "avx512+vnni" */
    const struct kernels *kernels;
    const struct products *products; /* NULL: the kernels', floats */
    /* NULL: the kernels', floats. bf16 only where there is an instruction for
     * it: emulated it would be slower than floats. */
    const struct attention_kernels *attention;
    unsigned needs; /* PROCESSOR_* of the machine */
};

/* The INDEX-th that this machine can run, best first; NULL past the end. */
const struct isa *isa_usable(enum number_type type, size_t index);

#endif
