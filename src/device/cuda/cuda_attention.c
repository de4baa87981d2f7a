/* cuda_attention.c - attention is one kernel: device_prepare loaded it. */

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

static struct attend_params params_of(const struct cuda_lane *lane,
                                      const struct attention *a,
                                      const struct narrow *qkv,
                                      struct narrow *context) {
    return (struct attend_params){
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
        .relative_reach = (unsigned)a->relative.reach,
        .relative_rows = (unsigned)a->relative.rows,
        .slopes = a->slopes,
        .relative = a->relative.table,
        .relative_row = a->relative.row,
    };
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
    struct attend_params params = params_of(lane, attention, qkv, context);
    cuda_launch(lane, attend->function, lane->tiles, attention->heads,
                ATTEND_THREADS, attend->shared_bytes, &params);
}
