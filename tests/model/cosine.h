/* cosine.h - how near two vectors are. */

#ifndef TESTS_MODEL_COSINE_H
#define TESTS_MODEL_COSINE_H

#include <math.h>
#include <stddef.h>

/* 1 for two vectors of zeros. */
static inline double cosine_of(const float *a, const float *b, size_t width) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < width; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa == 0 && bb == 0 ? 1 : ab / sqrt(aa * bb);
}

#endif
