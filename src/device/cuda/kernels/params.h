/* params.h - what the host hands to each kernel: one struct a kernel, by value.
 *
 * The same text is read by the host's C compiler, by NVRTC as the first lines
 * of each kernel file, and by the C++ compiler of the tests, so both sides have
 * one layout. It includes nothing (NVRTC has no headers) and uses only types
 * that have one size everywhere: unsigned and float are 4 bytes, pointers 8.
 *
 * A kernel `f` takes `struct f_params`. Pointers are the device's. `narrow` is
 * a number of the module's NARROW type: 0 float, 1 f16, 2 bf16; to the host it
 * is void. Rows and their widths are as device.h has them; counts of numbers
 * that may exceed 32 bits are unsigned long long. No struct has a gap
 * (`unused`): what the driver copies is all set.
 */

#ifndef DEVICE_CUDA_KERNELS_PARAMS_H
#define DEVICE_CUDA_KERNELS_PARAMS_H

#ifdef NARROW
typedef narrow *narrow_rows;
typedef const narrow *narrow_rows_in;
#else
typedef void *narrow_rows;
typedef const void *narrow_rows_in;
#endif

/* enum activation, enum pooling and enum accumulate of device.h, by number; a
 * static assertion on the host's side holds them together. */
enum {
    PARAM_ACTIVATION_NONE,
    PARAM_ACTIVATION_GELU,
    PARAM_ACTIVATION_GELU_TANH,
    PARAM_ACTIVATION_RELU,
    PARAM_ACTIVATION_SILU,
    PARAM_ACTIVATION_TANH,
    PARAM_ACTIVATION_SIGMOID
};
enum {
    PARAM_POOLING_CLS,
    PARAM_POOLING_LAST,
    PARAM_POOLING_MEAN,
    PARAM_POOLING_MEAN_SQRT,
    PARAM_POOLING_WEIGHTED_MEAN,
    PARAM_POOLING_MAX
};
enum { PARAM_ACCUMULATE_MAX, PARAM_ACCUMULATE_SUM, PARAM_ACCUMULATE_SUM_LOG1P };

/* ---- rows.cu ------------------------------------------------------------ */

/* Blocks have ROW_THREADS threads. A warp a row, where nothing else is said:
 * grid.x = ceil(rows / ROW_WARPS). Sums of a row are taken in one fixed order
 * that depends on its width alone: the same text gives the same bits in every
 * batch, and wherever its rows lie. Any width will do; 16 bytes are moved at
 * once where the width is a multiple of 8 and pointers of 16. */
enum { ROW_THREADS = 128, ROW_WARPS = ROW_THREADS / 32 };

/* Numbers that a thread takes at once where a kernel goes by elements: grid.x
 * = ceil(count / (ROW_THREADS * NUMBERS_AT_ONCE)). */
enum { NUMBERS_AT_ONCE = 8 };

/* y = scale * words[id] + type[place & 1] + position[place >> 1] */
struct embed_rows_params {
    const unsigned *ids;    /* [rows] */
    const unsigned *places; /* [rows]: 2 * position id + type id */
    narrow_rows_in words, position, type; /* tables; position, type may be 0 */
    float *y;                             /* [rows, width] */
    float scale;
    unsigned rows, width;
    unsigned unused;
};

/* norm(x) + residual goes to y, and to z rounded; residual, scale, shift, y and
 * z may each be 0. x, residual and y may be the same. A row whose sum of
 * squares leaves float becomes NaN. Rows wider than WARP_WIDTH have a block
 * each: then grid.x = rows. Rows of up to NORM_HELD_MOST are read once. */
enum { WARP_WIDTH = 1024, NORM_HELD_MOST = 4096 };
struct norm_rows_params {
    const float *x, *residual, *scale, *shift;
    float *y;
    narrow_rows z;
    unsigned rows, width;
    float epsilon;
    unsigned rms;
};

/* In place, and like norm_rows. A warp a piece: grid.x = ceil(rows * times /
 * ROW_WARPS). */
struct norm_heads_params {
    narrow_rows x;
    const float *scale, *shift;
    unsigned rows, stride, times, width;
    float epsilon;
    unsigned rms;
};

