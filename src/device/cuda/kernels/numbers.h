/* numbers.h - four and eight neighbours of a row from memory and back, and a
 * warp that has a row; before every kernel file, behind params.h. */

enum { FOUR = 4, EIGHT = NUMBERS_AT_ONCE, LANES = 32 };

/* ---- four and eight neighbours ------------------------------------------ */

INLINE bool divides(unsigned bytes, const void *pointer) {
    return ((unsigned long long)pointer & (bytes - 1)) == 0;
}

/* N numbers, 4 or 8, of which COUNT are there: the others are 0, or are left
 * out. AT_ONCE: all are there, and aligned. */
template <unsigned N>
INLINE void load(float *v, const float *from, unsigned count, bool at_once) {
    if (!at_once) {
        UNROLL
        for (unsigned i = 0; i < N; i++)
            v[i] = i < count ? from[i] : 0.0f;
        return;
    }
    unsigned words[N];
    UNROLL
    for (unsigned i = 0; i < N; i += 4)
        load_words4(words + i, from + i);
    UNROLL
    for (unsigned i = 0; i < N; i++)
        v[i] = as_float(words[i]);
}

template <unsigned N>
INLINE void store(float *to, const float *v, unsigned count, bool at_once) {
    if (!at_once) {
        UNROLL
        for (unsigned i = 0; i < N; i++)
            if (i < count)
                to[i] = v[i];
        return;
    }
    unsigned words[N];
    UNROLL
    for (unsigned i = 0; i < N; i++)
        words[i] = as_word(v[i]);
    UNROLL
    for (unsigned i = 0; i < N; i += 4)
        store_words4(to + i, words + i);
}

#if NARROW != 0

template <unsigned N>
INLINE void load(float *v, const narrow *from, unsigned count, bool at_once) {
    if (!at_once) {
        UNROLL
        for (unsigned i = 0; i < N; i++)
            v[i] = i < count ? widen(from[i]) : 0.0f;
        return;
    }
    unsigned words[N / 2];
    if constexpr (N == 4)
        load_words2(words, from);
    else
        load_words4(words, from);
    UNROLL
    for (unsigned i = 0; i < N / 2; i++)
        unpack2(words[i], &v[2 * i], &v[2 * i + 1]);
}

template <unsigned N>
INLINE void store(narrow *to, const float *v, unsigned count, bool at_once) {
    if (!at_once) {
        UNROLL
        for (unsigned i = 0; i < N; i++)
            if (i < count)
                to[i] = round_narrow(v[i]);
        return;
    }
    unsigned words[N / 2];
    UNROLL
    for (unsigned i = 0; i < N / 2; i++)
        words[i] = pack2(v[2 * i], v[2 * i + 1]);
    if constexpr (N == 4)
        store_words2(to, words);
    else
        store_words4(to, words);
}

#endif

/* v += what is at FROM; NULL: nothing. */
template <unsigned N, class T>
INLINE void add_from(float *v, const T *from, unsigned count, bool at_once) {
    float more[N];
    if (!from)
        return;
    load<N>(more, from, count, at_once);
    UNROLL
    for (unsigned i = 0; i < N; i++)
        v[i] += more[i];
}

/* Where four or eight numbers of T can be moved at once. */
template <class T> INLINE bool fours(const T *pointer) {
    return divides(4 * sizeof *pointer, pointer);
}

template <class T> INLINE bool eights(const T *pointer) {
    return divides(16, pointer);
}

/* ---- a warp a row ------------------------------------------------------- */

INLINE size_t warp_row() {
    return (size_t)blockIdx.x * ROW_WARPS + threadIdx.x / LANES;
}

INLINE unsigned lane_column() {
    return threadIdx.x % LANES * FOUR;
}

/* The same bits in all lanes. */
template <class T> INLINE T warp_sum(T x) {
    UNROLL
    for (int distance = LANES / 2; distance > 0; distance /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, distance);
    return x;
}
