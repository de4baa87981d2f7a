/* operands.h - what a device's verbs are given besides rows: the parts of a
 * layer (matrices, norms, tables, attention, experts), and which rows are whose
 * text. What is done with them is said at the verbs, in device.h.
 *
 * Shapes are row-major. All of it is borrowed. Pointers named with (device)
 * live where the device computes; device.h says who may read and write there.
 */

#ifndef DEVICE_OPERANDS_H
#define DEVICE_OPERANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows of numbers in the device's type; never defined. */
struct narrow;

enum activation {
    ACTIVATION_NONE,
    ACTIVATION_GELU,      /* x * (1 + erf(x / sqrt 2)) / 2 */
    ACTIVATION_GELU_TANH, /* the tanh form */
    ACTIVATION_RELU,
    ACTIVATION_SILU,
    ACTIVATION_TANH,
    ACTIVATION_SIGMOID,
};

enum pooling {
    POOLING_CLS,           /* first row */
    POOLING_LAST,          /* last row */
    POOLING_MEAN,          /* sum / count */
    POOLING_MEAN_SQRT,     /* sum / sqrt(count) */
    POOLING_WEIGHTED_MEAN, /* row i (from 0, skipped ones counted) weighs i + 1
                            */
    POOLING_MAX,
};

/* y = x W^T + b; WEIGHTS as device_linear_pack makes them. */
struct linear {
    size_t in, out;
    const void *weights; /* (device) packed as the device likes it */
    const float *bias;   /* (device) [out], NULL: none */
    bool behind_gate;    /* its rows come from device_gate, which a device of
                            f16 scales down (they are products, and may leave
                            its range) and this undoes */
    bool before_gate;    /* the narrow rows that it makes are read by
                            device_gate alone, before its x is written over */
    size_t feeds;        /* outputs of the one matrix that reads, once, the
                            narrow rows that it makes, or that a gate makes of
                            them: their form is the device's own matter then.
                            0: they may be read by others */
};

/* Row by row: (x - mean) / sqrt(variance + epsilon) * scale + shift, or with
 * RMS x / sqrt(mean of x * x + epsilon) * scale + shift. */
struct norm {
    size_t width;       /* 0: there is no such norm */
    const float *scale; /* (device) [width], NULL: none */
    const float *shift; /* (device) [width], NULL: none */
    float epsilon;
    bool rms;
    size_t feeds; /* as a matrix's, of z */
};

/* words * scale, and the rows of up to two more tables. */
struct embedding {
    size_t width;
    size_t vocab, positions;
    const void *words;    /* (device) [vocab, width], a table: numbers as
                             device_table_put leaves them, or floats in place
                             where device->host_memory */
    float scale;          /* of words; 1 for most */
    const void *position; /* (device) a table [positions, width], NULL: none */
    const void *type;     /* (device) a table [types, width]; NULL: none */
    size_t types; /* 1 or 2: rows of TYPE (with 1, all tokens have type 0) */
    size_t position_first;    /* the position id of a text's first token */
    bool pad_has_no_position; /* a token PAD has the id before the first, and
                                 the next one goes on as if it were not there */
    uint32_t pad;
};

/* Rotary positions (RoPE): of each query and key head the first DIMS numbers
 * are taken as DIMS / 2 pairs, and pair p of the token in row i of its text is
 * turned by an angle: (a, b) to (a cos - b sin, b cos + a sin). */
struct rotary {
    size_t dims;         /* even, <= head_dim; 0: nothing is turned */
    size_t positions;    /* rows of the tables: no text is longer */
    const float *cosine; /* (device) [positions, dims / 2] */
    const float *sine;   /* (device) [positions, dims / 2] */
    bool interleaved;    /* pair p is (2p, 2p + 1), not (p, p + dims / 2) */
};

/* DeBERTa's disentangled attention (He et al. 2021): besides q_i . k_j the
 * score of query i and key j has q_i . kr[r] + k_j . qr[r], all times the
 * scale, where r = row[reach + d] for d = i - j, and kr, qr are the K and Q
 * parts of row r of TABLE, which is laid out as qkv is. */
