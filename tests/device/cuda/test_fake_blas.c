/* Are the fake cuBLASLt's products right, and does it refuse what the real one
 * does? */

#include "device/cuda/e4m3.h"
#include "device/cuda/fake_fixture.h"

#include <math.h>
#include <stdlib.h>

enum {
    NOT_INITIALIZED = 1,
    NOT_SUPPORTED = 15,
    INVALID_VALUE = 7,
    ARCH_MISMATCH = 8,
    EXECUTION_FAILED = 13,
    EXTRA = 3, /* what leading dimensions are more than needed */
};

static const struct cuda_driver *cu;
static const struct cuda_blas *blas;
static struct fake fake;
static cu_context context;
static cu_stream stream;
static blas_handle handle;

static void fine(int status) {
    assert_int_equal(status, 0);
}

static void enter(const char *script) {
    fake_open(&fake, script);
    cu = &fake.library->driver;
    blas = &fake.library->blas;
    fine(cu->cuInit(0));
    fine(cu->cuDevicePrimaryCtxRetain(&context, 0));
    fine(cu->cuCtxSetCurrent(context));
    fine(cu->cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    fine(blas->cublasLtCreate(&handle));
}

static void leave(void) {
    fine(blas->cublasLtDestroy(handle));
    cu->cuStreamDestroy(stream);
    cu->cuDevicePrimaryCtxRelease(0);
    fake_close(&fake);
}

/* ---- numbers ---- */

static size_t bytes_of(int type) {
    return type == BLAS_F32 ? 4 : type == BLAS_E4M3 ? 1 : 2;
}

/* Multiples of 1/16 below 4: they and sums of a few are exact in all types. */
static double number(void) {
    static unsigned seed = 1;
    seed = seed * 1664525u + 1013904223u;
    return (double)((int)(seed >> 24) - 128) / 32;
}

static void store(void *to, size_t at, int type, double x) {
    float f = (float)x;
    uint32_t bits;
    if (type == BLAS_E4M3) {
        ((uint8_t *)to)[at] = (uint8_t)e4m3_nearest(x);
        return;
    }
    memcpy(&bits, &f, sizeof bits);
    uint16_t narrow = (uint16_t)(bits >> 16);
    if (type == BLAS_F16) /* exact: no subnormal, 10 bits are enough */
        narrow = x == 0
                     ? 0
                     : (uint16_t)((bits >> 16 & 0x8000) |
                                  (((bits & 0x7fffffff) - 0x38000000) >> 13));
    memcpy((char *)to + at * bytes_of(type),
           type == BLAS_F32 ? (void *)&bits : (void *)&narrow, bytes_of(type));
}

static double load(const void *from, size_t at, int type) {
    uint16_t narrow;
    float f;
    if (type == BLAS_E4M3)
        return e4m3_value(((const uint8_t *)from)[at]);
    memcpy(&narrow, (const char *)from + at * bytes_of(type), sizeof narrow);
    if (type == BLAS_F16)
        return ((narrow & 0x8000) ? -1 : 1) *
               (narrow & 0x7c00
                    ? ldexp((narrow & 0x3ff) | 0x400, (narrow >> 10 & 31) - 25)
                    : ldexp(narrow & 0x3ff, -24));
    uint32_t bits = (uint32_t)narrow << 16;
    memcpy(&f, &bits, sizeof f);
    if (type == BLAS_F32)
        memcpy(&f, (const char *)from + at * sizeof f, sizeof f);
    return (double)f;
}

/* ---- a product ---- */

struct matrix {
    int type;
    size_t rows, columns, leading;
    void *host;
    cu_pointer card;
    blas_layout layout;
};

static size_t matrix_bytes(const struct matrix *m) {
    return m->leading * m->columns * bytes_of(m->type);
}

static void send(const void *from, size_t bytes, cu_pointer *to) {
    fine(cu->cuMemAlloc(to, bytes));
    fine(cu->cuMemcpyHtoDAsync(*to, from, bytes, stream));
}

static struct matrix matrix_make(int type, size_t rows, size_t columns) {
    struct matrix m = {.type = type,
                       .rows = rows,
                       .columns = columns,
                       .leading = rows % 16 == 0 ? rows + 16 : rows + EXTRA};
    m.host = malloc(matrix_bytes(&m));
    for (size_t i = 0; i < m.leading * columns; i++)
        store(m.host, i, type, number());
    send(m.host, matrix_bytes(&m), &m.card);
    fine(blas->cublasLtMatrixLayoutCreate(&m.layout, type, rows, columns,
                                          (int64_t)m.leading));
    return m;
}

static void matrix_free(struct matrix *m) {
    fine(blas->cublasLtMatrixLayoutDestroy(m->layout));
    fine(cu->cuMemFree(m->card));
    free(m->host);
}

static double at(const struct matrix *m, bool transposed, size_t row,
                 size_t column) {
    return load(m->host,
                transposed ? row * m->leading + column
                           : column * m->leading + row,
                m->type);
}

struct shape {
    size_t m, n, k;
    int type, result;
    int32_t transpose_a, transpose_b;
    uint32_t epilogue;
    float alpha, beta;
};

static blas_matmul describe(const struct shape *s, int bias_type,
                            cu_pointer bias) {
    blas_matmul matmul;
    int32_t type = bias_type;
    fine(blas->cublasLtMatmulDescCreate(&matmul, BLAS_COMPUTE_F32, BLAS_F32));
#define SET(attribute, value)                                                  \
    fine(blas->cublasLtMatmulDescSetAttribute(matmul, attribute, &(value),     \
                                              sizeof(value)))
    SET(BLAS_MATMUL_TRANSPOSE_A, s->transpose_a);
    SET(BLAS_MATMUL_TRANSPOSE_B, s->transpose_b);
    SET(BLAS_MATMUL_EPILOGUE, s->epilogue);
    SET(BLAS_MATMUL_BIAS_POINTER, bias);
    SET(BLAS_MATMUL_BIAS_TYPE, type);
#undef SET
    return matmul;
}

static double activated(uint32_t epilogue, double x) {
    if (epilogue & BLAS_EPILOGUE_RELU)
        return x > 0 ? x : 0;
    if (epilogue & BLAS_EPILOGUE_GELU)
        return x / 2 *
               (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    return x;
}

struct setting {
    struct matrix a, b, d; /* d is c too */
    void *bias;
    cu_pointer bias_card, workspace;
    size_t workspace_bytes;
    blas_matmul matmul;
};

static struct setting set_up(const struct shape *s) {
    struct setting t = {
        .a = s->transpose_a ? matrix_make(s->type, s->k, s->m)
                            : matrix_make(s->type, s->m, s->k),
        .b = s->transpose_b ? matrix_make(s->type, s->n, s->k)
                            : matrix_make(s->type, s->k, s->n),
        .d = matrix_make(s->result, s->m, s->n),
        .bias = malloc(s->m * bytes_of(s->result)),
        .workspace_bytes = 1 << 20,
    };
    for (size_t i = 0; i < s->m; i++)
        store(t.bias, i, s->result, number());
    send(t.bias, s->m * bytes_of(s->result), &t.bias_card);
    fine(cu->cuMemAlloc(&t.workspace, t.workspace_bytes));
    t.matmul = describe(s, s->result, t.bias_card);
    return t;
}

static void tear_down(struct setting *t) {
    fine(cu->cuStreamSynchronize(stream));
    fine(blas->cublasLtMatmulDescDestroy(t->matmul));
    matrix_free(&t->a);
    matrix_free(&t->b);
    matrix_free(&t->d);
    fine(cu->cuMemFree(t->bias_card));
    fine(cu->cuMemFree(t->workspace));
    free(t->bias);
}

/* As it goes with a lost card: nothing is fine. */
static void tear_down_lost(struct setting *t) {
    cu->cuMemFree(t->bias_card);
    cu->cuMemFree(t->workspace);
    blas->cublasLtMatmulDescDestroy(t->matmul);
    const struct matrix *all[] = {&t->a, &t->b, &t->d};
    for (size_t i = 0; i < 3; i++) {
        cu->cuMemFree(all[i]->card);
        blas->cublasLtMatrixLayoutDestroy(all[i]->layout);
        free(all[i]->host);
    }
    free(t->bias);
}

static int ask(const struct setting *t, uint64_t workspace, uint32_t alignment,
               struct blas_heuristic found[4], int *count) {
    blas_preference preference;
    fine(blas->cublasLtMatmulPreferenceCreate(&preference));
    fine(blas->cublasLtMatmulPreferenceSetAttribute(
        preference, BLAS_PREFERENCE_WORKSPACE_BYTES, &workspace,
        sizeof workspace));
    for (int which = 5; which <= 8; which++)
        fine(blas->cublasLtMatmulPreferenceSetAttribute(
            preference, which, &alignment, sizeof alignment));
    int status = blas->cublasLtMatmulAlgoGetHeuristic(
        handle, t->matmul, t->a.layout, t->b.layout, t->d.layout, t->d.layout,
        preference, 4, found, count);
    fine(blas->cublasLtMatmulPreferenceDestroy(preference));
    return status;
}

static int multiply(const struct setting *t, const struct shape *s,
                    const struct blas_algorithm *algorithm, size_t workspace) {
    return blas->cublasLtMatmul(
        handle, t->matmul, &s->alpha, (void *)(uintptr_t)t->a.card, t->a.layout,
        (void *)(uintptr_t)t->b.card, t->b.layout, &s->beta,
        (void *)(uintptr_t)t->d.card, t->d.layout, (void *)(uintptr_t)t->d.card,
        t->d.layout, algorithm, (void *)(uintptr_t)t->workspace, workspace,
        stream);
}

/* Against the definition, in double; what lies between columns stays. */
static void compare(const struct setting *t, const struct shape *s) {
    size_t bytes = matrix_bytes(&t->d);
    void *got = malloc(bytes);
    fine(cu->cuMemcpyDtoHAsync(got, t->d.card, bytes, stream));
    fine(cu->cuStreamSynchronize(stream));
    double step = s->result == BLAS_F32   ? 1e-5
                  : s->result == BLAS_F16 ? 0x1p-11
                                          : 0x1p-8;
    for (size_t j = 0; j < s->n; j++)
        for (size_t i = 0; i < t->d.leading; i++) {
            double sum = 0, before = at(&t->d, false, i, j);
            double have = load(got, j * t->d.leading + i, s->result);
            if (i >= s->m) {
                assert_true(have == before);
                continue;
            }
            for (size_t k = 0; k < s->k; k++)
                sum += at(&t->a, s->transpose_a, i, k) *
                       at(&t->b, s->transpose_b, k, j);
            sum = (double)s->alpha * sum + (double)s->beta * before;
            if (s->epilogue & BLAS_EPILOGUE_BIAS)
                sum += load(t->bias, i, s->result);
            sum = activated(s->epilogue, sum);
            if (!(fabs(sum - have) <= step * fabs(sum) + 1e-4))
                fail_msg("[%zu, %zu] is %g, not %g", i, j, have, sum);
        }
    free(got);
}

static void test_products(void **state) {
    (void)state;
    static const struct shape shapes[] = {
        {33, 7, 50, BLAS_F32, BLAS_F32, 1, 0, BLAS_EPILOGUE_DEFAULT, 1, 0},
        {33, 7, 50, BLAS_F32, BLAS_F32, 0, 1, BLAS_EPILOGUE_BIAS, 2, 1},
        {5, 9, 64, BLAS_F16, BLAS_F16, 1, 0, BLAS_EPILOGUE_RELU_BIAS, 1, 0},
        {16, 4, 3, BLAS_F16, BLAS_F32, 0, 0, BLAS_EPILOGUE_RELU, 0.5f, 0.25f},
        {40, 6, 31, BLAS_BF16, BLAS_BF16, 1, 0, BLAS_EPILOGUE_GELU_BIAS, 1, 0},
        {40, 6, 31, BLAS_BF16, BLAS_F32, 1, 1, BLAS_EPILOGUE_GELU, 0.1f, 0},
        {1, 1, 1, BLAS_F16, BLAS_F32, 1, 0, BLAS_EPILOGUE_BIAS, 1, 1},
    };
    enter("mode lazy\ncard capability=8.0\n");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct setting t = set_up(&shapes[i]);
        struct blas_heuristic found[4];
        int count = 0;
        fine(ask(&t, t.workspace_bytes, 256, found, &count));
        assert_int_equal(count, 2);
        fine(multiply(&t, &shapes[i], &found[i % 2].algorithm,
                      t.workspace_bytes));
        compare(&t, &shapes[i]);
        tear_down(&t);
    }
    assert_int_equal(fake_counters(&fake, 0).products, 7);
    leave();
}

static const struct shape plain = {
    8, 8, 8, BLAS_F16, BLAS_F16, 1, 0, BLAS_EPILOGUE_DEFAULT, 1, 0};

static void test_workspace(void **state) {
    (void)state;
    struct blas_heuristic all[4], few[4];
    int count = 0;
    enter("card\n");
    struct setting t = set_up(&plain);
    fine(ask(&t, 32 << 20, 256, all, &count));
    assert_int_equal(count, 3);
    fine(ask(&t, 0, 256, few, &count));
    assert_int_equal(count, 1);
    assert_int_equal(few[0].workspace_bytes, 0);
    fine(multiply(&t, &plain, &few[0].algorithm, 0));
    assert_int_equal(
        multiply(&t, &plain, &all[1].algorithm, all[1].workspace_bytes - 1),
        INVALID_VALUE);
    t.workspace += 128;
    assert_int_equal(
        multiply(&t, &plain, &all[1].algorithm, all[1].workspace_bytes),
        INVALID_VALUE);
    t.workspace -= 128;
    /* more than the block has */
    fine(multiply(&t, &plain, &all[0].algorithm, all[0].workspace_bytes));
    assert_int_equal(cu->cuStreamSynchronize(stream), 700);
    assert_int_equal(multiply(&t, &plain, NULL, 0), EXECUTION_FAILED);
    tear_down_lost(&t);
    assert_int_equal(fake.blas_live(), 1);
    leave();
}

static void test_alignment(void **state) {
    (void)state;
    struct blas_heuristic found[4];
    int count = 0;
    enter("card\n");
    struct setting t = set_up(&plain);
    fine(ask(&t, 32 << 20, 8, found, &count));
    assert_int_equal(count, 1); /* the others want 16 */
    fine(ask(&t, 1 << 20, 16, found, &count));
    assert_int_equal(count, 2);
    t.a.card += 2;
    assert_int_equal(multiply(&t, &plain, &found[0].algorithm, 1 << 20),
                     NOT_SUPPORTED);
    t.a.card -= 2;
    tear_down(&t);
    leave();
}

/* The card is lost with it: a result would be whatever. */
static void written_while_read(void (*move)(struct setting *t)) {
    static struct shape wide = {
        64, 64, 64, BLAS_F32, BLAS_F32, 1, 0, BLAS_EPILOGUE_BIAS, 1, 0};
    struct blas_heuristic found[4];
    int count = 0;
    enter("card\n");
    struct setting t = set_up(&wide), moved = t;
    fine(ask(&t, t.workspace_bytes, 256, found, &count));
    move(&moved);
    fine(multiply(&t, &wide, &found[0].algorithm, t.workspace_bytes));
    fine(cu->cuStreamSynchronize(stream));
    fine(multiply(&moved, &wide, &found[0].algorithm, t.workspace_bytes));
    assert_int_equal(cu->cuStreamSynchronize(stream), 700);
    tear_down_lost(&t);
    leave();
}

static void onto_a(struct setting *t) {
    t->d.card = t->a.card;
}

static void onto_b(struct setting *t) {
    t->b.card = t->d.card;
}

static void into_workspace(struct setting *t) {
    t->d.card = t->workspace + (512 << 10);
}

static void workspace_on_a(struct setting *t) {
    t->a.card = t->workspace;
}

static void test_overlap(void **state) {
    (void)state;
    written_while_read(onto_a);
    written_while_read(onto_b);
    written_while_read(into_workspace);
    written_while_read(workspace_on_a);
}

static void test_no_context(void **state) {
    (void)state;
    blas_handle none;
    enter("card\n");
    fine(cu->cuCtxSetCurrent(NULL));
    assert_int_equal(blas->cublasLtCreate(&none), NOT_INITIALIZED);
    fine(cu->cuCtxSetCurrent(context));
    leave();
}

static void test_unsupported(void **state) {
    (void)state;
    struct blas_heuristic found[4];
    struct shape bad = plain;
    int count = 1;
    enter("card capability=7.5\n");
    bad.result = BLAS_BF16; /* of f16 numbers */
    struct setting t = set_up(&bad);
    assert_int_equal(ask(&t, 0, 256, found, &count), NOT_SUPPORTED);
    assert_int_equal(count, 0);
    tear_down(&t);

    bad.type = BLAS_BF16; /* on a T4 */
    t = set_up(&bad);
    assert_int_equal(multiply(&t, &bad, NULL, 0), ARCH_MISMATCH);
    tear_down(&t);

    bad = plain;
    bad.epilogue = 3;
    t = set_up(&bad);
    assert_int_equal(ask(&t, 0, 256, found, &count), NOT_SUPPORTED);
    tear_down(&t);

    t = set_up(&plain); /* a float bias for f16 results */
    blas_matmul other = describe(&plain, BLAS_F32, t.bias_card),
                first = t.matmul;
    t.matmul = other;
    assert_int_equal(multiply(&t, &plain, NULL, 0), NOT_SUPPORTED);
    t.matmul = first;
    fine(blas->cublasLtMatmulDescDestroy(other));
    assert_int_equal(blas->cublasLtMatmulDescDestroy(other), INVALID_VALUE);
    tear_down(&t);
    leave();
}

/* ---- e4m3 ---- */

static const struct shape e4m3 = {
    32, 7, 48, BLAS_E4M3, BLAS_F32, 1, 0, BLAS_EPILOGUE_DEFAULT, 1, 0};
static const float SCALE_A = 0.5f, SCALE_B = 3;

/* No bias; SCALES 0, 1 (of A alone) or 2. */
static struct setting set_up_e4m3(const struct shape *s, int scales,
                                  cu_pointer card[2]) {
    struct setting t = set_up(s);
    fine(blas->cublasLtMatmulDescDestroy(t.matmul));
    fine(blas->cublasLtMatmulDescCreate(&t.matmul, BLAS_COMPUTE_F32, BLAS_F32));
    send(&SCALE_A, sizeof SCALE_A, &card[0]);
    send(&SCALE_B, sizeof SCALE_B, &card[1]);
    fine(blas->cublasLtMatmulDescSetAttribute(t.matmul, BLAS_MATMUL_TRANSPOSE_A,
                                              &s->transpose_a, 4));
    fine(blas->cublasLtMatmulDescSetAttribute(t.matmul, BLAS_MATMUL_TRANSPOSE_B,
                                              &s->transpose_b, 4));
    for (int i = 0; i < scales; i++)
        fine(blas->cublasLtMatmulDescSetAttribute(
            t.matmul, i ? BLAS_MATMUL_B_SCALE : BLAS_MATMUL_A_SCALE, &card[i],
            sizeof card[i]));
    return t;
}

static void tear_down_e4m3(struct setting *t, const cu_pointer card[2]) {
    tear_down(t);
    fine(cu->cuMemFree(card[0]));
    fine(cu->cuMemFree(card[1]));
}

static void test_e4m3(void **state) {
    (void)state;
    static const int RESULTS[] = {BLAS_F32, BLAS_BF16, BLAS_F16};
    enter("mode lazy\ncard capability=8.9\n");
    for (int i = 0; i < 6; i++) {
        struct shape s = e4m3;
        struct blas_heuristic found[4];
        cu_pointer card[2];
        int count = 0, scales = i % 2 ? 2 : 0;
        s.result = RESULTS[i / 2];
        struct setting t = set_up_e4m3(&s, scales, card);
        fine(ask(&t, t.workspace_bytes, 256, found, &count));
        assert_int_equal(count, 2);
        fine(multiply(&t, &s, &found[0].algorithm, t.workspace_bytes));
        s.alpha = scales ? SCALE_A * SCALE_B : 1;
        compare(&t, &s);
        tear_down_e4m3(&t, card);
    }
    leave();
}

static void assert_e4m3_refused(const struct shape *s, int scales,
                                int64_t shift, int status) {
    struct blas_heuristic found[4];
    cu_pointer card[2];
    int count = 0;
    struct setting t = set_up_e4m3(s, scales, card);
    t.a.card += (uint64_t)shift;
    if (!shift && scales != 1)
        assert_int_equal(ask(&t, 0, 256, found, &count), status);
    assert_int_equal(multiply(&t, s, NULL, 0), status);
    t.a.card -= (uint64_t)shift;
    tear_down_e4m3(&t, card);
}

static void test_e4m3_unsupported(void **state) {
    (void)state;
    struct shape bad = e4m3;
    enter("card capability=9.0\n");
    bad.transpose_a = 0; /* not "TN" */
    assert_e4m3_refused(&bad, 2, 0, NOT_SUPPORTED);
    bad.transpose_a = bad.transpose_b = 1;
    assert_e4m3_refused(&bad, 2, 0, NOT_SUPPORTED);
    bad = e4m3;
    bad.k = 40; /* lines that are no multiple of 16 bytes */
    assert_e4m3_refused(&bad, 2, 0, NOT_SUPPORTED);
    bad = e4m3;
    bad.m = 30;
    assert_e4m3_refused(&bad, 2, 0, NOT_SUPPORTED);
    bad = e4m3;
    bad.result = BLAS_E4M3;
    assert_e4m3_refused(&bad, 2, 0, NOT_SUPPORTED);
    assert_e4m3_refused(&e4m3, 2, 8, NOT_SUPPORTED); /* an address of 8 */
    assert_e4m3_refused(&e4m3, 1, 0, INVALID_VALUE); /* one scale */
    leave();
    enter("card capability=8.6\n");
    assert_e4m3_refused(&e4m3, 2, 0, NOT_SUPPORTED);
    leave();
    enter("card capability=8.9\n"); /* scales where there are none */
    struct shape plain_too = plain;
    assert_e4m3_refused(&plain_too, 2, 0, NOT_SUPPORTED);
    leave();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_workspace),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_no_context),
        cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_e4m3),
        cmocka_unit_test(test_e4m3_unsupported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
