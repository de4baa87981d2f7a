/* weights_stream.c - layers that pass through two slots on the device.
 *
 * A slot remembers the layer that it holds, so it does not matter how the last
 * batch ended, and where only two layers stream each keeps its slot. Layers
 * that come from the file have one, and nothing is copied ahead. */

#include <stdint.h>

#include "model/weights_parts.h"

bool weights_stream(const struct weights *weights) {
    return weights->resident < weights->layers_count;
}

unsigned stream_slots(const struct weights *weights) {
    return !weights_stream(weights) ? 0 : weights->from_file ? 1 : 2;
}

static struct weights_slot *slot_of(struct weights *weights, size_t i) {
    for (int k = 0; k < 2; k++)
        if (weights->slots[k].holds == i)
            return &weights->slots[k];
    return NULL;
}

/* Wait for the copy under way, if there is one. */
static bool copy_end(struct weights *weights, struct error *err) {
    struct weights_slot *slot = weights->copying;
    weights->copying = NULL;
    if (!slot || device_upload_wait(weights->device, err))
        return true;
    slot->holds = SIZE_MAX;
    return false;
}

/* Begin to copy layer I into SLOT, which nobody computes with. */
static bool copy_begin(struct weights *weights, size_t i,
                       struct weights_slot *slot, struct error *err) {
    if (!copy_end(weights, err))
        return false;
    slot->holds = i;
    weights->copying = slot;
    device_upload(weights->device, slot->data,
                  weights->streamed +
                      (i - weights->resident) * weights->layer_bytes,
                  weights->layer_bytes);
    return true;
}

/* The slot of layer I, its copy under way at least. */
static struct weights_slot *fetch(struct weights *weights, size_t i,
                                  const struct weights_slot *keep,
                                  struct error *err) {
    struct weights_slot *slot = slot_of(weights, i);
    if (slot)
        return slot;
    slot = &weights->slots[keep == &weights->slots[0] ? 1 : 0];
    return copy_begin(weights, i, slot, err) ? slot : NULL;
}

static const struct layer_weights *read_layer(struct weights *weights,
                                              size_t i) {
    struct weights_slot *slot = &weights->slots[0];
    if (slot->holds != i)
        fill_layer(weights->loader, i, &slot->layers[i]);
    slot->holds = i;
    return &slot->layers[i];
}

const struct layer_weights *weights_layer(struct weights *weights, size_t i,
                                          struct error *err) {
    if (!weights_stream(weights))
        return &weights->layers[i];
    if (weights->from_file)
        return read_layer(weights, i);
    struct weights_slot *slot = NULL;
    size_t next = i + 1;
    if (i >= weights->resident) {
        slot = fetch(weights, i, NULL, err);
        if (!slot || (weights->copying == slot && !copy_end(weights, err)))
            return NULL;
    }
    if (next < weights->resident || next == weights->layers_count)
        next = weights->resident;
    if (!fetch(weights, next, slot, err))
        return NULL;
    return slot ? &slot->layers[i] : &weights->layers[i];
}

void stream_stop(struct weights *weights) {
    copy_end(weights, NULL);
}
