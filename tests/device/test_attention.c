/* Attention against its definition in double, and what cannot change it. */

#include "device/fixture.h"

enum { PAST = 1 << 16 };
#define NONE SIZE_MAX
#define ALL  SIZE_MAX

/* What is attended to, and what is added. */
struct form {
    size_t heads, kv_heads, dim;
    size_t behind, ahead;
    size_t reach; /* of distances; NONE */
    bool slopes;
    size_t table, far; /* rows of the relative table, its reach; 0: none */
    bool few_keys;     /* only the first rows of a text are seen */
};

struct batch {
    struct attention attention;
    struct sequences sequences;
    uint32_t *starts, *table_row, *keys;
    size_t rows, longest, stride;
    size_t width; /* of a row of the context */
    float *qkv, *context, *distances, *slopes, *table;
    char *scratch;
    size_t scratch_bytes; /* PAST more follow, which nobody may touch */
};

static struct form plain(size_t heads, size_t dim) {
    return (struct form){.heads = heads,
                         .kv_heads = heads,
                         .dim = dim,
                         .behind = ALL,
                         .ahead = ALL,
                         .reach = NONE};
}

static float *floats_times(size_t count, float factor) {
    float *values = floats(count);
    for (size_t i = 0; i < count; i++)
        values[i] *= factor;
    return values;
}

/* Rows of the table, a log-like walk: near distances have their own, far ones
 * share; some rows at the ends are never used. */
static uint32_t *table_rows(size_t table, size_t far) {
    uint32_t *rows = calloc(2 * far + 1, sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i <= 2 * far; i++) {
        double d = (double)i - (double)far, near = (double)table / 4;
        double at =
            fabs(d) <= near ? d : copysign(near + log(fabs(d) - near), d);
        at = fmin(fmax(at + (double)table / 2, 0), (double)table - 1);
        rows[i] = (uint32_t)at;
    }
    return rows;
}

static void add_what_is_added(struct batch *b, const struct form *form) {
    struct attention *a = &b->attention;
    if (form->reach != NONE) {
        size_t count = form->heads * (2 * form->reach + 1);
        a->distances = b->distances = floats_times(count, 4.0f);
        a->reach = form->reach;
    }
    if (form->slopes)
        a->slopes = b->slopes = floats_times(form->heads, 0.3f);
    if (form->table) {
        b->table = floats_times(form->table * b->stride, 3.0f);
        b->table_row = table_rows(form->table, form->far);
        a->relative = (struct relative){.rows = form->table,
                                        .table = narrow_of(b->table),
                                        .row = b->table_row,
                                        .reach = form->far};
    }
}

static void take_scratch(struct fixture *f, struct batch *b) {
    size_t bytes = device_attention_bytes(f->device, &b->attention, b->longest);
    b->scratch_bytes = bytes;
    b->scratch = aligned_alloc(64, (bytes + PAST + 63) / 64 * 64);
    assert_non_null(b->scratch);
    memset(b->scratch, 0xff, bytes + PAST); /* NaN */
}

static struct batch batch_of(struct fixture *f, const uint32_t *lengths,
                             size_t texts, const struct form *form) {
    struct batch b = {.width = form->heads * form->dim,
                      .stride = (form->heads + 2 * form->kv_heads) * form->dim};
    b.attention = (struct attention){.heads = form->heads,
                                     .kv_heads = form->kv_heads,
                                     .head_dim = form->dim,
                                     .scale = 1.0f / sqrtf((float)form->dim),
                                     .behind = form->behind,
                                     .ahead = form->ahead};
    b.starts = calloc(texts + 1, sizeof *b.starts);
    assert_non_null(b.starts);
    for (size_t t = 0; t < texts; t++) {
        b.starts[t + 1] = b.starts[t] + lengths[t];
        b.longest = lengths[t] > b.longest ? lengths[t] : b.longest;
    }
    b.sequences = (struct sequences){.texts = texts, .starts = b.starts};
    b.rows = sequences_rows(&b.sequences);
    /* So large that some keys matter more than others. */
    b.qkv = floats_times(b.rows * b.stride, 3.0f);
    b.context = floats(b.rows * b.width);
    add_what_is_added(&b, form);
    take_scratch(f, &b);
    return b;
}

