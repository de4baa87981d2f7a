/* cuda_attention.c - attention is one kernel: device_prepare loaded it.
 *
 * Rotary positions are turned on the way into it where that costs less than a
 * kernel that reads and writes qkv. Of a head of D numbers, 2 D bytes, such a
 * kernel moves 4 D bytes of the card's memory a row; whoever turns a row needs
 * 4 D bytes of cosines and sines, which all texts and heads share, and so has
 * them from the card's cache.
 *
 * Q: a block of `attend` loads its queries once, and no other block of that
 * head does. It turns them in shared memory, where a warp reads what it turned
 * itself: no barrier, and nothing is turned twice.
 *
 * K: each tile of queries loads all keys of its text, and so do all heads that
 * share them. Turned there, a text of 512 rows would have its keys turned 8
 * times, with twice the keys' own bytes of cosines and sines each time, between
 * the copies that run while the products do. So rotate_heads turns K once,
 * before. Only where no text of the group has a second tile does `attend` turn
 * K as well, for then it costs no more than Q, and the launch is saved: the way
 * of a question.
 *
 * Both round what they turned, by the same function: a text's bits are the same
 * either way. attend_plain loads some columns of its queries again for each
 * tile of keys; before it rotate_heads turns all. */

#include "device/cuda/cuda_parts.h"

size_t cuda_attention_bytes(const struct device *device,
                            const struct attention *attention, size_t longest) {
    (void)device;
    (void)attention;
    (void)longest;
    return 0;
}

/* Distances beyond any text's are all that way. */
static unsigned reach_of(size_t distance) {
    return distance < UINT32_MAX ? (unsigned)distance : UINT32_MAX;
}

/* What `attend` turns of the group: nothing, Q, or K too. */
struct turned {
    bool queries, keys;
};

static struct turned turned_by(const struct cuda_lane *lane,
                               const struct cuda_attend *attend) {
    bool queries = attend && attend->features & FEATURE_ROTARY;
    return (struct turned){.queries = queries,
                           .keys = queries && lane->longest <= TILE_QUERIES &&
                                   ATTEND_KEYS(attend->head_dim) == TILE_KEYS};
}

static void set_relative(const struct relative *relative,
                         struct attend_params *params) {
    params->relative_reach = (unsigned)relative->reach;
    params->relative_rows = (unsigned)relative->rows;
    params->relative = relative->table;
    params->relative_row = relative->row;
}

static void set_rotary(const struct rotary *rotary, bool keys,
                       struct attend_params *params) {
    params->rotary_dims = (unsigned)rotary->dims;
    params->interleaved = rotary->interleaved;
    params->turns_keys = keys;
    params->cosine = rotary->cosine;
    params->sine = rotary->sine;
}

static struct attend_params params_of(const struct cuda_lane *lane,
                                      const struct cuda_attend *attend,
                                      const struct attention *a,
                                      const struct narrow *qkv,
                                      struct narrow *context) {
    struct turned turned = turned_by(lane, attend);
    struct attend_params params = {
        .qkv = qkv,
        .context = context,
        .starts = lane->on_card.starts,
        .keys = lane->on_card.keys,
        .tiles = lane->on_card.tiles,
        .heads = (unsigned)a->heads,
        .kv_heads = (unsigned)a->kv_heads,
        .head_dim = (unsigned)a->head_dim,
        .scale = a->scale,
        .behind = reach_of(a->behind),
        .ahead = reach_of(a->ahead),
        .distances = a->distances,
        .reach = (unsigned)a->reach,
        .slopes = a->slopes,
    };
    if (turned.queries)
        set_rotary(&a->rotary, turned.keys, &params);
    else
        set_relative(&a->relative, &params);
    return params;
}

/* What is left for rotate_heads. */
void cuda_rotate(struct lane *base, const struct attention *attention,
                 const struct sequences *sequences, struct narrow *qkv) {
    struct cuda_lane *lane = cuda_lane_of(base);
    struct cuda_device *cuda = lane->cuda;
    const struct rotary *rotary = &attention->rotary;
    struct turned later =
        turned_by(lane, cuda_attend_find(cuda, attention, lane->has_keys));
    size_t first = later.queries ? attention->heads : 0,
           dim = attention->head_dim;
    size_t end = attention->heads + attention->kv_heads;
    size_t rows = sequences_rows(sequences);
    if (!rotary->dims || later.keys)
        return;
    LAUNCH(lane, rotate_heads, rows, 1,
           .x = (char *)qkv + first * dim * cuda->device.narrow_bytes,
           .text_rows = lane->on_card.text_rows, .cosine = rotary->cosine,
           .sine = rotary->sine, .rows = (unsigned)rows,
           .stride = (unsigned)((end + attention->kv_heads) * dim),
           .heads = (unsigned)(end - first), .head_dim = (unsigned)dim,
           .dims = (unsigned)rotary->dims, .interleaved = rotary->interleaved);
}

void cuda_attention(struct lane *base, const struct attention *attention,
                    const struct sequences *sequences, const struct narrow *qkv,
                    void *scratch, struct narrow *context) {
    struct cuda_lane *lane = cuda_lane_of(base);
    struct cuda_device *cuda = lane->cuda;
    const struct cuda_attend *attend =
        cuda_attend_find(cuda, attention, lane->has_keys);
    (void)sequences;
    (void)scratch;
    if (!attend) {
        cuda_broke(cuda, "attention that nothing was made ready for");
        return;
    }
    struct attend_params params =
        params_of(lane, attend, attention, qkv, context);
    cuda_fp8_forget(lane, context);
    cuda_launch(lane, attend->function, lane->tiles, attention->heads,
                ATTEND_THREADS, attend->shared_bytes, &params);
}
