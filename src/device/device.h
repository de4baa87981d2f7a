/* device.h - what a model needs from the place where it computes.
 *
 * One const table of verbs a kind of device. The model is written over these
 * verbs and knows no device; a device knows no model. A verb is asynchronous
 * where the device is (a stream), so it returns nothing: device_finish says
 * whether all of them worked.
 *
 * A lane is an independent sequence of verbs with its own rows. The CPU has
 * one a thread: a thread takes whole texts through all layers and meets no
 * barrier. Lane 0 of the CPU can also be made wide: all threads then share
 * each verb by rows or columns (one query, few texts). Which of the two is
 * chosen, how many rows or texts go together, and how many threads there are
 * never changes a bit of a text's vector on the CPU: every output element is
 * one sum in one fixed order.
 *
 *     struct device *d = device_open(&DEVICE_CPU, &options, err);
 *     struct lane *lane = device_lane(d, 0);
 *     device_linear(lane, &w->qkv, x, rows, ACTIVATION_NONE, NULL, qkv);
 *     if (!device_finish(lane, err)) ...
 *
 * What verbs are given is described in operands.h, the names of devices in
 * device_list.h. Shapes are row-major. `tokens` are the rows of a packed batch:
 * the texts one after another without padding (struct sequences).
 *
 * Numbers have one of two types. The residual stream, norms, sums and results
 * are float on every device. What products read and what their results are
 * kept as inside a block is `struct narrow`: float on the CPU, f16, bf16 or
 * float on a card (device->type). The compiler keeps the two apart; where
 * narrow numbers are floats (device->narrow_is_float) the same memory may serve
 * as both, and device_narrow costs nothing.
 *
 * Pointers named with (device) live where the device computes. Only where
 * device->host_memory is set may the host read and write there; elsewhere
 * device_put and device_download do.
 */

#ifndef DEVICE_DEVICE_H
#define DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/str.h"
#include "device/device_list.h"
#include "device/operands.h"

struct device;
struct lane;

enum number_type {
    NUMBER_DEFAULT, /* float on the CPU; on a card bf16 from sm_80 on, f16
                       below that */
    NUMBER_F32,
    NUMBER_F16,
    NUMBER_BF16,
    NUMBER_INT8, /* the CPU only */
    NUMBER_FP8,  /* cards from sm_89 on: matrices and what they read are e4m3,
                    narrow numbers bf16 */
};

struct device_script; /* what happens to simulated cards, and when */

struct device_options {
    struct memory *memory; /* borrowed: host memory is counted here */
    struct pool *pool;     /* borrowed: the CPU's threads */
    const char *isa;       /* NULL: the best that this machine has */
    const struct device_script *script; /* borrowed; NULL: nothing happens */
    enum number_type type;    /* of a card's narrow numbers; on the CPU what
                                 matrices are packed as (device_linear_pack).
                                 Simulated cards' are float, whatever it says */
    const char *kernel_cache; /* folder of compiled kernels; NULL: none is kept
                               */
    const char *const *library_folders; /* where to look for a card's libraries
                               besides the loader's own places, NULL at the
                               end; NULL: nowhere */
};

/* What the device can tell of itself, for reports. */
struct device_facts {
    const char *name;  /* "cpu" */
    const char *model; /* "AMD EPYC 9B45" */
    const char *isa;   /* "avx512" */
    unsigned threads;
    uint64_t bytes_total;    /* the memory there is, cgroup limits counted */
    uint64_t bytes_free;     /* what could be taken now */
    uint64_t submits;        /* groups that were begun since it was opened */
    uint64_t bytes_overhead; /* a card's own: context, kernels, the products'
                                workspace; in its account from the start on */
};

