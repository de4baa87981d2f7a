/* Attention against its definition in double, and what cannot change it. */

#include "device/fixture.h"

enum { PAST = 1 << 16 };
#define NO_DISTANCES SIZE_MAX

struct batch {
    struct attention attention;
    struct sequences sequences;
    uint32_t *starts;
    size_t rows, longest, width;
    float *qkv, *context, *distances;
    char *scratch;
    size_t scratch_bytes; /* PAST more follow, which nobody may touch */
};

static struct batch batch_of(struct fixture *f, const uint32_t *lengths,
                             size_t texts, size_t heads, size_t head_dim) {
    struct batch b = {.width = heads * head_dim};
    b.attention = (struct attention){.heads = heads,
                                     .head_dim = head_dim,
                                     .scale = 1.0f / sqrtf((float)head_dim)};
    b.starts = calloc(texts + 1, sizeof *b.starts);
    assert_non_null(b.starts);
    for (size_t t = 0; t < texts; t++) {
        b.starts[t + 1] = b.starts[t] + lengths[t];
        b.longest = lengths[t] > b.longest ? lengths[t] : b.longest;
    }
    b.sequences = (struct sequences){.texts = texts, .starts = b.starts};
    b.rows = sequences_rows(&b.sequences);
    b.qkv = floats(b.rows * 3 * b.width);
    for (size_t i = 0; i < b.rows * 3 * b.width; i++)
        b.qkv[i] *= 3.0f; /* so that some keys matter more than others */
    b.context = floats(b.rows * b.width);
    size_t bytes = device_attention_bytes(f->device, &b.attention, b.longest);
    b.scratch_bytes = bytes;
    b.scratch = aligned_alloc(64, (bytes + PAST + 63) / 64 * 64);
    assert_non_null(b.scratch);
    memset(b.scratch, 0xff, bytes + PAST); /* NaN */
    return b;
}

/* Numbers for distances up to REACH, from now on. */
static void add_distances(struct batch *b, size_t reach) {
    size_t count = b->attention.heads * (2 * reach + 1);
    b->distances = floats(count);
    for (size_t i = 0; i < count; i++)
        b->distances[i] *= 4.0f;
    b->attention.distances = b->distances;
    b->attention.reach = reach;
}

static void batch_free(struct batch *b) {
    for (size_t i = 0; i < PAST; i++)
        assert_int_equal((uint8_t)b->scratch[b->scratch_bytes + i], 0xff);
    free(b->starts);
    free(b->qkv);
    free(b->context);
    free(b->scratch);
    free(b->distances);
}

static void run(struct fixture *f, struct batch *b) {
    device_attention(device_lane(f->device, 0), &b->attention, &b->sequences,
                     b->qkv, b->scratch, b->context);
}

/* Q (0), K (1) or V (2) of a row and head. */
static const float *vector_of(const struct batch *b, size_t row, size_t which,
                              size_t head) {
    return b->qkv + (row * 3 + which) * b->width + head * b->attention.head_dim;
}

static double dot(const float *a, const float *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* What the definition adds to the score of KEY for QUERY. */
static double distance(const struct batch *b, size_t head, size_t query,
                       size_t key) {
    double reach = (double)b->attention.reach;
    double d = fmin(fmax((double)key - (double)query, -reach), reach);
    return b->distances
               ? (double)b->distances[(size_t)((double)head * (2 * reach + 1) +
                                               reach + d)]
               : 0;
}

/* The definition for one row and head; *SCORE gets the greatest magnitude of
 * sum |q k| scale, by which the scores' rounding is bounded. */
static void reference_row(const struct batch *b, size_t begin, size_t end,
                          size_t row, size_t head, double *out, double *score) {
    size_t dim = b->attention.head_dim, count = end - begin;
    double *weights = malloc(count * sizeof *weights);
    double most = -INFINITY, mass = 0, scale = (double)b->attention.scale;
    assert_non_null(weights);
    const float *q = vector_of(b, row, 0, head);
    *score = 0;
    for (size_t k = 0; k < count; k++) {
        const float *key = vector_of(b, begin + k, 1, head);
        weights[k] =
            dot(q, key, dim) * scale + distance(b, head, row, begin + k);
        most = fmax(most, weights[k]);
        double size = fabs(distance(b, head, row, begin + k));
        for (size_t i = 0; i < dim; i++)
            size += fabs((double)q[i] * (double)key[i] * scale);
        *score = fmax(*score, size);
    }
    for (size_t k = 0; k < count; k++)
        mass += weights[k] = exp(weights[k] - most);
    memset(out, 0, dim * sizeof *out);
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < dim; i++)
            out[i] +=
                weights[k] / mass * (double)vector_of(b, begin + k, 2, head)[i];
    free(weights);
}

