/* transformer.h - from ids to hidden states: tables are looked up, then LAYERS
 * times attention and feed-forward, as straight code over a device's verbs.
 *
 *     struct transformer t = {.spec = spec, .weights = weights,
 *                             .device = device};
 *     for both kinds of layers:
 *         t.attention[local] = transformer_attention(spec, weights, local);
 *     transformer_begin(&t, lane, work, &group);   // between submit and finish
 *     for (size_t i = 0; i < spec->depth; i++)
 *         transformer_step(&t, the layer's weights, lane, work, &group, i);
 *     ... work->x [rows of the group, hidden] ...  // heads.h goes on
 *
 * Where the heads read one row of each text (group.read), the last layer leaves
 * the others behind its attention: the result is then work->pooled [texts,
 * hidden], with the same bits. A model that pools its first or last token, and
 * a reranker, so have three quarters of a layer's products less to compute.
 *
 * A line of layer() is a line of the family's paper; families differ in where
 * norms stand, how positions enter, and what stands between the matrices of the
 * feed-forward block. Who calls (encoder.c) decides what a submit is: the whole
 * way, or a layer where layers stream. Nothing here takes memory: rows lie in
 * the lane's pieces (lane_work.h).
 */

#ifndef MODEL_TRANSFORMER_H
#define MODEL_TRANSFORMER_H

#include "base/error.h"
#include "device/device.h"
#include "model/lane_work.h"
#include "model/spec.h"
#include "model/weights.h"

struct transformer {
    const struct model_spec *spec; /* borrowed, as all of it */
    struct weights *weights;
    struct device *device;
    struct attention attention[2]; /* of global layers, of local ones */
};

/* What the layers of one kind compute; WEIGHTS NULL: only its sizes. */
struct attention transformer_attention(const struct model_spec *spec,
                                       const struct weights *weights,
                                       bool local);

/* device_prepare for each kind of attention that the layers have. WEIGHTS NULL:
 * they are not there yet. */
bool transformer_prepare(const struct model_spec *spec,
                         const struct weights *weights, struct device *device,
                         struct error *err);

/* The tables are looked up. */
void transformer_begin(const struct transformer *t, struct lane *lane,
                       const struct lane_work *work, const struct group *group);

/* Step I of [0, depth) of the way through the layers, which layer
 * model_spec_layer(spec, I) with the weights W computes: the last ends with the
 * norm behind all layers. */
void transformer_step(const struct transformer *t,
                      const struct layer_weights *w, struct lane *lane,
                      const struct lane_work *work, const struct group *group,
                      size_t i);

#endif