struct device_verbs {
    const char *kind;
    void (*close)(struct device *device);
    bool (*facts)(struct device *device, struct device_facts *facts,
                  struct error *err);
    struct lane *(*lane)(struct device *device, unsigned number);
    void (*widen)(struct lane *lane, bool wide);
    /* memory */
    void *(*alloc)(struct device *device, size_t bytes, uint64_t charge,
                   struct reservation *from, struct error *err);
    void (*release)(struct device *device, void *block);
    bool (*bytes_free)(struct device *device, uint64_t *bytes,
                       struct error *err);
    void (*put)(struct device *device, void *to, const void *from,
                size_t bytes);
    void (*pin)(struct device *device, void *host, size_t bytes);
    void (*unpin)(struct device *device, void *host);
    void (*upload)(struct device *device, void *to, const void *from,
                   size_t bytes);
    bool (*upload_wait)(struct device *device, struct error *err);
    void (*download)(struct lane *lane, const float *from, size_t count,
                     float *to);
    /* weights */
    bool (*prepare)(struct device *device, const struct attention *attention,
                    struct error *err);
    void (*table_put)(struct device *device, const float *rows, size_t columns,
                      size_t row_begin, size_t row_count, void *table);
    size_t (*linear_bytes)(const struct device *device, size_t in, size_t out);
    void (*linear_pack)(struct device *device, const float *weights, size_t in,
                        size_t out, size_t row_begin, size_t row_count,
                        void *packed);
    /* verbs on rows */
    bool (*submit)(struct lane *lane, struct error *err);
    size_t (*lane_bytes)(const struct device *device, size_t rows);
    void (*lane_use)(struct lane *lane, void *room, size_t rows);
    void (*group)(struct lane *lane, const struct sequences *sequences,
                  const uint32_t *ids);
    size_t (*attention_bytes)(const struct device *device,
                              const struct attention *attention,
                              size_t longest);
    void (*embed)(struct lane *lane, const struct embedding *embedding,
                  const uint32_t *ids, const struct sequences *sequences,
                  float *y);
    const struct narrow *(*narrow)(struct lane *lane, const float *x,
                                   size_t count, struct narrow *room);
    void (*norm)(struct lane *lane, const struct norm *norm, const float *x,
                 size_t rows, const float *residual, float *y,
                 struct narrow *z);
    void (*norm_heads)(struct lane *lane, const struct norm *norm,
                       struct narrow *x, size_t rows, size_t stride,
                       size_t times);
    void (*rotate)(struct lane *lane, const struct attention *attention,
                   const struct sequences *sequences, struct narrow *qkv);
    void (*gate)(struct lane *lane, enum activation activation,
                 const struct narrow *x, size_t rows, size_t width,
                 struct narrow *y);
    size_t (*experts_bytes)(const struct device *device,
                            const struct experts *experts, size_t rows);
    void (*experts)(struct lane *lane, const struct experts *experts,
                    const struct narrow *x, size_t rows, const float *residual,
                    void *scratch, float *y);
    void (*linear)(struct lane *lane, const struct linear *linear,
                   const struct narrow *x, size_t rows,
                   enum activation activation, const float *residual, float *y);
    void (*linear_narrow)(struct lane *lane, const struct linear *linear,
                          const struct narrow *x, size_t rows,
                          enum activation activation, struct narrow *y);
    void (*attention)(struct lane *lane, const struct attention *attention,
                      const struct sequences *sequences,
                      const struct narrow *qkv, void *scratch,
                      struct narrow *context);
    void (*pick)(struct lane *lane, const struct sequences *sequences,
                 const struct narrow *x, size_t width, struct narrow *y);
    void (*pool)(struct lane *lane, enum pooling pooling,
                 const struct sequences *sequences, const float *x,
                 size_t width, float *y, size_t stride);
    void (*normalize)(struct lane *lane, float *x, size_t rows, size_t width);
    void (*accumulate)(struct lane *lane, enum accumulate how, const float *x,
                       size_t rows, size_t width, bool first, float *y,
                       float *lost);
    bool (*finish)(struct lane *lane, struct error *err);
};

enum { DEVICE_IDENTITY_BYTES = 48 };

/* Every device begins with this. */
struct device {
    const struct device_verbs *verbs;
    unsigned lanes;
    char name[DEVICE_NAME_BYTES];
    char identity[DEVICE_IDENTITY_BYTES]; /* of a card, whatever its number
                    is: "GPU-" and its UUID; "": its name */
    bool shared; /* other programs use it as a matter of course (the CPU):
                    never leased */
    bool charges_shapes;   /* counts what a card would hold (see device_alloc),
                              not the bytes that we take */
    size_t storage_bytes;  /* of a stored number, for that count */
    enum number_type type; /* of products, never NUMBER_DEFAULT; of narrow
                              numbers too, unless they are floats */
    size_t narrow_bytes;   /* of one of them */
    bool narrow_is_float;
    bool host_memory;       /* its blocks are memory that the host reads and
                               writes, and tables may stay in a mapped file */
    size_t group_tokens;    /* rows that a lane works on best at once; SIZE_MAX:
                               a batch is not divided */
    size_t block_multiple;  /* what an allocation is rounded up to, a power of
                               2; 0: as the host's memory is */
    struct memory *account; /* its memory: live, peak, ceiling. The CPU's is
                               the options' memory */
};

