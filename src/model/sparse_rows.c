#include "model/sparse_rows.h"

#include <math.h>
#include <stdbool.h>

struct pairs {
    uint32_t *indices;
    float *values;
};

static void swap(struct pairs p, size_t a, size_t b) {
    uint32_t index = p.indices[a];
    float value = p.values[a];
    p.indices[a] = p.indices[b];
    p.values[a] = p.values[b];
    p.indices[b] = index;
    p.values[b] = value;
}

/* Does pair A come behind pair B? */
typedef bool behind_fn(struct pairs p, size_t a, size_t b);

static bool by_index(struct pairs p, size_t a, size_t b) {
    return p.indices[a] > p.indices[b];
}

static bool by_value(struct pairs p, size_t a, size_t b) {
    float one = fabsf(p.values[a]), other = fabsf(p.values[b]);
    return one < other || (one == other && p.indices[a] > p.indices[b]);
}

static void sink(struct pairs p, size_t at, size_t count, behind_fn *behind) {
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && behind(p, child + 1, child))
            child++;
        if (!behind(p, child, at))
            return;
        swap(p, child, at);
    }
}

/* A heap sort: qsort cannot order two arrays together, and takes memory. */
static void sort(struct pairs p, size_t count, behind_fn *behind) {
    for (size_t i = count / 2; i-- > 0;)
        sink(p, i, count, behind);
    for (size_t last = count; last-- > 1;) {
        swap(p, 0, last);
        sink(p, 0, last, behind);
    }
}

static bool is_in(uint32_t id, const uint32_t *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (list[i] == id)
            return true;
    return false;
}

size_t sparse_lexical(const uint32_t *ids, const float *weights, size_t tokens,
                      const uint32_t *dropped, size_t dropped_count,
                      uint32_t *indices, float *values) {
    struct pairs p = {indices, values};
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < tokens; i++) {
        uint32_t id = ids[i];
        float weight = weights[i];
        if (!(weight > 0) || is_in(id, dropped, dropped_count))
            continue;
        indices[count] = id;
        values[count++] = weight;
    }
    sort(p, count, by_index);
    for (size_t i = 0; i < count; i++) {
        if (!kept || indices[kept - 1] != indices[i]) {
            indices[kept] = indices[i];
            values[kept++] = values[i];
        } else if (values[i] > values[kept - 1]) {
            values[kept - 1] = values[i];
        }
    }
    return kept;
}

size_t sparse_largest(size_t active_max, uint32_t *indices, float *values,
                      size_t count) {
    struct pairs p = {indices, values};
    if (!active_max || count <= active_max)
        return count;
    sort(p, count, by_value);
    sort(p, active_max, by_index);
    return active_max;
}

size_t sparse_splade(const float *row, size_t vocab, size_t active_max,
                     uint32_t *indices, float *values) {
    size_t count = 0;
    for (size_t i = 0; i < vocab; i++) {
        float value = row[i];
        if (!(value > 0))
            continue;
        indices[count] = (uint32_t)i;
        values[count++] = value;
    }
    return sparse_largest(active_max, indices, values, count);
}