/* Heads [0, heads) of each row are turned. A block a row: grid.x rows. */
struct rotate_heads_params {
    narrow_rows x;
    const unsigned *text_rows; /* [rows]: the row in its text */
    const float *cosine, *sine;
    unsigned rows, stride, heads, head_dim, dims, interleaved;
};

/* y = activation(x[.. width)) * x[width .. 2 width) * scale. A block a row:
 * grid.x rows. */
struct gate_rows_params {
    narrow_rows_in x;
    narrow_rows y;
    unsigned rows, width, activation;
    float scale;
};

/* In place, by elements. */
struct activate_narrow_params {
    narrow_rows x;
    unsigned long long count;
    unsigned activation;
    unsigned unused;
};

/* y = activation(x) + residual, by elements; residual may be 0, all may be the
 * same. */
struct activate_wide_params {
    const float *x, *residual;
    float *y;
    unsigned long long count;
    unsigned activation;
    unsigned unused;
};

/* By elements. */
struct narrow_numbers_params {
    const float *x;
    narrow_rows y;
    unsigned long long count;
};

/* As device_pool says. grid.x texts, grid.y = ceil(width / ROW_THREADS): a
 * thread a column, rows in their order, sums in double. */
struct pool_rows_params {
    const float *x;
    float *y;
    const unsigned *starts; /* [texts + 1] of the group, from 0 */
    unsigned texts, skip, pooling, width;
    unsigned long long stride; /* of y */
};

/* As device_normalize says; the sum is taken in double. */
struct normalize_rows_params {
    float *x;
    unsigned rows, width;
};

/* As device_accumulate says; LOST may be NULL. A thread a column: grid.x =
 * ceil(width / ROW_THREADS). */
struct accumulate_rows_params {
    const float *x;
    float *y, *lost;
    unsigned rows, width, how, first;
};

/* weights[row, e] = softmax(scores[row])[e] for the CHOSEN largest (the first
 * of equal ones), else 0. A thread a row: grid.x = ceil(rows / ROW_THREADS);
 * count <= 64. */
struct route_rows_params {
    const float *scores;
    float *weights;
    unsigned rows, count, chosen;
    unsigned unused;
};

/* What of these is not 0: list[e, i] is the row that is the i-th of expert e,
 * in their order, and counts[e] how many it has. A NaN is one. A block an
 * expert: grid.x = count. */
struct list_rows_params {
    const float *weights; /* [rows, count] */
    unsigned *list;       /* [count, rows] */
    unsigned *counts;     /* [count] */
    unsigned rows, count;
};

/* y[i] = x[list[i]]. */
struct gather_rows_params {
    narrow_rows_in x;
    narrow_rows y; /* [rows, width] */
    const unsigned *list;
    unsigned rows, width;
};

/* y = residual + shift; both may be 0, residual may be y. */
struct begin_experts_params {
    const float *residual, *shift;
    float *y;
    unsigned rows, width;
};

/* y[list[i]] += weights[list[i], expert] * x[i]. */
struct add_expert_params {
    const float *x;       /* [rows, width] */
    const float *weights; /* [.., count] */
    const unsigned *list;
    float *y;
    unsigned rows, width, count, expert;
};

/* ---- fp8.cu ------------------------------------------------------------- */

/* What a row's greatest size becomes as e4m3, its greatest number; and the size
 * that it is taken as at least, so that no scale and no factor leaves float. */
#define E4M3_MOST  448.0f
#define E4M3_LEAST 0x1p-100f

/* A row in e4m3: its numbers times its own factor, WIDTH codes, and then, as a
 * float, the scale that undoes it: the row's greatest size / E4M3_MOST. It
 * takes the place that the row has in 16 bits, so that a row lies where it
 * would lie as those too. A NaN makes the scale NaN; so do an infinite number's
 * codes make what is multiplied.
 *
 * Of all that follows widths are multiples of 16, and pointers of 16 bytes. */
#define E4M3_ROW_BYTES(width) (2 * (size_t)(width))