/* What a lease of it is named by. */
static inline const char *device_identity(const struct device *device) {
    return *device->identity ? device->identity : device->name;
}

/* Every lane begins with this. */
struct lane {
    struct device *device;
    unsigned number;
};

/* Read a script for simulated cards, JSON Lines as docs/sim.md has them; see
 * device/sim/script.h. ORIGIN names it in errors. */
struct device_script *device_script_read(struct memory *memory, struct str text,
                                         const char *origin, struct error *err);
void device_script_free(struct device_script *script); /* NULL is fine */

/* NULL and ERROR_USAGE for a device that is not there or for an instruction
 * set that this machine lacks (the message lists those it has). */
struct device *device_open(const struct device_name *name,
                           const struct device_options *options,
                           struct error *err);
void device_close(struct device *device); /* NULL is fine */

/* The INDEX-th instruction set that this machine's CPU can run for matrices of
 * TYPE, best first; NULL past the end. For floats "avx512", "avx2", "generic".
 * What only serves narrower numbers is named with it, "avx512+vnni+bf16",
 * "avx512+vnni" or "avx2+vnni" for NUMBER_INT8, "avx512+bf16" for NUMBER_BF16;
 * a name without it does without it, because the vectors differ. With bf16 in
 * its name attention's products are of that type, otherwise they are of floats.
 */
const char *device_isa(enum number_type type, size_t index);

bool device_facts(struct device *device, struct device_facts *facts,
                  struct error *err);

/* A block in the device's memory, aligned to 64 bytes; NULL and ERROR_MEMORY
 * when its account's ceiling or the device itself has no room (a card can be
 * full of other programs' memory). BYTES are what we need where we compute; a
 * device with `charges_shapes` counts CHARGE instead, which is what the model
 * of its account would take on such a card. FROM: a reservation on the
 * account, or NULL. */
void *device_alloc(struct device *device, size_t bytes, uint64_t charge,
                   struct reservation *from, struct error *err);
void device_release(struct device *device, void *block); /* NULL is fine */

/* What could be taken on it now, whoever holds the rest. Cheap enough to be
 * asked before and after each batch. ERROR_DEVICE when the device is lost. */
bool device_bytes_free(struct device *device, uint64_t *bytes,
                       struct error *err);

/* What an allocation of BYTES takes, for plans. */
uint64_t device_block_bytes(const struct device *device, uint64_t bytes);

/* Copy BYTES host bytes to TO, in a block of the device or in host memory (a
 * layer that will stream); FROM may be used again at once. For loading: what
 * went wrong with it, device_upload_wait says. */
void device_put(struct device *device, void *to, const void *from,
                size_t bytes);

/* Host memory that is uploaded from again and again: a card reads faster from
 * it, and without stopping. Where it cannot be had nothing is lost but speed.
 * Undone by device_unpin before the memory is freed. */
void device_pin(struct device *device, void *host, size_t bytes);
void device_unpin(struct device *device, void *host); /* NULL is fine */

/* Begin to copy host bytes to the device, while lanes compute; one copy at a
 * time. device_upload_wait: it is there. */
void device_upload(struct device *device, void *to, const void *from,
                   size_t bytes);
bool device_upload_wait(struct device *device, struct error *err);

/* NUMBER < device->lanes. Borrowed from the device. A lane is used by one
 * thread at a time. */
struct lane *device_lane(struct device *device, unsigned number);

/* Let all threads of the pool share each verb of lane 0, or stop doing so.
 * While it is wide no other lane may be used, and the caller must not be
 * inside a task of the pool. */
void lane_widen(struct lane *lane, bool wide);

/* Make ready what ATTENTION needs (a card compiles kernels for it, and takes
 * the memory of their code now, counted in its account). Once for a model's
 * kinds of layers; pointers in it are not followed. */
bool device_prepare(struct device *device, const struct attention *attention,
                    struct error *err);

/* Rows of a table (struct embedding) [.., columns], from the host's floats; to
 * a block of the device or to host memory. A number takes narrow_bytes. */