/* Each score errs by at most (dim + 4) roundings of its magnitudes, which
 * changes weights by that factor, twice (the mass too); the sums over keys err
 * by a rounding a key, and values are at most 3. In the mean the errors must
 * cancel to far less. */
static void check_reference(struct fixture *f, const uint32_t *lengths,
                            size_t texts, size_t heads, size_t dim,
                            size_t reach) {
    struct batch b = batch_of(f, lengths, texts, heads, dim);
    if (reach != NO_DISTANCES)
        add_distances(&b, reach);
    double *expected = malloc(dim * sizeof *expected), total = 0, score;
    assert_non_null(expected);
    run(f, &b);
    for (size_t t = 0; t < texts; t++)
        for (size_t row = b.starts[t]; row < b.starts[t + 1]; row++)
            for (size_t h = 0; h < heads; h++) {
                reference_row(&b, b.starts[t], b.starts[t + 1], row, h,
                              expected, &score);
                const float *y = b.context + row * b.width + h * dim;
                double bound = 3 * ROUNDING *
                               (2 * ((double)dim + 4) * score +
                                2 * (double)lengths[t] + 20);
                for (size_t i = 0; i < dim; i++) {
                    assert_near((double)y[i], expected[i], bound, "attention",
                                row * b.width + h * dim + i);
                    total += fabs((double)y[i] - expected[i]);
                }
            }
    assert_true(total / (double)(b.rows * b.width) < 3e-6);
    free(expected);
    batch_free(&b);
}

static void references(struct fixture *f) {
    static const uint32_t SHORT[] = {1, 2, 7, 1, 17, 33, 12, 13};
    static const uint32_t MIDDLE[] = {48, 49, 160, 97};
    static const uint32_t LONG[] = {383, 384, 385, 801};
    check_reference(f, SHORT, 8, 3, 32, NO_DISTANCES);
    check_reference(f, SHORT, 8, 2, 64, NO_DISTANCES);
    check_reference(f, SHORT, 8, 2, 1, NO_DISTANCES);
    check_reference(f, SHORT, 8, 1, 33, NO_DISTANCES);
    check_reference(f, SHORT, 8, 2, 7, NO_DISTANCES);
    check_reference(f, SHORT, 8, 1, 400, NO_DISTANCES);
    check_reference(f, MIDDLE, 4, 2, 32, NO_DISTANCES);
    check_reference(f, MIDDLE, 4, 1, 80, NO_DISTANCES);
    check_reference(f, LONG, 4, 1, 32, NO_DISTANCES);
    check_reference(f, LONG + 3, 1, 1, 401, NO_DISTANCES);
    /* none farther than the reach, some, nearly all, all but the row itself */
    check_reference(f, SHORT, 8, 3, 32, 40);
    check_reference(f, SHORT, 8, 2, 7, 3);
    check_reference(f, MIDDLE, 4, 2, 32, 128);
    check_reference(f, MIDDLE, 4, 1, 80, 0);
    check_reference(f, LONG, 4, 2, 32, 128);
    check_reference(f, LONG, 4, 1, 33, 1000);
}

static void attention_is_its_definition(void **state) {
    (void)state;
    on_each_isa(references);
}

/* Text T of a batch, alone. */
static void check_alone(struct fixture *f, struct batch *b, size_t t) {
    size_t begin = b->starts[t], rows = b->starts[t + 1] - begin;
    uint32_t length = (uint32_t)rows;
    struct batch alone =
        batch_of(f, &length, 1, b->attention.heads, b->attention.head_dim);
    alone.attention = b->attention;
    memcpy(alone.qkv, b->qkv + begin * 3 * b->width,
           rows * 3 * b->width * sizeof *alone.qkv);
    run(f, &alone);
    assert_same_bits(alone.context, b->context + begin * b->width,
                     rows * b->width, "a text alone and among others");
    batch_free(&alone);
}

