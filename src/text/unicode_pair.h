/* unicode_pair.h - what the generated tables are looked up with: sorted pairs
 * of a code point and what it becomes, and the syllables of Hangul, which are
 * arithmetic.
 */

#ifndef TEXT_UNICODE_PAIR_H
#define TEXT_UNICODE_PAIR_H

#include <stddef.h>
#include <stdint.h>

struct unicode_pair {
    uint32_t from;
    uint32_t to; /* a code point or what else the table holds */
};

/* NULL if CODE is none of the PAIRS, which are sorted by `from`. */
static inline const struct unicode_pair *unicode_pair_find(
    const struct unicode_pair *pairs, size_t count, uint32_t code) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (pairs[middle].from < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && pairs[low].from == code ? &pairs[low] : NULL;
}

/* The first of the syllables S and of the letters L, V, T that make them
 * (Unicode 3.12), and how many there are of each. */
enum {
    HANGUL_S = 0xAC00,
    HANGUL_L = 0x1100,
    HANGUL_V = 0x1161,
    HANGUL_T = 0x11A7, /* stands for no last letter */
    HANGUL_L_COUNT = 19,
    HANGUL_V_COUNT = 21,
    HANGUL_T_COUNT = 28,
    HANGUL_S_COUNT = 11172
};

/* CODE's letters into OUT: 2 or 3, or 0 if it is no syllable. */
static inline size_t unicode_hangul(uint32_t code, uint32_t *out) {
    uint32_t index = code - HANGUL_S;
    if (index >= HANGUL_S_COUNT)
        return 0;
    out[0] = HANGUL_L + index / (HANGUL_V_COUNT * HANGUL_T_COUNT);
    out[1] = HANGUL_V + index / HANGUL_T_COUNT % HANGUL_V_COUNT;
    out[2] = HANGUL_T + index % HANGUL_T_COUNT;
    return index % HANGUL_T_COUNT ? 3 : 2;
}

#endif