/* From one key to all of them. */
static void take_few_keys(struct batch *b) {
    b->keys = calloc(b->sequences.texts, sizeof *b->keys);
    assert_non_null(b->keys);
    for (size_t t = 0; t < b->sequences.texts; t++)
        b->keys[t] = 1 + (b->starts[t + 1] - b->starts[t]) * (uint32_t)t /
                             (uint32_t)(b->sequences.texts + 1);
    b->sequences.keys = b->keys;
}

static void batch_free(struct batch *b) {
    for (size_t i = 0; i < PAST; i++)
        assert_int_equal((uint8_t)b->scratch[b->scratch_bytes + i], 0xff);
    free(b->starts);
    free(b->keys);
    free(b->qkv);
    free(b->context);
    free(b->scratch);
    free(b->distances);
    free(b->slopes);
    free(b->table);
    free(b->table_row);
}

static void run(struct fixture *f, struct batch *b) {
    device_attention(device_lane(f->device, 0), &b->attention, &b->sequences,
                     narrow_of(b->qkv), b->scratch, narrow_of(b->context));
}

/* Q (0), K (1) or V (2) that query head HEAD reads, in a row that is laid out
 * as those of QKV are. */
static const float *part_of(const struct batch *b, const float *row,
                            size_t which, size_t head) {
    const struct attention *a = &b->attention;
    size_t kv = head / (a->heads / a->kv_heads);
    size_t at = which == 0 ? head : a->heads + (which - 1) * a->kv_heads + kv;
    return row + at * a->head_dim;
}

static const float *vector_of(const struct batch *b, size_t row, size_t which,
                              size_t head) {
    return part_of(b, b->qkv + row * b->stride, which, head);
}

/* A sum and the sum of its magnitudes, by which its rounding is bounded. */
struct sum {
    double value, size;
};

static void add(struct sum *sum, double value) {
    sum->value += value;
    sum->size += fabs(value);
}

static void add_dot(struct sum *sum, const float *a, const float *b,
                    size_t count, double scale) {
    for (size_t i = 0; i < count; i++)
        add(sum, (double)a[i] * (double)b[i] * scale);
}

/* KEYS: of the text, which begins at BEGIN. A row that would see none sees the
 * first of its window. */
static bool sees(const struct attention *a, size_t begin, size_t keys,
                 size_t query, size_t key) {
    size_t inside = query - begin;
    size_t first = inside > a->behind ? inside - a->behind : 0;
    if (first >= keys)
        return key == begin + first;
    return key - begin < keys &&
           (key <= query ? query - key <= a->behind : key - query <= a->ahead);
}

/* D taken as at most REACH either way, counted from -REACH. */
static size_t within(double d, size_t reach) {
    return (size_t)(fmin(fmax(d, -(double)reach), (double)reach) +
                    (double)reach);
}

/* The definition of a score. */
static struct sum score_of(const struct batch *b, size_t head, size_t query,
                           size_t key) {
    const struct attention *a = &b->attention;
    const float *q = vector_of(b, query, 0, head);
    const float *k = vector_of(b, key, 1, head);
    double d = (double)query - (double)key, scale = (double)a->scale;
    struct sum s = {0};
    add_dot(&s, q, k, a->head_dim, scale);
    if (a->relative.rows) {
        size_t i = a->relative.row[within(d, a->relative.reach)];
        const float *row = b->table + i * b->stride;
        add_dot(&s, q, part_of(b, row, 1, head), a->head_dim, scale);
        add_dot(&s, k, part_of(b, row, 0, head), a->head_dim, scale);
    }
    if (a->distances)
        add(&s,
            (double)
                a->distances[head * (2 * a->reach + 1) + within(-d, a->reach)]);
    if (a->slopes)
        add(&s, -(double)a->slopes[head] * fabs(d));
    return s;
}

/* The definition for one row and head; *SIZE gets the greatest magnitude of a
 * score's sum. */
static void reference_row(const struct batch *b, size_t begin, size_t end,
                          size_t keys, size_t row, size_t head, double *out,
                          double *size) {
    size_t dim = b->attention.head_dim, count = end - begin;
    double *weights = calloc(count, sizeof *weights);
    double most = -INFINITY, mass = 0;
    assert_non_null(weights);
    *size = 0;
    for (size_t k = 0; k < count; k++) {
        if (!sees(&b->attention, begin, keys, row, begin + k))
            continue;
        struct sum s = score_of(b, head, row, begin + k);
        weights[k] = s.value;
        most = fmax(most, s.value);
        *size = fmax(*size, s.size);
    }
    for (size_t k = 0; k < count; k++)
        if (sees(&b->attention, begin, keys, row, begin + k))
            mass += weights[k] = exp(weights[k] - most);
    memset(out, 0, dim * sizeof *out);
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < dim; i++)
            out[i] +=
                weights[k] / mass * (double)vector_of(b, begin + k, 2, head)[i];
    free(weights);
}

