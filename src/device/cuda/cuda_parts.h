/* cuda_parts.h - what the files of the CUDA device share. */

#ifndef DEVICE_CUDA_CUDA_PARTS_H
#define DEVICE_CUDA_CUDA_PARTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/layout.h"
#include "device/cuda/cuda.h"
#include "device/cuda/cuda_compile.h"
#include "device/cuda/cuda_library.h"
#include "device/device.h"

/* The driver reads every byte of these structs: none may be a gap, which no
 * initializer sets. */
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
#include "device/cuda/kernels/params.h"
#pragma GCC diagnostic pop

/* ---- kernels ------------------------------------------------------------ */

/* The kernels of rows.cu. */
#define CUDA_ROW_KERNELS(X)                                                    \
    X(embed_rows)                                                              \
    X(norm_rows)                                                               \
    X(norm_heads)                                                              \
    X(rotate_heads)                                                            \
    X(gate_rows)                                                               \
    X(activate_narrow)                                                         \
    X(activate_wide)                                                           \
    X(narrow_numbers)                                                          \
    X(pool_rows)                                                               \
    X(normalize_rows)                                                          \
    X(accumulate_rows)                                                         \
    X(route_rows)                                                              \
    X(list_rows)                                                               \
    X(gather_rows)                                                             \
    X(begin_experts)                                                           \
    X(add_expert)

struct cuda_row_kernels {
#define CUDA_KERNEL_FIELD(name) cu_function name;
    CUDA_ROW_KERNELS(CUDA_KERNEL_FIELD)
#undef CUDA_KERNEL_FIELD
};

/* The kernels of fp8.cu. */
#define CUDA_FP8_KERNELS(X)                                                    \
    X(quantize_rows)                                                           \
    X(norm_e4m3)                                                               \
    X(scale_narrow)                                                            \
    X(scale_wide)                                                              \
    X(scale_e4m3)                                                              \
    X(gate_e4m3)

struct cuda_fp8_kernels {
#define CUDA_KERNEL_FIELD(name) cu_function name;
    CUDA_FP8_KERNELS(CUDA_KERNEL_FIELD)
#undef CUDA_KERNEL_FIELD
};

/* A compiled kernel of attention. */
struct cuda_attend {
    bool plain;        /* attend_plain; else attend */
    unsigned head_dim; /* that it is compiled for; 0 if plain */
    unsigned features;
    unsigned shared_bytes;
    cu_module module;
    cu_function function;
};
enum { CUDA_ATTENDS_MAX = 32 };

/* ---- products ----------------------------------------------------------- */

/* What kind of product a shape is multiplied in. */
struct product_key {
    size_t in, out;
    bool wide; /* float results; else narrow ones */
    bool fp8;  /* of e4m3, and the scales are others' matter */
    int epilogue;
    unsigned alignment;   /* of all operands, in bytes, at most 64 */
    bool takes_workspace; /* cuBLASLt may use its workspace */
};

enum { CUDA_PRODUCTS_MAX = 96, PRODUCT_SIZES = 32 };
struct product_other {
    bool known;
    struct blas_algorithm algorithm;
};
struct product {
    struct product_key key;
    bool refused; /* cuBLASLt knows no algorithm for it */
    blas_matmul matmul;
    blas_layout weights;
    struct blas_algorithm algorithm;
    struct product_other other[PRODUCT_SIZES]; /* [floor(log2 rows)]: where the
                                                  first is not accepted */
};

/* Whose bias was rounded when (cuda_linear.c). */
struct bias_seen {
    const void *weights;
    uint64_t generation;
};
enum { CUDA_BIASES = 1024 };

/* ---- memory ------------------------------------------------------------- */

/* A piece of the card's memory that we took. */
struct cuda_block {
    struct cuda_block *next;
    cu_pointer at;
    uint64_t bytes;
};