void device_table_put(struct device *device, const float *rows, size_t columns,
                      size_t row_begin, size_t row_count, void *table);

/* Can an [out, in] matrix be e4m3? cuBLASLt has products of rows of a multiple
 * of 16 numbers on both sides. */
enum { FP8_MULTIPLE = 16, FP8_WIDTH_MOST = 1 << 18 };
static inline bool device_fp8_takes(size_t in, size_t out) {
    return in && out && in % FP8_MULTIPLE == 0 && out % FP8_MULTIPLE == 0 &&
           in <= FP8_WIDTH_MOST && out <= FP8_WIDTH_MOST;
}

/* Bytes of a packed [out, in] matrix. */
size_t device_linear_bytes(const struct device *device, size_t in, size_t out);

/* Pack rows [row_begin, row_begin + row_count) of an [out, in] matrix, whose
 * plain rows are at WEIGHTS (host), into PACKED (in a block of the device, or
 * in host memory to be uploaded later; 64-byte aligned).
 * Several matrices of the same `in` may so become one (Q, K and V). All rows
 * must have been packed before the matrix is used.
 *
 * On the CPU device_options.type says what a matrix becomes; x and y are floats
 * all the same, and so is all that is no product of a matrix:
 *
 * NUMBER_INT8: whole numbers, with one scale a row of the matrix, and in
 * device_linear each row of x becomes whole numbers with a scale and a zero of
 * its own (cpu/int8.inc has the rule). 8 bits where the machine has VNNI and in
 * the generic kernels, 7 elsewhere. A quarter of the memory.
 * NUMBER_BF16: bf16, and x is rounded to it; sums are floats. Half the memory;
 * fast on AVX-512 with BF16, and slower than floats elsewhere.
 *
 * Both keep what floats promise: a row's bits depend on nothing but the row,
 * and a number that is not finite makes results that are not. Matrices of fewer
 * than 16 rows (routers, classifiers) or more than 65,536 columns stay
 * floats.
 *
 * NUMBER_FP8, on cards: e4m3 with one scale a row of the matrix, and each row
 * of x becomes e4m3 with a scale of its own (cuda_fp8.c); half of bf16's
 * memory. Matrices that device_fp8_takes does not stay bf16. */
void device_linear_pack(struct device *device, const float *weights, size_t in,
                        size_t out, size_t row_begin, size_t row_count,
                        void *packed);

/* Scratch that device_attention needs for texts of at most LONGEST rows, on a
 * wide lane as well; 64-byte aligned. Grows with LONGEST, not its square (with
 * relative.rows it is LONGEST times them). Pointers in ATTENTION are not
 * followed and may be NULL. */
size_t device_attention_bytes(const struct device *device,
                              const struct attention *attention,
                              size_t longest);

/* Before the verbs of a group of texts (or of one layer, where layers stream):
 * may be refused. ERROR_MEMORY: the device could not find room; split the
 * batch. ERROR_DEVICE: it is gone. device_finish ends what was begun. */
bool device_submit(struct lane *lane, struct error *err);

/* What a lane keeps on the device of groups of up to ROWS rows (ids, where
 * texts begin); a piece of the caller's workspace, 64-byte aligned. 0 on the
 * CPU. */
size_t device_lane_bytes(const struct device *device, size_t rows);
void device_lane_use(struct lane *lane, void *room, size_t rows);

/* What the following verbs are about, up to the next group: their sequences are
 * these (`skip` may differ). IDS [tokens] is host memory, each < vocab (the
 * caller checked), or NULL where nothing is embedded; both may be used again
 * when the group is finished. */
void device_group(struct lane *lane, const struct sequences *sequences,
                  const uint32_t *ids);

/* Results to the host: COUNT floats, when device_finish says so. */
void device_download(struct lane *lane, const float *from, size_t count,
                     float *to);

/* y[row] = scale * words[ids[row]] + position[first + row in its text] + type,
 * where rows of pads may not count (struct embedding).
 * ids [tokens] is host memory, each < vocab (the caller checked). */
void device_embed(struct lane *lane, const struct embedding *embedding,
                  const uint32_t *ids, const struct sequences *sequences,
                  float *y /* (device) [tokens, width] */);

/* X as products read it: X itself where narrow numbers are floats, else ROOM
 * [count], into which it was rounded. */
const struct narrow *device_narrow(struct lane *lane, const float *x,
                                   size_t count, struct narrow *room);

