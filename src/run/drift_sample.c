/* drift_sample.c - the texts that are compared: those with the smallest
 * digests. */

#include <string.h>

#include "base/layout.h"
#include "run/crew.h"
#include "run/drift.h"
#include "run/dtype.h"

size_t drift_texts(uint64_t computing) {
    uint64_t texts = computing / DRIFT_ONE_IN;
    if (texts < DRIFT_TEXTS_LEAST)
        texts = DRIFT_TEXTS_LEAST;
    if (texts > DRIFT_TEXTS_MOST)
        texts = DRIFT_TEXTS_MOST;
    return (size_t)(texts < computing ? texts : computing);
}

/* Runs twice: first with an empty layout, to measure. */
static void place(struct layout *l, struct drift_sample *sample) {
    sample->digests = layout_take(l, sample->most, SHA256_BYTES);
    sample->sizes = layout_take(l, sample->most, sizeof *sample->sizes);
    sample->ids =
        layout_take(l, sample->most, sample->room * sizeof *sample->ids);
}

uint64_t drift_sample_bytes(size_t texts, size_t longest) {
    struct layout measure = {0};
    struct drift_sample nowhere = {.most = texts, .room = longest};
    place(&measure, &nowhere);
    return texts ? memory_block_bytes(measure.bytes) : 0;
}

bool drift_sample_open(struct drift_sample *sample, struct memory *memory,
                       size_t texts, size_t longest, struct error *err) {
    struct layout measure = {0};
    *sample =
        (struct drift_sample){.memory = memory, .most = texts, .room = longest};
    if (!texts)
        return true;
    place(&measure, sample);
    struct layout real = {.base = memory_alloc(memory, 1, measure.bytes, err)};
    if (real.base)
        place(&real, sample);
    else
        *sample = (struct drift_sample){0};
    return real.base != NULL;
}

void drift_sample_close(struct drift_sample *sample) {
    if (sample->memory)
        memory_free(sample->memory, sample->digests); /* the first of them */
    *sample = (struct drift_sample){0};
}

static const uint8_t *digest_of(const struct drift_sample *sample, size_t i) {
    return sample->digests + i * SHA256_BYTES;
}

static size_t find_last(const struct drift_sample *sample) {
    size_t last = 0;
    for (size_t i = 1; i < sample->count; i++)
        if (memcmp(digest_of(sample, i), digest_of(sample, last),
                   SHA256_BYTES) > 0)
            last = i;
    return last;
}

void drift_sample_add(struct drift_sample *sample,
                      const uint8_t digest[SHA256_BYTES], const uint32_t *ids,
                      size_t count) {
    size_t at = sample->count;
    if (!sample->most || !count || count > sample->room)
        return;
    if (at < sample->most) {
        sample->count++;
    } else {
        at = sample->last;
        if (memcmp(digest, digest_of(sample, at), SHA256_BYTES) >= 0)
            return;
    }
    memcpy(sample->digests + at * SHA256_BYTES, digest, SHA256_BYTES);
    memcpy(sample->ids + at * sample->room, ids, count * sizeof *ids);
    sample->sizes[at] = count;
    if (sample->count == sample->most)
        sample->last = find_last(sample);
}

/* The ids of a text that was taken as windows are those of its last ones. */
void drift_take(struct drift_sample *sample, const struct batch *batch) {
    enum number_type type = dtype_of(batch->station->device);
    if (!sample->most || type == NUMBER_F32 ||
        type != member_type(batch->job->member) || batch_is_windows(batch))
        return;
    for (size_t i = 0; i < batch->texts; i++)
        if (!batch->rows.why[i])
            drift_sample_add(sample, batch->digests + i * SHA256_BYTES,
                             batch->ids + batch->starts[i],
                             batch->starts[i + 1] - batch->starts[i]);
}
