/* weights_made.c - tables that are computed when a model is loaded. */

#include <math.h>

#include "model/weights_parts.h"

/* Angles in float, as upstream has them: far positions would differ otherwise.
 */
static void make_angles(const struct rotary_spec *spec, size_t pairs,
                        size_t begin, size_t count, double (*of)(double),
                        float *rows) {
    for (size_t i = 0; i < count; i++)
        for (size_t p = 0; p < pairs; p++) {
            float angle = (float)(begin + i) * spec->inverse[p];
            rows[i * pairs + p] = (float)of((double)angle) * spec->factor;
        }
}

static void fill_rotary(const struct loader *loader,
                        const struct rotary_spec *spec,
                        const struct rotary *rotary) {
    size_t pairs = rotary->dims / 2, step = loader->stage_floats / pairs;
    for (size_t row = 0, some; row < rotary->positions; row += some) {
        some = rotary->positions - row < step ? rotary->positions - row : step;
        make_angles(spec, pairs, row, some, cos, loader->stage);
        put_stage(loader, rotary->cosine + row * pairs, some * pairs);
        make_angles(spec, pairs, row, some, sin, loader->stage);
        put_stage(loader, rotary->sine + row * pairs, some * pairs);
    }
}

/* Press, Smith and Lewis (2022): 2^(-8 / n), its square ... for a power of 2;
 * for other numbers every other one of twice as many follows. */
void alibi_slopes(size_t heads, float *slopes) {
    size_t power = 1;
    while (power * 2 <= heads)
        power *= 2;
    for (size_t h = 0; h < heads; h++) {
        double exponent =
            h < power ? (double)(h + 1) * 8 / (double)power
                      : (double)(2 * (h - power) + 1) * 4 / (double)power;
        slopes[h] = (float)pow(2, -exponent);
    }
}

/* Half the buckets are for keys behind the query. Of a half, distances below
 * half of that have one each; the others end at equal steps of the logarithm,
 * the last before the reach. In float and cut, as transformers' T5 computes
 * them: some steps end just at a whole distance. */
size_t distance_bucket(const struct model_spec *spec, long behind) {
    size_t half = spec->buckets_used / 2, each = half / 2;
    size_t n = (size_t)(behind < 0 ? -behind : behind), bucket = n;
    if (n >= each) {
        float all = (float)log((double)spec->distance_reach / (double)each);
        float part = logf((float)n / (float)each) / all * (float)(half - each);
        bucket = each + (size_t)part;
    }
    if (bucket >= half)
        bucket = half - 1;
    return bucket + (behind > 0 ? half : 0);
}

/* DeBERTa v2's buckets, where there are any: distances up to half as many have
 * one each, the others share them by the logarithm up to the reach. In float,
 * as transformers' make_log_bucket_position computes them. */
uint32_t relative_row(const struct model_spec *spec, long distance) {
    long buckets = (long)spec->relative_buckets, half = buckets / 2;
    long span = (long)spec->relative_rows / 2, bucket = distance;
    long far = distance < 0 ? -distance : distance;
    if (buckets && far > half) {
        double most = (double)(spec->relative_reach - 1) / (double)half;
        float part = logf((float)far / (float)half) / logf((float)most);
        bucket = (long)ceilf(part * (float)(half - 1)) + half;
        bucket = distance < 0 ? -bucket : bucket;
    }
    bucket += span;
    return (uint32_t)(bucket < 0           ? 0
                      : bucket >= 2 * span ? 2 * span - 1
                                           : bucket);
}

static void fill_relative_rows(const struct loader *loader,
                               const uint32_t *row) {
    size_t count = 2 * loader->spec->relative_reach + 1;
    uint32_t *stage = (uint32_t *)(void *)loader->stage;
    for (size_t done = 0, some; done < count; done += some) {
        some = count - done < loader->stage_floats ? count - done
                                                   : loader->stage_floats;
        for (size_t i = 0; i < some; i++)
            stage[i] = relative_row(loader->spec,
                                    (long)(done + i) -
                                        (long)loader->spec->relative_reach);
        device_put(loader->weights->device, (void *)(row + done), stage,
                   some * sizeof *stage);
    }
}

void norm_row(const struct norm *norm, float *x) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < norm->width; i++)
        mean += (double)x[i] / (double)norm->width;
    for (size_t i = 0; i < norm->width; i++)
        variance += (x[i] - mean) * (x[i] - mean) / (double)norm->width;
    double scale = 1 / sqrt(variance + (double)norm->epsilon);
    for (size_t i = 0; i < norm->width; i++)
        x[i] = (float)((x[i] - mean) * scale * (double)norm->scale[i] +
                       (norm->shift ? (double)norm->shift[i] : 0));
}

void fill_made(const struct loader *loader) {
    const struct model_spec *spec = loader->spec;
    const struct weights *weights = loader->weights;
    for (int i = 0; i < 2; i++)
        if (weights->rotary[i].dims)
            fill_rotary(loader, &spec->rotary[i], &weights->rotary[i]);
    if (weights->slopes) {
        alibi_slopes(spec->heads, loader->stage);
        put_stage(loader, weights->slopes, spec->heads);
    }
    if (weights->relative_row)
        fill_relative_rows(loader, weights->relative_row);
}