/* A warp a row. */
struct quantize_rows_params {
    narrow_rows_in x;
    const unsigned *list; /* [rows] of x; 0: all of them, in their order */
    unsigned char *codes; /* [rows] in e4m3 */
    unsigned rows, width;
};

/* As norm_rows, but that what z would be goes to codes, in e4m3. Rows are not
 * wider than NORM_HELD_MOST. */
struct norm_e4m3_params {
    const float *x, *residual, *scale, *shift;
    float *y;
    unsigned char *codes;
    unsigned rows, width;
    float epsilon;
    unsigned rms;
};

/* Products of rows in e4m3 and a matrix whose rows were scaled so, as numbers
 * again: activation(y * row_scales[row * stride] * scales[column] +
 * bias[column]), in place. bias may be 0. SCALE_ROWS rows and NUMBERS_AT_ONCE
 * columns a thread: grid.x = ceil(ceil(rows / SCALE_ROWS) * width /
 * NUMBERS_AT_ONCE / ROW_THREADS). */
enum { SCALE_ROWS = 4 };
struct scale_narrow_params {
    narrow_rows y;
    const float *row_scales, *scales, *bias;
    unsigned rows, width, activation, stride;
};

/* The same of x, and residual (which may be 0) is added; y may be x or the
 * residual. */
struct scale_wide_params {
    const float *x, *row_scales, *scales, *bias, *residual;
    float *y;
    unsigned rows, width, activation, stride;
};

/* As scale_narrow, but that y becomes rows in e4m3, in its place. A block of
 * CODE_THREADS threads a row: grid.x rows, which are not wider than
 * CODE_HELD_MOST. */
enum { CODE_THREADS = 256, CODE_HELD_FEW = 4096, CODE_HELD_MOST = 16384 };
struct scale_e4m3_params {
    narrow_rows y;
    const float *row_scales, *scales, *bias;
    unsigned width, activation, stride;
    unsigned unused;
};

/* The same of activation(a) * b, where a row of products x is [a, b], 2 * width
 * of them as scales and bias are; x stays as it is. */
struct gate_e4m3_params {
    narrow_rows_in x;
    unsigned char *codes; /* [rows] in e4m3 */
    const float *row_scales, *scales, *bias;
    unsigned width, activation, stride;
    unsigned unused;
};

/* ---- attention*.cu ------------------------------------------------------ */

/* What is added to scores or hidden, as bits of the module's FEATURES. */
enum {
    FEATURE_WINDOW = 1,    /* behind or ahead is limited (causal too) */
    FEATURE_DISTANCES = 2, /* T5's and MPNet's bias */
    FEATURE_SLOPES = 4,    /* ALiBi */
    FEATURE_RELATIVE = 8,  /* DeBERTa's; attend_plain only */
    FEATURE_KEYS = 16,     /* only the first keys[t] rows of a text are seen */
    FEATURE_UNEVEN = 32,   /* head_dim is no multiple of 8, or qkv and context
                              are not aligned to 16 bytes: `attend` must know */
    FEATURE_ROTARY = 64    /* `attend` turns Q by rotary positions, and K if it
                              is told to; without FEATURE_UNEVEN only */
};

/* Rows of queries that a block of attention computes for one head: its tile of
 * the list. */
enum { TILE_QUERIES = 64, TILE_KEYS = 64, ATTEND_THREADS = 128 };

/* Of `attend`, by the module's HEAD_DIM (not the real one) and FEATURES: how
 * many keys a tile has, and the bytes of dynamic shared memory that a launch
 * gives it, on every card and for both types. attend_plain gets none. Where a
 * card allows a block less than that (HEAD_DIM 256 with distances on sm_75,
 * which has 65,536), attend_plain does it. */
#define ATTEND_KEYS(head_dim) ((head_dim) <= 128 ? 64u : 32u)
#define ATTEND_SHARED_BYTES(head_dim, features)                                \
    ((4 * ATTEND_KEYS(head_dim) + ((head_dim) <= 128 ? 0u : 128u)) *           \
         (head_dim) +                                                          \
     ((features)&FEATURE_DISTANCES ? 512u : 0u))

/* One tile: queries [row, row + TILE_QUERIES) of text TEXT, as far as it goes.
 */
struct attention_tile {
    unsigned text, row;
};

