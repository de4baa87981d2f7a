/* cuda_narrow.c - floats to f16, bf16 and e4m3, to nearest even, on the host.
 * Lots of fixed length without branches, which the compiler makes vectors of.
 */

#include "device/cuda/cuda_parts.h"

#include <string.h>

enum { LOT = 64 };

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Half of the last bit that stays, less one if that bit is even, is added, and
 * carries where it must: into the exponent too, up to infinity. */
static uint16_t bf16_of(float x) {
    uint32_t bits = bits_of(x);
    uint32_t near = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    uint32_t nan = bits >> 16 | 0x40;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? nan : near);
}

/* Normal numbers as above, with the exponent's new bias. Below 2^-14 a half has
 * steps of 2^-24: those of a float from 1/2 to 1, so that adding 1/2 rounds. */
static uint16_t f16_of(float x) {
    uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000;
    uint32_t size = bits & 0x7fffffff;
    uint32_t normal = (size - (112u << 23) + 0xfff + (size >> 13 & 1)) >> 13;
    uint32_t small = bits_of(float_of(size) + 0.5f) - bits_of(0.5f);
    uint32_t large = size > 0x7f800000 ? 0x7e00 : 0x7c00;
    uint32_t half = size < (113u << 23) ? small : normal;
    return (uint16_t)(sign | (size >= (143u << 23) ? large : half));
}

/* As f16 above, with a bias of 7, three bits, steps of 2^-9 below 2^-6 (a
 * float's from 2^14 on), and no infinity. */
static uint8_t e4m3_of(float x) {
    uint32_t bits = bits_of(x), sign = bits >> 24 & 0x80;
    uint32_t size = bits & 0x7fffffff;
    uint32_t normal = (size - (120u << 23) + 0x7ffff + (size >> 20 & 1)) >> 20;
    uint32_t small = bits_of(float_of(size) + 0x1p14f) - bits_of(0x1p14f);
    uint32_t large = size > 0x7f800000 ? 0x7f : 0x7e;
    uint32_t code = size < (121u << 23) ? small : normal;
    return (uint8_t)(sign | (size >= bits_of(E4M3_MOST) ? large : code));
}

/* Put into its callers, where ONE is known and no call. */
static inline __attribute__((always_inline)) void narrow(uint16_t (*one)(float),
                                                         const float *from,
                                                         size_t count,
                                                         uint16_t *to) {
    size_t i = 0;
    for (; i + LOT <= count; i += LOT) {
        uint16_t lot[LOT];
        for (size_t j = 0; j < LOT; j++)
            lot[j] = one(from[i + j]);
        memcpy(to + i, lot, sizeof lot);
    }
    for (; i < count; i++)
        to[i] = one(from[i]);
}

void cuda_narrow_bf16(const float *from, size_t count, uint16_t *to) {
    narrow(bf16_of, from, count, to);
}

void cuda_narrow_f16(const float *from, size_t count, uint16_t *to) {
    narrow(f16_of, from, count, to);
}

void cuda_narrow_e4m3(const float *from, size_t count, float factor,
                      uint8_t *to) {
    size_t i = 0;
    for (; i + LOT <= count; i += LOT) {
        uint8_t lot[LOT];
        for (size_t j = 0; j < LOT; j++)
            lot[j] = e4m3_of(from[i + j] * factor);
        memcpy(to + i, lot, sizeof lot);
    }
    for (; i < count; i++)
        to[i] = e4m3_of(from[i] * factor);
}

/* Floats without a sign have the order of their bits. */
float cuda_greatest_size(const float *from, size_t count, float least) {
    uint32_t most = bits_of(least);
    for (size_t i = 0; i < count; i++) {
        uint32_t size = bits_of(from[i]) & 0x7fffffff;
        most = size > most ? size : most;
    }
    return float_of(most);
}