struct relative {
    size_t rows; /* of the table, at most RELATIVE_MAX; 0: no such
                    attention */
    const struct narrow *table; /* (device)
                            [rows, heads + 2 * kv_heads, head_dim];
                            kv_heads is heads */
    const uint32_t *row; /* (device) [2 * reach + 1]: at reach + d the row for
                            distance d, d taken as at most reach either way */
    size_t reach;
};
enum { RELATIVE_MAX = 8192 };

/* A feed-forward block of which each token passes through the CHOSEN most
 * likely of COUNT: y = sum of p_e * down_e(activation(up_e x)) in the order of
 * e, and SHIFT once, where p is the softmax of the router's rows over all of
 * them, not made to sum to 1 again. Of equal ones the first is taken. */
struct experts {
    size_t count, chosen;    /* count 0: there are none; at most EXPERTS_MAX */
    struct linear router;    /* [count, in] */
    const struct linear *up; /* host memory, [count] of [inter, in]; all of
                                the shape that the first has, and so below */
    const struct linear *down; /* host memory, [count] of [out, inter] */
    const float *shift;        /* (device) [out], NULL: none */
    enum activation activation;
};
enum { EXPERTS_MAX = 64 };

/* What device_accumulate does with each number of a row. */
enum accumulate {
    ACCUMULATE_MAX,       /* y = max(y, x) */
    ACCUMULATE_SUM,       /* y += max(x, 0) */
    ACCUMULATE_SUM_LOG1P, /* y += log(1 + max(x, 0)) */
};

enum { HEAD_DIM_MAX = 8192 }; /* numbers of a head that attention takes */

/* Queries, keys and values lie in one row a token: [heads + 2 * kv_heads,
 * head_dim], Q before K before V; query head h reads the keys and values of
 * head h / (heads / kv_heads). A query sees itself, unless
 * sequences.keys hides it. What is added to scores is finite. */
struct attention {
    size_t heads, kv_heads, head_dim; /* kv_heads divides heads */
    float scale;            /* on the scores, usually 1 / sqrt(head_dim) */
    size_t behind, ahead;   /* query i sees the keys i - behind ... i + ahead of
                               its text; SIZE_MAX: all that way. Causal: ahead
                               is 0 */
    const float *distances; /* (device) [heads, 2 * reach + 1]: added to the
                               score of query i and key j is the number at
                               reach + d for d = j - i, d taken as at most
                               reach either way; NULL: none */
    size_t reach;
    const float *slopes; /* (device) [heads]: slope * |i - j| is taken from the
                            score of query i and key j (ALiBi, both ways);
                            NULL: none */
    struct relative relative; /* rows 0: none */
    struct rotary rotary;     /* dims 0: none */
};

/* Which rows of a text are meant. */
enum rows_meant {
    ROWS_ALL,
    ROWS_FIRST, /* its first alone */
    ROWS_LAST,
};

/* The one row of a text that POOLING copies; ROWS_ALL: it reads them all. */
static inline enum rows_meant pooling_row(enum pooling pooling) {
    return pooling == POOLING_CLS    ? ROWS_FIRST
           : pooling == POOLING_LAST ? ROWS_LAST
                                     : ROWS_ALL;
}

/* And back: what copies the row ROW, which is one. */
static inline enum pooling pooling_of_row(enum rows_meant row) {
    return row == ROWS_FIRST ? POOLING_CLS : POOLING_LAST;
}

/* A packed batch, or a piece of one. Host memory. */
struct sequences {
    size_t texts;
    const uint32_t *starts; /* [texts + 1]: text t begins in row
                               sequences_row(s, t); starts[0] may be anything,
                               so that it can point into a larger batch */
    size_t skip; /* device_pool only: rows at the start of each text (a
                    prompt's) that do not count */
    const uint32_t *second; /* device_embed only: [texts] the row in its text
                               from which on tokens have type 1; NULL: none */
    const uint32_t *keys;   /* device_attention only: [texts] the first so many
                               rows of a text, at least one, are all that its
                               rows see of it (a query's tokens, and not what it
                               was filled up with); NULL: all are. A row whose
                               window has none of them sees the window's first */
    enum rows_meant meant;  /* device_attention: the rows whose context is read,
                               the others may be left as they are.
                               device_pick: the row that is picked */
};

static inline size_t sequences_row(const struct sequences *s, size_t text) {
    return s->starts[text] - s->starts[0];
}

static inline size_t sequences_rows(const struct sequences *s) {
    return sequences_row(s, s->texts);
}

#endif
