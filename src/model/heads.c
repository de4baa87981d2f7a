/* heads.c - what is made of the last layer's rows: a vector a text. */

#include "model/encoder_parts.h"

void heads_place(struct layout *layout, const struct model_spec *spec,
                 size_t rows, struct lane_work *work) {
    size_t head = model_spec_head_width(spec) * sizeof(float);
    work->pooled = layout_take(layout, rows, head);
    if (spec->dense_count)
        work->projected = layout_take(layout, rows, head);
}

static void pool(const struct model_spec *spec, struct lane *lane,
                 const struct lane_work *work, const struct group *group) {
    struct sequences counted = group->texts;
    counted.skip =
        spec->pooling_include_prompt ? 0 : group->batch->prompt_tokens;
    for (size_t i = 0; i < spec->pooling_count; i++)
        device_pool(lane, spec->pooling[i], &counted, work->x, spec->hidden,
                    work->pooled + i * spec->hidden,
                    model_spec_pooled_width(spec));
}

static void dense(const struct model_spec *spec, const struct weights *weights,
                  struct lane *lane, const struct lane_work *work,
                  const struct group *group) {
    size_t texts = group->texts.texts;
    float *from = work->pooled, *to = work->projected;
    pool(spec, lane, work, group);
    for (size_t i = 0; i < spec->dense_count; i++) {
        device_linear(lane, &weights->dense[i], from, texts,
                      spec->dense[i].activation, NULL, to);
        float *swap = from;
        from = to;
        to = swap;
    }
    if (spec->normalize)
        device_normalize(lane, from, texts, spec->width);
    device_download(lane, from, texts * spec->width,
                    group->out->dense + group->first * spec->width);
}

void heads_run(const struct model_spec *spec, const struct weights *weights,
               struct lane *lane, const struct lane_work *work,
               const struct group *group) {
    if (group->out->dense)
        dense(spec, weights, lane, work, group);
}
