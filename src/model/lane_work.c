/* lane_work.c - see lane_work.h. */

#include "model/lane_work.h"

#include "model/heads.h"

enum { PIECE_ALIGNMENT = 64 }; /* of pieces within a piece */

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Numbers a row that the blocks need: tables' rows that are projected, then Q,
 * K, V and the context, later the inside of the feed-forward block. */
static size_t inside_width(const struct model_spec *spec) {
    size_t attention = model_spec_qkv(spec) + spec->heads * spec->head_dim;
    size_t inner = spec->inter * (spec->traits & TRAIT_GATED ? 3 : 1);
    return larger(larger(attention, inner),
                  larger(spec->embedding, spec->hidden));
}

static struct narrow *place_inside(struct layout *layout,
                                   const struct model_spec *spec,
                                   const struct device *device, size_t rows) {
    size_t width = inside_width(spec);
    if (!device->narrow_is_float) /* else the heads read floats as they are */
        width = larger(width, heads_width(spec));
    struct narrow *inside =
        layout_take(layout, rows, width * device->narrow_bytes);
    if (!device->host_memory)
        layout_take(layout, 1, PIECE_ALIGNMENT); /* see lane_work_behind */
    return inside;
}

/* Each its own piece where narrow numbers are not floats. Where they are,
 * narrow is x if norms stand behind blocks; other is narrow under NORM_AROUND,
 * a piece of its own under NORM_TWICE, and else inside. */
static void place_rows(struct layout *layout, const struct model_spec *spec,
                       const struct device *device, size_t rows,
                       struct lane_work *work) {
    enum norm_order order = spec->family->norms;
    bool apart = !device->narrow_is_float;
    size_t widest = larger(spec->hidden, spec->embedding);
    size_t narrow = apart ? widest : spec->hidden;
    bool sums = order == NORM_AROUND || order == NORM_TWICE;
    bool others = sums || spec->experts || spec->traits & TRAIT_PROJECTS ||
                  spec->traits & TRAIT_MLM;
    work->x = layout_take(layout, rows, spec->hidden * sizeof(float));
    work->narrow = (struct narrow *)work->x;
    if (apart || !norms_behind(spec))
        work->narrow = layout_take(layout, rows, narrow * device->narrow_bytes);
    work->inside = place_inside(layout, spec, device, rows);
    if (apart || order == NORM_TWICE)
        work->other =
            others ? layout_take(layout, rows, widest * sizeof(float)) : NULL;
    else
        work->other =
            (float *)(order == NORM_AROUND ? work->narrow : work->inside);
}

/* The largest of the layers' experts, for the device to say what it needs. */
static size_t experts_bytes(const struct model_spec *spec,
                            const struct device *device, size_t rows) {
    struct linear up = {.in = spec->hidden, .out = spec->inter};
    struct linear down = {.in = spec->inter, .out = spec->hidden};
    struct experts experts = {
        .count = spec->experts,
        .chosen = spec->experts_chosen,
        .router = {.in = spec->hidden, .out = spec->experts},
        .up = &up,
        .down = &down};
    return spec->experts ? device_experts_bytes(device, &experts, rows) : 0;
}

struct lane_work lane_work_place(struct layout *layout,
                                 const struct model_spec *spec,
                                 const struct device *device, size_t rows,
                                 size_t attention_bytes) {
    struct lane_work work = {.rows = rows};
    place_rows(layout, spec, device, rows, &work);
    work.attention = layout_take(layout, 1, attention_bytes);
    work.room = layout_take(layout, 1, device_lane_bytes(device, rows));
    if (spec->experts)
        work.experts =
            layout_take(layout, 1, experts_bytes(spec, device, rows));
    if (spec->relative_rows)
        work.relative =
            layout_take(layout, spec->relative_rows,
                        model_spec_qkv(spec) * device->narrow_bytes);
    heads_place(layout, spec, rows, &work);
    return work;
}

struct narrow *lane_work_behind(const struct device *device,
                                const struct lane_work *work, size_t rows,
                                size_t width) {
    size_t bytes = rows * width * device->narrow_bytes;
    if (!device->host_memory)
        bytes = (bytes + PIECE_ALIGNMENT - 1) & ~(size_t)(PIECE_ALIGNMENT - 1);
    return (struct narrow *)(void *)((char *)work->inside + bytes);
}