/* Each score errs by at most (3 dim + 8) roundings of its magnitudes, which
 * changes weights by that factor, twice (the mass too); the sums over keys err
 * by a rounding a key, and values are at most 3. In the mean the errors must
 * cancel to far less. */
static void check_reference(struct fixture *f, const uint32_t *lengths,
                            size_t texts, struct form form) {
    struct batch b = batch_of(f, lengths, texts, &form);
    if (form.few_keys)
        take_few_keys(&b);
    size_t dim = form.dim, terms = (form.table ? 3 * dim : dim) + 4;
    double *expected = malloc(dim * sizeof *expected), total = 0, size;
    assert_non_null(expected);
    run(f, &b);
    for (size_t t = 0; t < texts; t++)
        for (size_t row = b.starts[t]; row < b.starts[t + 1]; row++)
            for (size_t h = 0; h < form.heads; h++) {
                reference_row(&b, b.starts[t], b.starts[t + 1],
                              b.keys ? b.keys[t] : SIZE_MAX, row, h, expected,
                              &size);
                const float *y = b.context + row * b.width + h * dim;
                double bound =
                    3 * ROUNDING *
                    (2 * (double)terms * size + 2 * (double)lengths[t] + 20);
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

static const uint32_t SHORT[] = {1, 2, 7, 1, 17, 33, 12, 13};
static const uint32_t MIDDLE[] = {48, 49, 160, 97};
static const uint32_t LONG[] = {383, 384, 385, 801};

static void references(struct fixture *f) {
    check_reference(f, SHORT, 8, plain(3, 32));
    check_reference(f, SHORT, 8, plain(2, 64));
    check_reference(f, SHORT, 8, plain(2, 1));
    check_reference(f, SHORT, 8, plain(1, 33));
    check_reference(f, SHORT, 8, plain(2, 7));
    check_reference(f, SHORT, 8, plain(1, 400));
    check_reference(f, MIDDLE, 4, plain(2, 32));
    check_reference(f, MIDDLE, 4, plain(1, 80));
    check_reference(f, LONG, 4, plain(1, 32));
    check_reference(f, LONG + 3, 1, plain(1, 401));
}

static void attention_is_its_definition(void **state) {
    (void)state;
    on_each_isa(references);
}

static struct form with_reach(struct form form, size_t reach) {
    form.reach = reach;
    return form;
}

static void distances(struct fixture *f) {
    /* none farther than the reach, some, nearly all, all but the row itself */
    check_reference(f, SHORT, 8, with_reach(plain(3, 32), 40));
    check_reference(f, SHORT, 8, with_reach(plain(2, 7), 3));
    check_reference(f, MIDDLE, 4, with_reach(plain(2, 32), 128));
    check_reference(f, MIDDLE, 4, with_reach(plain(1, 80), 0));
    check_reference(f, LONG, 4, with_reach(plain(2, 32), 128));
    check_reference(f, LONG, 4, with_reach(plain(1, 33), 1000));
}

static void distances_are_added(void **state) {
    (void)state;
    on_each_isa(distances);
}

/* Lengths about the sizes that tiles, panels and blocks have. */
static const uint32_t ODD[] = {1, 2, 15, 16, 17, 63, 64, 65};
static const uint32_t LONGER[] = {200, 513};

static void few_keys(struct fixture *f) {
    struct form form = plain(2, 20);
    form.few_keys = true;
    check_reference(f, ODD, 8, form);
    check_reference(f, LONG, 4, form);
    form.behind = form.ahead = 7;
    check_reference(f, ODD, 8, form);
    form.behind = 64;
    form.ahead = 0;
    check_reference(f, LONGER, 2, form);
}

static void only_the_first_keys_are_seen(void **state) {
    (void)state;
    on_each_isa(few_keys);
}

static void heads_and_dims(struct fixture *f) {
    static const struct {
        size_t heads, kv_heads, dim;
    } SIZES[] = {{1, 1, 8},  {2, 1, 20},  {3, 3, 20},  {4, 2, 64},
                 {6, 3, 8},  {8, 1, 80},  {16, 4, 20}, {16, 16, 8},
                 {5, 1, 64}, {4, 2, 128}, {2, 1, 256}};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        struct form form = plain(SIZES[i].heads, SIZES[i].dim);
        form.kv_heads = SIZES[i].kv_heads;
        check_reference(f, ODD, 8, form);
    }
}

static void heads_share_keys_and_values(void **state) {
    (void)state;
    on_each_isa(heads_and_dims);
}

/* How far a query sees; SIZE_MAX - 1 would overflow a careless sum. */
static const size_t WINDOWS[][2] = {
    {ALL, 0}, {0, ALL}, {0, 0}, {1, 1},  {7, 7},
    {64, 64}, {7, 0},   {0, 1}, {64, 1}, {ALL - 1, 3},
};
enum { WINDOW_COUNT = sizeof WINDOWS / sizeof *WINDOWS };

static void windows(struct fixture *f) {
    for (size_t i = 0; i < WINDOW_COUNT; i++) {
        struct form form = plain(4, 20);
        form.kv_heads = 2;
        form.behind = WINDOWS[i][0];
        form.ahead = WINDOWS[i][1];
        check_reference(f, ODD, 8, form);
        form.heads = 2;
        form.kv_heads = 1;
        check_reference(f, LONGER, 2, form);
        if (i % 3 == 0)
            check_reference(f, LONG + 3, 1, form);
    }
}

static void windows_hide_what_is_outside(void **state) {
    (void)state;
    on_each_isa(windows);
}

static void slopes(struct fixture *f) {
    struct form form = plain(6, 20);
    form.slopes = true;
    check_reference(f, ODD, 8, form);
    check_reference(f, LONGER, 2, form);
    form.kv_heads = 2;
    form.ahead = 0;
    check_reference(f, ODD, 8, form);
    form.behind = 64;
    form.reach = 9; /* with distances */
    check_reference(f, LONGER, 2, form);
}

static void slopes_are_taken_off(void **state) {
    (void)state;
    on_each_isa(slopes);
}

static void relatives(struct fixture *f) {
    static const struct {
        size_t heads, dim, table, far;
    } SIZES[] = {{1, 8, 1, 0},      {2, 64, 64, 300}, {3, 20, 33, 7},
                 {2, 20, 512, 512}, {1, 400, 16, 40}, {1, 8, 4096, 3000}};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        struct form form = plain(SIZES[i].heads, SIZES[i].dim);
        form.table = SIZES[i].table;
        form.far = SIZES[i].far;
        check_reference(f, ODD, 8, form);
        if (i != 1)
            continue;
        check_reference(f, LONGER, 2, form);
        form.behind = form.ahead = 7;
        check_reference(f, ODD, 8, form);
        check_reference(f, LONGER, 2, form);
    }
}