/* Softmax(Q K^T scale + ...) V as device_attention says. grid.x tiles, grid.y
 * heads; ATTEND_THREADS threads. `attend` (attention.cu: tensor cores, f16 and
 * bf16) is compiled for a HEAD_DIM of at least head_dim; `attend_plain`
 * (attention_plain.cu: any type, any head_dim up to 256, all features) is not.
 * A text's rows come out the same whatever else the batch holds.
 *
 * What FEATURE_RELATIVE and what FEATURE_ROTARY needs has one place, for no
 * kernel has both: of more parameters ptxas makes spills. */
struct attend_params {
    narrow_rows_in qkv; /* [rows, heads + 2 kv_heads, head_dim] */
    narrow_rows context;
    const unsigned *starts; /* [texts + 1] of the group, from 0 */
    const unsigned *keys;   /* [texts], with FEATURE_KEYS */
    const struct attention_tile *tiles;
    unsigned heads, kv_heads, head_dim;
    float scale;
    unsigned behind, ahead; /* 0xffffffff: all that way */
    const float *distances; /* [heads, 2 * reach + 1] */
    unsigned reach;
    union {
        unsigned relative_reach;
        unsigned rotary_dims; /* a multiple of 16, or of 8 interleaved */
    };
    union {
        unsigned relative_rows;
        unsigned interleaved;
    };
    unsigned turns_keys; /* FEATURE_ROTARY's, where no text has more
                            than TILE_KEYS rows, and ATTEND_KEYS is as
                            many */
    const float *slopes; /* [heads] */
    union {
        narrow_rows_in relative; /* [relative_rows, heads + 2 kv_heads,
                                    head_dim] */
        const float *cosine;     /* [.., rotary_dims / 2], of 16 bytes */
    };
    union {
        const unsigned *relative_row; /* [2 * relative_reach + 1] */
        const float *sine;            /* as the cosines */
    };
};
struct attend_plain_params {
    struct attend_params attend;
};

#ifdef NARROW

/* What both kernels make of them. */

/* The block's queries [row, row + TILE_QUERIES) of a text of LENGTH rows, whose
 * first row is row BEGIN of qkv; rows there are STRIDE numbers apart. */
struct attention_place {
    unsigned text, row, length, begin, stride, head, kv_head;
};

INLINE struct attention_place attention_place_of(
    const struct attend_params *p) {
    struct attention_tile tile = p->tiles[blockIdx.x];
    unsigned begin = p->starts[tile.text];
    struct attention_place place;
    place.text = tile.text;
    place.row = tile.row;
    place.length = p->starts[tile.text + 1] - begin;
    place.head = blockIdx.y;
    place.kv_head = blockIdx.y / (p->heads / p->kv_heads);
    place.begin = begin;
    place.stride = (p->heads + 2 * p->kv_heads) * p->head_dim;
    return place;
}

/* Where head PART (of all: Q's, K's, V's) of row ROW of the text begins. */
INLINE unsigned long long attention_at(const struct attend_params *p,
                                       const struct attention_place *place,
                                       unsigned row, unsigned part) {
    return (unsigned long long)(place->begin + row) * place->stride +
           part * p->head_dim;
}

/* The keys that a row of a text sees: [first, end), never none. */
struct attention_seen {
    unsigned first, end;
};

/* Of row ROW, which is < the length, of PLACE's text. FEATURES is the module's.
 * Neither of the two falls as ROW grows. */
INLINE struct attention_seen attention_sees(const struct attend_params *p,
                                            unsigned features,
                                            const struct attention_place *place,
                                            unsigned row) {
    struct attention_seen seen;
    seen.first = 0;
    seen.end = place->length;
    if (features & FEATURE_WINDOW) {
        seen.first = row > p->behind ? row - p->behind : 0;
        if (p->ahead < place->length - row)
            seen.end = row + p->ahead + 1;
    }
    if (features & FEATURE_KEYS) {
        unsigned keys = p->keys[place->text];
        if (seen.first >= keys)
            seen.end = seen.first + 1;
        else if (seen.end > keys)
            seen.end = keys;
    }
    return seen;
}

#endif

#endif