/* Two pieces of host memory through which weights go to the card. */
enum { CUDA_STAGE_BYTES = 1 << 20 };
struct cuda_stage {
    char *host; /* 2 * CUDA_STAGE_BYTES */
    bool pinned;
    cu_event sent[2];
    unsigned turn;
    bool used; /* since the last submit */
};

/* ---- the lane ----------------------------------------------------------- */

/* The arrays that describe a group, on the card or in the host's stage. */
struct cuda_group {
    uint32_t *ids;       /* [rows] */
    uint32_t *text_rows; /* [rows] the row in its text */
    uint32_t *starts;    /* [texts + 1] from 0 */
    uint32_t *keys;      /* [texts] */
    struct attention_tile *tiles;
    size_t bytes;     /* of all above, which go over together */
    uint32_t *places; /* [rows] */
};

struct cuda_device;

/* Products in e4m3 that are not yet scaled: of X by LINEAR, at AT. */
struct cuda_products {
    const struct narrow *at; /* NULL: there are none */
    const struct linear *linear;
    const struct narrow *x;
};

struct cuda_lane {
    struct lane lane;
    struct cuda_device *cuda;
    cu_stream stream;
    size_t rows_most; /* that the room is for */
    void *room;       /* (device) the caller's */
    void *host;       /* the stage, as long at least */
    size_t host_bytes;
    bool pinned;
    cu_event staged;              /* what was written to the stage is over */
    uint32_t counts[EXPERTS_MAX]; /* rows of each of a block of experts */
    size_t rows, texts, tiles;
    size_t longest; /* rows of a text */
    bool has_keys, has_places;
    struct cuda_group on_host, on_card;
    const struct narrow *coded; /* rows that lie in e4m3 where narrow ones
                                   would (cuda_fp8.c); NULL: none do */
    struct cuda_products products;
};

/* ---- the device --------------------------------------------------------- */

struct cuda_device {
    struct device device;
    struct memory account;
    struct memory *host; /* borrowed */
    struct cuda_library *library;
    const struct cuda_driver *cu; /* of the library */
    const struct cuda_blas *blas;
    char *kernel_cache; /* NULL: none */
    struct cuda_card card;
    enum number_type numbers; /* narrow ones */
    cu_device handle;
    cu_context context;
    char isa[16];
    unsigned arch;        /* that kernels are compiled for */
    unsigned shared_most; /* bytes of shared memory that a block may have */
    float gate_scale;     /* what gate results are kept times */
    uint64_t overhead;    /* bytes, charged */
    _Atomic bool lost;
    char loss[256]; /* which call failed and how */
    _Atomic uint64_t submits;
    pthread_mutex_t mutex; /* of blocks and loss */
    struct cuda_block *blocks;
    struct cuda_stage stage;
    cu_stream loading, uploading;
    _Atomic uint64_t generation; /* counts writes to weights */
    cu_module rows_module, fp8_module;
    struct cuda_row_kernels rows;
    struct cuda_fp8_kernels fp8;
    struct cuda_attend attends[CUDA_ATTENDS_MAX];
    size_t attends_count;
    blas_handle products_handle;
    cu_pointer workspace;
    size_t workspace_bytes;
    cu_pointer fp8_room;      /* cuda_fp8.c; 0: nothing is e4m3 */
    struct product *products; /* [CUDA_PRODUCTS_MAX] */
    size_t products_count;    /* ever made */
    struct bias_seen *biases; /* [CUDA_BIASES] */
    struct cuda_lane lane;
};

static inline struct cuda_device *cuda_of(struct device *device) {
    return (struct cuda_device *)device;
}

static inline struct cuda_lane *cuda_lane_of(struct lane *lane) {
    return (struct cuda_lane *)lane;
}

static inline cu_pointer cuda_address(const void *pointer) {
    return (cu_pointer)(uintptr_t)pointer;
}

static inline void *cuda_pointer(cu_pointer address) {
    return (void *)(uintptr_t)address;
}