static void relative_positions_are_disentangled(void **state) {
    (void)state;
    on_each_isa(relatives);
}

/* A head that is told to look far away from all keys but one, and numbers that
 * no exponent takes: no NaN, and the one key's value comes out. */
static void far_below(struct fixture *f) {
    static const float LOW[] = {-1e4f, -1e30f, -FLT_MAX};
    for (size_t i = 0; i < 3; i++)
        for (size_t at = 0; at < 3; at++) {
            static const uint32_t LENGTH[] = {801};
            static const size_t RIGHT[] = {0, 400, 800};
            struct form form = with_reach(plain(1, 20), 900);
            struct batch b = batch_of(f, LENGTH, 1, &form);
            /* Row 400 has one key that is not told off. */
            for (size_t d = 0; d < 2 * 900 + 1; d++)
                b.distances[d] = LOW[i];
            b.distances[900 + RIGHT[at] - 400] = 0;
            run(f, &b);
            for (size_t c = 0; c < b.rows * b.width; c++)
                assert_true(isfinite(b.context[c]));
            for (size_t c = 0; c < 20; c++)
                assert_near((double)b.context[400 * b.width + c],
                            (double)vector_of(&b, RIGHT[at], 2, 0)[c], 1e-6,
                            "the one key", c);
            batch_free(&b);
        }
}

static void low_scores_make_no_nan(void **state) {
    (void)state;
    on_each_isa(far_below);
}