/* norm(x) + residual goes to y, as it is, and to z, rounded; one of the two may
 * be NULL, and where narrow numbers are floats they may be the same. y may be x
 * or the residual, which may be NULL; so may z where they are floats. */
void device_norm(struct lane *lane, const struct norm *norm, const float *x,
                 size_t rows, const float *residual, float *y,
                 struct narrow *z);

/* In place: of each of ROWS rows that lie STRIDE floats apart, the first TIMES
 * pieces of norm->width (the heads of Q, or of K), each for itself. */
void device_norm_heads(struct lane *lane, const struct norm *norm,
                       struct narrow *x, size_t rows, size_t stride,
                       size_t times);

/* Turn the query and key heads of QKV by attention->rotary, in place; but those
 * that device_attention, which comes next with the same arguments, turns while
 * it reads them (a card's does) are left as they are. */
void device_rotate(struct lane *lane, const struct attention *attention,
                   const struct sequences *sequences, struct narrow *qkv);

/* y[row] = activation(x[row][0 .. width)) * x[row][width .. 2 * width). x is
 * [rows, 2 * width], y [rows, width]; they may not overlap. */
void device_gate(struct lane *lane, enum activation activation,
                 const struct narrow *x, size_t rows, size_t width,
                 struct narrow *y);

/* Scratch that device_experts needs; counts and shapes are read, no weights. */
size_t device_experts_bytes(const struct device *device,
                            const struct experts *experts, size_t rows);

/* y = experts(x) + residual (which may be NULL, or y). SCRATCH is
 * device_experts_bytes for at least as many rows, 64-byte aligned. x may not
 * overlap y. */
void device_experts(struct lane *lane, const struct experts *experts,
                    const struct narrow *x, size_t rows, const float *residual,
                    void *scratch, float *y);

/* y = activation(x W^T + b) + residual. RESIDUAL is [rows, out] or NULL and
 * may be y; x may not overlap y. */
void device_linear(struct lane *lane, const struct linear *linear,
                   const struct narrow *x /* [rows, in] */, size_t rows,
                   enum activation activation, const float *residual,
                   float *y /* [rows, out] */);
/* The same without a residual, rounded. */
void device_linear_narrow(struct lane *lane, const struct linear *linear,
                          const struct narrow *x, size_t rows,
                          enum activation activation, struct narrow *y);

/* Softmax(Q K^T * scale + what struct attention adds) V for each head of each
 * text. QKV is [tokens, heads + 2 * kv_heads, head_dim], CONTEXT [tokens,
 * heads, head_dim], SCRATCH device_attention_bytes. */
void device_attention(struct lane *lane, const struct attention *attention,
                      const struct sequences *sequences,
                      const struct narrow *qkv, void *scratch,
                      struct narrow *context);

/* Of each text the row that sequences->meant names, the first or the last:
 * x is [tokens, width], y [texts, width]. They may not overlap. */
void device_pick(struct lane *lane, const struct sequences *sequences,
                 const struct narrow *x, size_t width, struct narrow *y);

/* One row a text: y[t * stride .. + width). The rows of text t in x are
 * its own but the first `skip`. Where that is none, y is zeros, and the
 * first row for CLS. */
void device_pool(struct lane *lane, enum pooling pooling,
                 const struct sequences *sequences, const float *x,
                 size_t width, float *y, size_t stride);

/* Each row divided by its Euclidean norm, which is taken as at least 1e-12
 * (as torch.nn.functional.normalize does). */
void device_normalize(struct lane *lane, float *x, size_t rows, size_t width);

/* Rows of one text into one row Y [width] (SPLADE's pooling). FIRST: y begins
 * as zeros; without it, what was accumulated before counts on, and it is the
 * same whether rows come at once or some at a time.
 *
 * Sums are compensated (Kahan, "Further remarks on reducing truncation errors",
 * 1965): LOST [width] keeps what each addition rounded away, for the next one,
 * so that a long text's sum is as exact as what is added. It begins with Y and
 * goes with it; NULL where all rows come at once. */
void device_accumulate(struct lane *lane, enum accumulate how, const float *x,
                       size_t rows, size_t width, bool first, float *y,
                       float *lost);

/* Wait until all verbs of the lane are done. ERROR_DEVICE: the device is lost,
 * and so are its results. */
bool device_finish(struct lane *lane, struct error *err);

#endif