/* The card that NAME means, by the driver. */
bool cuda_card_find(const struct cuda_library *library, const char *name,
                    struct cuda_card *card, struct error *err);

/* ---- calls (cuda.c) ----------------------------------------------------- */

/* RESULT of CALL: true if it worked; else the device is lost. */
bool cuda_worked(struct cuda_device *cuda, cu_result result, const char *call);
/* The same for what is not the driver's. */
bool cuda_broke(struct cuda_device *cuda, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A call of the driver: CU(cuda, cuStreamSynchronize, stream). */
#define CU(cuda, function, ...)                                                \
    cuda_worked(cuda, (cuda)->cu->function(__VA_ARGS__), #function)

/* Before any other call: the context is the thread's. False: lost. */
bool cuda_enter(struct cuda_device *cuda);
/* False, with the reason, if the device is lost. */
bool cuda_alive(struct cuda_device *cuda, struct error *err);

bool cuda_free_bytes(struct cuda_device *cuda, uint64_t *bytes,
                     struct error *err);
/* Charge what has become of FREE_BEFORE to the account. */
bool cuda_charge_overhead(struct cuda_device *cuda, uint64_t free_before,
                          struct error *err);

/* ---- memory (cuda_memory.c) --------------------------------------------- */

/* Memory of the card's own while it is opened, which cuda_charge_overhead
 * counts; USE: "cuBLASLt works in". The caller frees. */
bool cuda_take(struct cuda_device *cuda, cu_pointer *at, size_t bytes,
               const char *use, struct error *err);

bool cuda_stage_open(struct cuda_device *cuda, struct error *err);
void cuda_stage_close(struct cuda_device *cuda);
void *cuda_alloc(struct device *device, size_t bytes, uint64_t charge,
                 struct reservation *from, struct error *err);
void cuda_release(struct device *device, void *block);
void cuda_put(struct device *device, void *to, const void *from, size_t bytes);
void cuda_pin(struct device *device, void *host, size_t bytes);
void cuda_unpin(struct device *device, void *host);
void cuda_upload(struct device *device, void *to, const void *from,
                 size_t bytes);
bool cuda_upload_wait(struct device *device, struct error *err);
void cuda_table_put(struct device *device, const float *rows, size_t columns,
                    size_t row_begin, size_t row_count, void *table);
size_t cuda_linear_bytes(const struct device *device, size_t in, size_t out);
void cuda_linear_pack(struct device *device, const float *weights, size_t in,
                      size_t out, size_t row_begin, size_t row_count,
                      void *packed);
/* The lane's stream goes on when all that was put is there. */
void cuda_stage_settle(struct cuda_device *cuda);

/* COUNT floats rounded to nearest even (overflow to infinity), as bits. */
void cuda_narrow_f16(const float *from, size_t count, uint16_t *to);
void cuda_narrow_bf16(const float *from, size_t count, uint16_t *to);
/* The same of FROM times FACTOR; beyond E4M3_MOST it is that, and NaN 0x7f. */
void cuda_narrow_e4m3(const float *from, size_t count, float factor,
                      uint8_t *to);
/* Of COUNT floats without their signs the greatest, or LEAST; a NaN is greater
 * than all numbers. */
float cuda_greatest_size(const float *from, size_t count, float least);

/* How COUNT units at FROM, of FROM_BYTES each, become units of TO_BYTES at TO:
 * in a block of the card, or in host memory. */
struct cuda_sending {
    size_t from_bytes, to_bytes; /* the latter at most CUDA_STAGE_BYTES */
    void (*write)(const struct cuda_sending *sending, const void *from,
                  size_t count, void *to);
};
void cuda_send(struct cuda_device *cuda, const struct cuda_sending *sending,
               const void *from, size_t count, void *to);

/* ---- kernels (cuda_modules.c) ------------------------------------------- */

bool cuda_rows_load(struct cuda_device *cuda, struct error *err);
bool cuda_prepare(struct device *device, const struct attention *attention,
                  struct error *err);
/* The kernel for ATTENTION, KEYS: with FEATURE_KEYS; NULL: none is loaded. */
const struct cuda_attend *cuda_attend_find(const struct cuda_device *cuda,
                                           const struct attention *attention,
                                           bool keys);
void cuda_modules_close(struct cuda_device *cuda);

/* PARAMS is the kernel's struct. An empty grid is nothing. */
void cuda_launch(struct cuda_lane *lane, cu_function function, size_t grid_x,
                 size_t grid_y, unsigned threads, unsigned shared_bytes,
                 void *params);

/* LAUNCH(lane, norm_rows, rows, 1, .x = x, ...): a kernel of rows.cu. */
#define LAUNCH(lane, kernel, grid_x, grid_y, ...)                              \
    LAUNCH_OF(lane, rows, kernel, grid_x, grid_y, __VA_ARGS__)
#define LAUNCH_OF(lane, file, kernel, grid_x, grid_y, ...)                     \
    LAUNCH_BY(lane, ROW_THREADS, file, kernel, grid_x, grid_y, __VA_ARGS__)
#define LAUNCH_BY(lane, threads, file, kernel, grid_x, grid_y, ...)            \
    do {                                                                       \
        struct kernel##_params launch_params = {__VA_ARGS__};                  \
        cuda_launch(lane, (lane)->cuda->file.kernel, grid_x, grid_y, threads,  \
                    0, &launch_params);                                        \
    } while (0)

static inline size_t cuda_blocks(size_t count, size_t each) {
    return (count + each - 1) / each;
}

/* ---- the lane (cuda_lane.c) --------------------------------------------- */

bool cuda_lane_open(struct cuda_device *cuda, struct error *err);
void cuda_lane_close(struct cuda_device *cuda);
struct lane *cuda_lane(struct device *device, unsigned number);
void cuda_widen(struct lane *lane, bool wide);
size_t cuda_lane_bytes(const struct device *device, size_t rows);
void cuda_lane_use(struct lane *lane, void *room, size_t rows);
bool cuda_submit(struct lane *lane, struct error *err);
void cuda_group(struct lane *lane, const struct sequences *sequences,
                const uint32_t *ids);
void cuda_download(struct lane *lane, const float *from, size_t count,
                   float *to);
bool cuda_finish(struct lane *lane, struct error *err);
void cuda_embed(struct lane *lane, const struct embedding *embedding,
                const uint32_t *ids, const struct sequences *sequences,
                float *y);

/* ---- verbs on rows ------------------------------------------------------ */

const struct narrow *cuda_narrow(struct lane *lane, const float *x,
                                 size_t count, struct narrow *room);
void cuda_norm(struct lane *lane, const struct norm *norm, const float *x,
               size_t rows, const float *residual, float *y, struct narrow *z);
void cuda_norm_heads(struct lane *lane, const struct norm *norm,
                     struct narrow *x, size_t rows, size_t stride,
                     size_t times);
void cuda_rotate(struct lane *lane, const struct attention *attention,
                 const struct sequences *sequences, struct narrow *qkv);
void cuda_gate(struct lane *lane, enum activation activation,
               const struct narrow *x, size_t rows, size_t width,
               struct narrow *y);
void cuda_pick(struct lane *base, const struct sequences *sequences,
               const struct narrow *x, size_t width, struct narrow *y);
void cuda_pool(struct lane *lane, enum pooling pooling,
               const struct sequences *sequences, const float *x, size_t width,
               float *y, size_t stride);
void cuda_normalize(struct lane *lane, float *x, size_t rows, size_t width);
void cuda_accumulate(struct lane *lane, enum accumulate how, const float *x,
                     size_t rows, size_t width, bool first, float *y,
                     float *lost);
size_t cuda_attention_bytes(const struct device *device,
                            const struct attention *attention, size_t longest);
void cuda_attention(struct lane *lane, const struct attention *attention,
                    const struct sequences *sequences, const struct narrow *qkv,
                    void *scratch, struct narrow *context);
size_t cuda_experts_bytes(const struct device *device,
                          const struct experts *experts, size_t rows);
void cuda_experts(struct lane *lane, const struct experts *experts,
                  const struct narrow *x, size_t rows, const float *residual,
                  void *scratch, float *y);
void cuda_linear(struct lane *lane, const struct linear *linear,
                 const struct narrow *x, size_t rows,
                 enum activation activation, const float *residual, float *y);
void cuda_linear_narrow(struct lane *lane, const struct linear *linear,
                        const struct narrow *x, size_t rows,
                        enum activation activation, struct narrow *y);

/* ---- products (cuda_products.c) ----------------------------------------- */

bool cuda_products_open(struct cuda_device *cuda, struct error *err);
void cuda_products_close(struct cuda_device *cuda);

/* d = epilogue(alpha x W^T + bias) + beta c; c may be d. False, and nothing is
 * done, when cuBLASLt has no algorithm for this epilogue. */
struct product_job {
    struct product_key key; /* alignment is filled in */
    const void *weights, *x, *bias, *c;
    void *d;
    size_t rows;
    float alpha, beta;
};
bool cuda_product(struct cuda_lane *lane, struct product_job *job);

/* A small product of each kind of results, of e4m3 or of narrow numbers.
 * cuBLASLt loads what it needs on the first one, onto the card too: tried when
 * the card is opened, it is counted. False: cuBLASLt has none, or the device is
 * lost. */
bool cuda_products_try(struct cuda_device *cuda, bool fp8);

/* ---- e4m3 (cuda_fp8.c) -------------------------------------------------- */

/* Is a matrix [out, in] of this card e4m3? */
bool cuda_fp8_takes(const struct cuda_device *cuda, size_t in, size_t out);
/* Of such a one. */
size_t cuda_fp8_bytes(size_t in, size_t out);
void cuda_fp8_pack(struct cuda_device *cuda, const float *weights, size_t in,
                   size_t out, size_t row_begin, size_t row_count,
                   void *packed);
void cuda_fp8_linear(struct cuda_lane *lane, const struct linear *linear,
                     const struct narrow *x, size_t rows,
                     enum activation activation, const float *residual,
                     float *y);
void cuda_fp8_linear_narrow(struct cuda_lane *lane, const struct linear *linear,
                            const struct narrow *x, size_t rows,
                            enum activation activation, struct narrow *y);
/* Rows LIST [rows] of X, of WIDTH numbers, in e4m3 at Y: for a product alone.
 */
void cuda_fp8_gather(struct cuda_lane *lane, const struct narrow *x,
                     const uint32_t *list, size_t rows, size_t width,
                     struct narrow *y);
/* The verbs, where what they write is read by one matrix that is e4m3. False:
 * it is not so, and nothing is done. */
bool cuda_fp8_norm(struct cuda_lane *lane, const struct norm *norm,
                   const float *x, size_t rows, const float *residual, float *y,
                   struct narrow *z);
bool cuda_fp8_gate(struct cuda_lane *lane, enum activation activation,
                   const struct narrow *x, size_t rows, size_t width,
                   struct narrow *y);
/* Narrow rows are about to be written at X. */
static inline void cuda_fp8_forget(struct cuda_lane *lane,
                                   const struct narrow *x) {
    if (lane->coded == x)
        lane->coded = NULL;
    if (lane->products.at == x)
        lane->products.at = NULL;
}
/* Nothing, unless the card's type is NUMBER_FP8. ERROR_UNSUPPORTED: this
 * cuBLASLt has no such products for it. After cuda_products_open. */
bool cuda_fp8_open(struct cuda_device *cuda, struct error *err);
void cuda_fp8_close(struct cuda_device *cuda);

#endif