/* With a window of nothing else, each row gets its own V, bit for bit. */
static void only_itself(struct fixture *f) {
    struct form form = plain(4, 20);
    form.kv_heads = 2;
    form.behind = form.ahead = 0;
    form.slopes = true;
    struct batch b = batch_of(f, LONGER, 2, &form);
    run(f, &b);
    for (size_t row = 0; row < b.rows; row++)
        for (size_t h = 0; h < 4; h++)
            assert_same_bits(b.context + row * b.width + h * 20,
                             vector_of(&b, row, 2, h), 20, "its own value");
    batch_free(&b);
}

static void a_row_may_see_only_itself(void **state) {
    (void)state;
    on_each_isa(only_itself);
}

/* Text T of a batch, alone. */
static void check_alone(struct fixture *f, struct batch *b,
                        const struct form *form, size_t t) {
    size_t begin = b->starts[t], rows = b->starts[t + 1] - begin;
    uint32_t length = (uint32_t)rows;
    struct batch alone = batch_of(f, &length, 1, form);
    alone.attention = b->attention;
    memcpy(alone.qkv, b->qkv + begin * b->stride,
           rows * b->stride * sizeof *alone.qkv);
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
                          size_t texts, struct form form) {
    struct batch b = batch_of(f, lengths, texts, &form);
    run(f, &b);
    for (size_t t = 0; t < texts; t++)
        if (lengths[t])
            check_alone(f, &b, &form, t);
    check_wide(f, &b);
    batch_free(&b);
}

static const uint32_t COMPANY[] = {5, 1, 160, 48, 700, 0, 2, 33};

static void company(struct fixture *f) {
    /* So long that threads share the rows of one head: its keys and values
     * are more than the scratch that is shared by heads. */
    static const uint32_t VERY_LONG[] = {1100, 3};
    check_company(f, COMPANY, 8, with_reach(plain(3, 32), 128));
    check_company(f, COMPANY, 8, plain(1, 65));
    check_company(f, COMPANY + 2, 1, with_reach(plain(12, 32), 128));
    for (int i = 0; i < 10; i++) /* fewer heads than threads */
        check_company(f, COMPANY + 4, 1, with_reach(plain(2, 32), 128));
    check_company(f, VERY_LONG, 2, with_reach(plain(2, 128), 128));
}

static void windows_company(struct fixture *f) {
    for (size_t i = 0; i < WINDOW_COUNT; i++) {
        struct form form = plain(6, 20);
        form.kv_heads = i % 2 ? 6 : 1;
        form.behind = WINDOWS[i][0];
        form.ahead = WINDOWS[i][1];
        form.slopes = true;
        check_company(f, COMPANY, 8, form);
        check_company(f, COMPANY + 4, 1, form);
    }
}

static void relative_company(struct fixture *f) {
    struct form form = plain(3, 32);
    form.table = 64;
    form.far = 300;
    check_company(f, COMPANY, 8, form);
    check_company(f, COMPANY + 4, 1, form);
    form.heads = form.kv_heads = 2;
    form.table = 512; /* one slot */
    check_company(f, COMPANY, 5, form);
}

static void company_and_threads_change_no_bit(void **state) {
    (void)state;
    on_each_isa(company);
    on_each_isa(windows_company);
    on_each_isa(relative_company);
}

/* Copies of one row see the same: whatever tile they fall into, their bits are
 * equal. */
static void same_rows(struct fixture *f) {
    uint32_t length = 100;
    struct form form = plain(1, 32);
    struct batch b = batch_of(f, &length, 1, &form);
    for (size_t row = 1; row < length; row++)
        memcpy(b.qkv + row * b.stride, b.qkv, b.width * sizeof *b.qkv);
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
    struct form form = plain(HEADS, DIM);
    struct batch b = batch_of(f, LENGTHS, 3, &form);
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
        cmocka_unit_test(distances_are_added),
        cmocka_unit_test(only_the_first_keys_are_seen),
        cmocka_unit_test(heads_share_keys_and_values),
        cmocka_unit_test(windows_hide_what_is_outside),
        cmocka_unit_test(slopes_are_taken_off),
        cmocka_unit_test(relative_positions_are_disentangled),
        cmocka_unit_test(low_scores_make_no_nan),
        cmocka_unit_test(a_row_may_see_only_itself),
        cmocka_unit_test(company_and_threads_change_no_bit),
        cmocka_unit_test(equal_queries_have_equal_contexts),
        cmocka_unit_test(a_nan_is_never_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
