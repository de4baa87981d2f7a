/* Rotary positions against their definition in double, and what cannot change
 * them. */

#include "device/fixture.h"

/* Some texts have no rows, or one. */
static const uint32_t STARTS[] = {0, 1, 1, 1, 2, 3, 3, 20, 220};
enum { TEXTS = 8, ROWS = 220, POSITIONS = 200 };

struct turned {
    struct attention attention;
    float *cosine, *sine, *qkv, *y;
    size_t stride;
};

static struct turned turned_of(size_t heads, size_t kv_heads, size_t dim,
                               size_t dims, bool interleaved) {
    struct turned t = {.stride = (heads + 2 * kv_heads) * dim};
    t.cosine = floats(POSITIONS * dims / 2);
    t.sine = floats(POSITIONS * dims / 2);
    t.qkv = floats(ROWS * t.stride);
    t.y = floats(ROWS * t.stride);
    t.attention = (struct attention){.heads = heads,
                                     .kv_heads = kv_heads,
                                     .head_dim = dim,
                                     .rotary = {.dims = dims,
                                                .positions = POSITIONS,
                                                .cosine = t.cosine,
                                                .sine = t.sine,
                                                .interleaved = interleaved}};
    return t;
}

static void turned_free(struct turned *t) {
    free(t->cosine);
    free(t->sine);
    free(t->qkv);
    free(t->y);
}

static void turn(struct fixture *f, struct turned *t,
                 const struct sequences *texts) {
    memcpy(t->y, t->qkv, sequences_rows(texts) * t->stride * sizeof *t->y);
    device_rotate(device_lane(f->device, 0), &t->attention, texts,
                  narrow_of(t->y));
}

/* Number I of a head: what it becomes. */
static double expected_of(const struct turned *t, const float *head, size_t i,
                          size_t position) {
    size_t half = t->attention.rotary.dims / 2;
    if (i >= t->attention.rotary.dims)
        return (double)head[i];
    bool inter = t->attention.rotary.interleaved;
    size_t p = inter ? i / 2 : i % half;
    size_t at_a = inter ? 2 * p : p, at_b = inter ? 2 * p + 1 : p + half;
    double a = (double)head[at_a], b = (double)head[at_b];
    double c = (double)t->cosine[position * half + p];
    double s = (double)t->sine[position * half + p];
    return i == at_a ? a * c - b * s : b * c + a * s;
}

static void check_rows(const struct turned *t) {
    size_t dim = t->attention.head_dim;
    size_t turns = t->attention.heads + t->attention.kv_heads;
    for (size_t text = 0; text < TEXTS; text++)
        for (size_t row = STARTS[text]; row < STARTS[text + 1]; row++)
            for (size_t c = 0; c < t->stride; c++) {
                const float *head = t->qkv + row * t->stride + c / dim * dim;
                double expected =
                    c / dim < turns
                        ? expected_of(t, head, c % dim, row - STARTS[text])
                        : (double)head[c % dim];
                bool moved =
                    c / dim < turns && c % dim < t->attention.rotary.dims;
                assert_near((double)t->y[row * t->stride + c], expected,
                            moved ? 4 * ROUNDING : 0, "rotate",
                            row * t->stride + c);
            }
}

static void check_rotate(struct fixture *f, size_t heads, size_t kv_heads,
                         size_t dim, size_t dims) {
    struct sequences texts = {.texts = TEXTS, .starts = STARTS};
    struct sequences alone = {.texts = 1,
                              .starts = (const uint32_t[]){0, POSITIONS}};
    for (int i = 0; i < 2; i++) {
        struct turned t = turned_of(heads, kv_heads, dim, dims, i != 0);
        size_t count = ROWS * t.stride, last = STARTS[TEXTS - 1] * t.stride;
        float *first = malloc(count * sizeof *first);
        assert_non_null(first);
        turn(f, &t, &texts);
        check_rows(&t);
        memcpy(first, t.y, count * sizeof *first);
        lane_widen(device_lane(f->device, 0), true);
        turn(f, &t, &texts);
        lane_widen(device_lane(f->device, 0), false);
        assert_same_bits(t.y, first, count, "rotate by all threads");
        memmove(t.qkv, t.qkv + last, (count - last) * sizeof *t.qkv);
        turn(f, &t, &alone);
        assert_same_bits(t.y, first + last, count - last, "a text alone");
        free(first);
        turned_free(&t);
    }
}

static void rotates(struct fixture *f) {
    static const size_t SIZES[][4] = {
        {1, 1, 2, 2},     {3, 1, 8, 8},    {4, 2, 20, 20},   {4, 4, 20, 6},
        {12, 12, 64, 64}, {16, 8, 80, 80}, {2, 2, 128, 128}, {2, 1, 256, 256},
        {2, 1, 256, 64},  {4, 2, 64, 34},  {4, 2, 64, 0}};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++)
        check_rotate(f, SIZES[i][0], SIZES[i][1], SIZES[i][2], SIZES[i][3]);
}

static void rotary_is_its_definition(void **state) {
    (void)state;
    on_each_isa(rotates);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotary_is_its_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
