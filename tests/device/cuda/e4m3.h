/* e4m3.h - e4m3 by its definition, for tests: a sign, 4 bits of exponent with a
 * bias of 7, 3 bits of fraction; no infinity, and all bits set but the sign is
 * NaN. tests/fixtures/e4m3.json has what PyTorch makes of it. */

#ifndef TESTS_DEVICE_CUDA_E4M3_H
#define TESTS_DEVICE_CUDA_E4M3_H

#include <math.h>
#include <stdbool.h>

enum { E4M3_NAN = 0x7f, E4M3_GREATEST = 0x7e, E4M3_SIGN = 0x80 };

static inline double e4m3_value(unsigned code) {
    int exponent = (int)(code >> 3 & 15), fraction = (int)(code & 7);
    double size = exponent ? ldexp(1 + fraction / 8.0, exponent - 7)
                           : ldexp(fraction / 8.0, -6);
    if ((code & 0x7f) == E4M3_NAN)
        return (double)NAN;
    return code & E4M3_SIGN ? -size : size;
}

/* The nearest of all, the even one of two; the greatest beyond it. Values rise
 * with their codes. */
static inline unsigned e4m3_nearest(double x) {
    unsigned low = 0, high = E4M3_GREATEST, sign = signbit(x) ? E4M3_SIGN : 0;
    double size = fabs(x);
    if (isnan(x))
        return E4M3_NAN;
    if (size >= e4m3_value(high))
        return sign | high;
    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        if (e4m3_value(middle) <= size)
            low = middle;
        else
            high = middle;
    }
    double below = size - e4m3_value(low), above = e4m3_value(high) - size;
    bool up = above < below || (above == below && low % 2);
    return sign | (up ? high : low);
}

#endif