static void check_wide(struct fixture *f, struct batch *b) {
    size_t count = b->rows * b->width;
    float *narrow = floats(count);
    memcpy(narrow, b->context, count * sizeof *narrow);
    memset(b->context, 0, count * sizeof *narrow);
    lane_widen(device_lane(f->device, 0), true);
    run(f, b);
    lane_widen(device_lane(f->device, 0), false);
    assert_same_bits(narrow, b->context, count, "all threads");
    free(narrow);
}

static void check_company(struct fixture *f, const uint32_t *lengths,
                          size_t texts, size_t heads, size_t dim) {
    struct batch b = batch_of(f, lengths, texts, heads, dim);
    if (dim != 65) /* with and without */
        add_distances(&b, 128);
    run(f, &b);
    for (size_t t = 0; t < texts; t++)
        check_alone(f, &b, t);
    check_wide(f, &b);
    batch_free(&b);
}

static void company(struct fixture *f) {
    static const uint32_t LENGTHS[] = {5, 1, 160, 48, 700, 2, 33};
    /* So long that threads share the rows of one head: its keys and values
     * are more than the scratch that is shared by heads. */
    static const uint32_t LONG[] = {1100, 3};
    check_company(f, LENGTHS, 7, 3, 32);
    check_company(f, LENGTHS, 7, 1, 65);
    check_company(f, LENGTHS + 2, 1, 12, 32);
    for (int i = 0; i < 10; i++) /* fewer heads than threads */
        check_company(f, LENGTHS + 4, 1, 2, 32);
    check_company(f, LONG, 2, 2, 128);
}

static void company_and_threads_change_no_bit(void **state) {
    (void)state;
    on_each_isa(company);
}

/* Copies of one row see the same: whatever tile they fall into, their bits are
 * equal. */
static void same_rows(struct fixture *f) {
    uint32_t length = 100;
    struct batch b = batch_of(f, &length, 1, 1, 32);
    for (size_t row = 1; row < length; row++)
        memcpy(b.qkv + row * 3 * b.width, b.qkv, b.width * sizeof *b.qkv);
    run(f, &b);
    for (size_t row = 1; row < length; row++)
        assert_same_bits(b.context, b.context + row * b.width, b.width,
                         "copies of one query");
    batch_free(&b);
}

static void equal_queries_have_equal_contexts(void **state) {
    (void)state;
    on_each_isa(same_rows);
}

/* A NaN in Q stays in its row and head; one in K or V reaches all rows of its
 * text in that head; another text or head sees none of it. */
static void check_poison(struct fixture *f, size_t which, size_t at) {
    static const uint32_t LENGTHS[] = {3, 450, 5};
    enum { DIM = 32, HEADS = 2 };
    struct batch b = batch_of(f, LENGTHS, 3, HEADS, DIM);
    size_t row = 3 + at;
    b.qkv[(row * 3 + which) * b.width + DIM + 5] = NAN; /* head 1 */
    run(f, &b);
    for (size_t r = 0; r < b.rows; r++)
        for (size_t c = 0; c < b.width; c++) {
            bool text = r >= 3 && r < 453, head = c >= DIM;
            bool poisoned = which == 0   ? r == row && head
                            : which == 1 ? text && head
                                         : text && c == DIM + 5;
            if (!isnan(b.context[r * b.width + c]) != !poisoned)
                fail_msg("NaN in %zu of key %zu: row %zu column %zu is %g",
                         which, at, r, c, (double)b.context[r * b.width + c]);
        }
    batch_free(&b);
}

static void poison(struct fixture *f) {
    static const size_t PLACES[] = {0, 31, 383, 384, 449};
    for (size_t which = 0; which < 3; which++)
        for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++)
            check_poison(f, which, PLACES[i]);
}

static void a_nan_is_never_hidden(void **state) {
    (void)state;
    on_each_isa(poison);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_its_definition),
        cmocka_unit_test(company_and_threads_change_no_bit),
        cmocka_unit_test(equal_queries_have_equal_contexts),
        cmocka_unit_test(a_nan_is_never_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
