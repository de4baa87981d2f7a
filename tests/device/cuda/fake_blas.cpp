/* fake_blas.cpp - libcublasLt without a card: what we use of its interface, and
 * what it refuses. The products are fake_gemm.cpp's. See fake_cuda.h.
 *
 * What is supported is the table of cublasLtMatmul in cuBLAS's documentation:
 * f32 numbers with f32 results, f16 or bf16 with results of the same type or
 * f32, sums in f32, a bias of the results' type; and e4m3 as "8-bit floating
 * point data types" has it there: op(A) transposed and op(B) not, lines of 16
 * bytes, a scale on the card for each of the two, which is 1 if it is not set,
 * and no card before sm_89. Its results are f16, bf16 or f32. */

#include <atomic>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <mutex>
#include <set>

#include "device/cuda/fake_cuda.h"
#include "device/cuda/fake_gemm.h"

enum {
    STATUS_NOT_INITIALIZED = 1,
    STATUS_INVALID_VALUE = 7,
    STATUS_ARCH_MISMATCH = 8,
    STATUS_EXECUTION_FAILED = 13,
    STATUS_NOT_SUPPORTED = 15,
};

/* As cuBLASLt has them; cuda_api.h names those that the program sets. */
enum {
    PREFERENCE_WORKSPACE = 1,
    PREFERENCE_REDUCTION = 3,
    PREFERENCE_ALIGNMENT_A = 5,
    PREFERENCE_ALIGNMENT_D = 8,
    ALIGNMENT_DEFAULT = 256,
    WORKSPACE_ALIGNMENT = 256,
};

struct blas_handle_s {
    int unused;
};
struct blas_matmul_s {
    int compute, scale, transpose_a, transpose_b, epilogue, bias_type;
    const void *bias, *a_scale, *b_scale;
};
struct blas_layout_s {
    int type;
    uint64_t rows, columns;
    int64_t leading;
};
struct blas_preference_s {
    uint64_t workspace;
    uint32_t reduction, alignment[4];
};

/* ---- libcuda ---- */

static struct {
    fake_cuda_enqueue_function *enqueue;
    fake_cuda_memory_function *memory;
    fake_cuda_arch_function *arch;
} driver;

static bool find_driver(void) {
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    if (!library)
        return false;
    driver.enqueue =
        (fake_cuda_enqueue_function *)dlsym(library, "fake_cuda_enqueue");
    driver.memory =
        (fake_cuda_memory_function *)dlsym(library, "fake_cuda_memory");
    driver.arch = (fake_cuda_arch_function *)dlsym(library, "fake_cuda_arch");
    return driver.enqueue && driver.memory && driver.arch;
}

/* ---- handles ---- */

static std::mutex lock;
static std::set<void *> live;

template <class T> static int make(T **handle, const T &value) {
    std::lock_guard<std::mutex> hold(lock);
    *handle = new T(value);
    live.insert(*handle);
    return 0;
}

static bool has(const void *handle) {
    std::lock_guard<std::mutex> hold(lock);
    return live.count(const_cast<void *>(handle)) != 0;
}

template <class T> static int unmake(T *handle) {
    std::lock_guard<std::mutex> hold(lock);
    if (!live.erase(handle))
        return STATUS_INVALID_VALUE;
    delete handle;
    return 0;
}

EXPORT uint64_t fake_blas_live(void) {
    std::lock_guard<std::mutex> hold(lock);
    return live.size();
}

EXPORT size_t cublasLtGetVersion(void) {
    return FAKE_MAJOR == 12 ? 120900 : FAKE_MAJOR * 10000;
}

/* Without a context the real one takes the first card, whichever was meant. */
EXPORT int cublasLtCreate(blas_handle *handle) {
    if (!find_driver() || !driver.arch(nullptr))
        return STATUS_NOT_INITIALIZED;
    return make(handle, blas_handle_s{0});
}

EXPORT int cublasLtDestroy(blas_handle handle) {
    return unmake(handle);
}

EXPORT int cublasLtMatmulDescCreate(blas_matmul *matmul, int compute,
                                    int scale_type) {
    return make(matmul,
                blas_matmul_s{compute, scale_type, 0, 0, BLAS_EPILOGUE_DEFAULT,
                              -1, nullptr, nullptr, nullptr});
}

EXPORT int cublasLtMatmulDescDestroy(blas_matmul matmul) {
    return unmake(matmul);
}

template <class T>
static int set_value(T *to, const void *value, size_t bytes) {
    if (bytes != sizeof *to)
        return STATUS_INVALID_VALUE;
    memcpy(to, value, bytes);
    return 0;
}

EXPORT int cublasLtMatmulDescSetAttribute(blas_matmul matmul, int attribute,
                                          const void *value, size_t bytes) {
    if (!has(matmul))
        return STATUS_INVALID_VALUE;
    switch (attribute) {
    case BLAS_MATMUL_TRANSPOSE_A:
        return set_value(&matmul->transpose_a, value, bytes);
    case BLAS_MATMUL_TRANSPOSE_B:
        return set_value(&matmul->transpose_b, value, bytes);
    case BLAS_MATMUL_EPILOGUE:
        return set_value(&matmul->epilogue, value, bytes);
    case BLAS_MATMUL_BIAS_POINTER:
        return set_value(&matmul->bias, value, bytes);
    case BLAS_MATMUL_BIAS_TYPE:
        return set_value(&matmul->bias_type, value, bytes);
    case BLAS_MATMUL_A_SCALE:
        return set_value(&matmul->a_scale, value, bytes);
    case BLAS_MATMUL_B_SCALE:
        return set_value(&matmul->b_scale, value, bytes);
    default:
        fprintf(stderr, "fake cuBLASLt: attribute %d is not known\n",
                attribute);
        return STATUS_INVALID_VALUE;
    }
}

EXPORT int cublasLtMatrixLayoutCreate(blas_layout *layout, int type,
                                      uint64_t rows, uint64_t columns,
                                      int64_t leading) {
    if (!rows || !columns || leading < (int64_t)rows)
        return STATUS_INVALID_VALUE;
    return make(layout, blas_layout_s{type, rows, columns, leading});
}

EXPORT int cublasLtMatrixLayoutDestroy(blas_layout layout) {
    return unmake(layout);
}

EXPORT int cublasLtMatmulPreferenceCreate(blas_preference *preference) {
    blas_preference_s fresh = {0, ~0u, {}};
    for (uint32_t &alignment : fresh.alignment)
        alignment = ALIGNMENT_DEFAULT;
    return make(preference, fresh);
}

EXPORT int cublasLtMatmulPreferenceDestroy(blas_preference preference) {
    return unmake(preference);
}

EXPORT int cublasLtMatmulPreferenceSetAttribute(blas_preference preference,
                                                int attribute,
                                                const void *value,
                                                size_t bytes) {
    if (!has(preference))
        return STATUS_INVALID_VALUE;
    if (attribute == PREFERENCE_WORKSPACE)
        return set_value(&preference->workspace, value, bytes);
    if (attribute == PREFERENCE_REDUCTION)
        return set_value(&preference->reduction, value, bytes);
    if (attribute >= PREFERENCE_ALIGNMENT_A &&
        attribute <= PREFERENCE_ALIGNMENT_D)
        return set_value(
            &preference->alignment[attribute - PREFERENCE_ALIGNMENT_A], value,
            bytes);
    fprintf(stderr, "fake cuBLASLt: preference %d is not known\n", attribute);
    return STATUS_INVALID_VALUE;
}

/* ---- what is supported ---- */

static size_t type_bytes(int type) {
    return type == BLAS_F32 ? 4 : type == BLAS_E4M3 ? 1 : 2;
}

static bool e4m3_fits(const blas_matmul_s *m, const blas_layout_s *a,
                      const blas_layout_s *b, const blas_layout_s *c,
                      const blas_layout_s *d) {
    int type = d->type;
    bool lines = a->rows % 16 == 0 && a->leading % 16 == 0 &&
                 b->leading % 16 == 0 && d->rows * type_bytes(type) % 16 == 0 &&
                 (uint64_t)d->leading * type_bytes(type) % 16 == 0 &&
                 (uint64_t)c->leading * type_bytes(type) % 16 == 0;
    return b->type == BLAS_E4M3 && c->type == type && lines &&
           (type == BLAS_F32 || type == BLAS_F16 || type == BLAS_BF16) &&
           m->transpose_a && !m->transpose_b && m->scale == BLAS_F32 &&
           m->compute == BLAS_COMPUTE_F32 &&
           (m->bias_type == -1 || m->bias_type == BLAS_BF16);
}

static bool types_fit(const blas_matmul_s *m, int a, int b, int c, int d) {
    bool narrow = a == BLAS_F16 || a == BLAS_BF16;
    if ((a != BLAS_F32 && !narrow) || a != b || c != d ||
        (d != a && d != BLAS_F32) || m->scale != BLAS_F32)
        return false;
    if (m->compute != BLAS_COMPUTE_F32 &&
        m->compute != BLAS_COMPUTE_F32_PEDANTIC)
        return false;
    return m->bias_type == -1 || m->bias_type == d;
}

static bool epilogue_known(int epilogue) {
    return epilogue == BLAS_EPILOGUE_DEFAULT ||
           epilogue == BLAS_EPILOGUE_RELU || epilogue == BLAS_EPILOGUE_BIAS ||
           epilogue == BLAS_EPILOGUE_RELU_BIAS ||
           epilogue == BLAS_EPILOGUE_GELU ||
           epilogue == BLAS_EPILOGUE_GELU_BIAS;
}

static bool fits(const blas_layout_s *layout, bool transposed, uint64_t rows,
                 uint64_t columns) {
    return layout->rows == (transposed ? columns : rows) &&
           layout->columns == (transposed ? rows : columns);
}

/* D's shape and the length of the sums; a status. */
static int shape_of(const blas_matmul_s *m, const blas_layout_s *a,
                    const blas_layout_s *b, const blas_layout_s *c,
                    const blas_layout_s *d, struct gemm *g) {
    if ((m->transpose_a & ~1) || (m->transpose_b & ~1))
        return STATUS_NOT_SUPPORTED;
    g->rows = d->rows;
    g->columns = d->columns;
    g->length = m->transpose_a ? a->rows : a->columns;
    g->transpose_a = m->transpose_a;
    g->transpose_b = m->transpose_b;
    g->type = a->type;
    g->result_type = d->type;
    g->epilogue = m->epilogue;
    g->a_leading = (size_t)a->leading;
    g->b_leading = (size_t)b->leading;
    g->c_leading = (size_t)c->leading;
    g->d_leading = (size_t)d->leading;
    if (!fits(a, m->transpose_a, g->rows, g->length) ||
        !fits(b, m->transpose_b, g->length, g->columns) ||
        !fits(c, false, g->rows, g->columns))
        return STATUS_INVALID_VALUE;
    bool fine = a->type == BLAS_E4M3
                    ? e4m3_fits(m, a, b, c, d)
                    : types_fit(m, a->type, b->type, c->type, d->type) &&
                          !m->a_scale && !m->b_scale;
    return fine && epilogue_known(m->epilogue) ? 0 : STATUS_NOT_SUPPORTED;
}

/* ---- algorithms ---- */

/* The best first. One needs much workspace and many columns, one a little (it
 * makes a sum of two parts), one none. */
static const struct algorithm {
    size_t workspace;
    uint32_t alignment;
    unsigned parts, columns;
} ALGORITHMS[] = {{24u << 20, 16, 2, 4}, {1u << 20, 16, 2, 1}, {0, 2, 1, 1}};
enum { ALGORITHMS_COUNT = 3 };
static const uint64_t ALGORITHM_MARK = 0x656d626564616c67u;

EXPORT int cublasLtMatmulAlgoGetHeuristic(
    blas_handle handle, blas_matmul matmul, blas_layout a, blas_layout b,
    blas_layout c, blas_layout d, blas_preference preference,
    int results_wanted, struct blas_heuristic *results, int *results_count) {
    struct gemm g = {};
    if (!has(handle) || !has(matmul) || !has(a) || !has(b) || !has(c) ||
        !has(d) || !has(preference) || results_wanted < 1)
        return STATUS_INVALID_VALUE;
    *results_count = 0;
    int status = shape_of(matmul, a, b, c, d, &g);
    if (!status && g.type == BLAS_E4M3 && driver.arch(nullptr) < 89)
        status = STATUS_NOT_SUPPORTED;
    if (status)
        return status;
    uint32_t aligned = ALIGNMENT_DEFAULT;
    for (uint32_t alignment : preference->alignment)
        aligned = alignment < aligned ? alignment : aligned;
    for (uint64_t i = 0;
         i < ALGORITHMS_COUNT && *results_count < results_wanted; i++) {
        if (ALGORITHMS[i].workspace > preference->workspace ||
            ALGORITHMS[i].alignment > aligned ||
            ALGORITHMS[i].columns > g.columns)
            continue;
        struct blas_heuristic *result = &results[(*results_count)++];
        *result = {};
        result->algorithm.data[0] = ALGORITHM_MARK;
        result->algorithm.data[1] = i;
        result->workspace_bytes = ALGORITHMS[i].workspace;
        result->waves = 1;
    }
    return *results_count ? 0 : STATUS_NOT_SUPPORTED;
}

/* ---- products ---- */

struct product {
    struct gemm gemm; /* with addresses of the program */
    cu_stream stream;
};

static size_t span(uint64_t rows, uint64_t columns, int64_t leading, int type) {
    return ((columns - 1) * (uint64_t)leading + rows) * type_bytes(type);
}

/* An operand: where it lies, and its bytes. */
struct part {
    const void *at;
    size_t bytes;
};

static bool overlap(const part &a, const part &b) {
    const char *first = static_cast<const char *>(a.at);
    const char *second = static_cast<const char *>(b.at);
    return first && second && first < second + b.bytes &&
           second < first + a.bytes;
}

/* May the results and the workspace be written while the others are read? C may
 * be D. */
static bool apart(const struct gemm *g, const part (&read)[4], const part &d) {
    part workspace = {g->workspace_bytes ? g->workspace : nullptr,
                      g->workspace_bytes};
    for (const part &other : read) {
        bool is_d = &other == &read[2] && g->c == g->d;
        if ((overlap(other, d) && !is_d) || overlap(other, workspace))
            return false;
    }
    return !overlap(d, workspace);
}

/* All addresses as the card's processors see them. NULL, or what is wrong: one
 * is not whole inside of a block, or is written while it is read. */
static const char *find_memory(struct gemm *g, cu_stream stream) {
    uint64_t a_rows = g->transpose_a ? g->length : g->rows;
    uint64_t b_rows = g->transpose_b ? g->columns : g->length;
    uint64_t a_columns = g->rows + g->length - a_rows;
    uint64_t b_columns = g->columns + g->length - b_rows;
    bool scaled = g->a_scale, adds = g->beta != 0.0f;
    size_t result =
        span(g->rows, g->columns, (int64_t)g->d_leading, g->result_type);
    part read[] = {
        {g->a, span(a_rows, a_columns, (int64_t)g->a_leading, g->type)},
        {g->b, span(b_rows, b_columns, (int64_t)g->b_leading, g->type)},
        {adds ? g->c : nullptr,
         span(g->rows, g->columns, (int64_t)g->c_leading, g->result_type)},
        {g->bias, g->rows * type_bytes(g->result_type)}};
    for (part &p : read)
        if (p.at)
            p.at = driver.memory(stream, p.at, p.bytes);
    g->a = read[0].at;
    g->b = read[1].at;
    g->c = read[2].at;
    g->bias = read[3].at;
    g->d = driver.memory(stream, g->d, result);
    if (g->workspace_bytes)
        g->workspace = driver.memory(stream, g->workspace, g->workspace_bytes);
    for (const float **scale : {&g->a_scale, &g->b_scale})
        if (*scale)
            *scale =
                (const float *)driver.memory(stream, *scale, sizeof(float));
    if (!g->a || !g->b || !g->d || (adds && !g->c) ||
        (gemm_has_bias(g->epilogue) && !g->bias) ||
        (g->workspace_bytes && !g->workspace) ||
        (scaled && (!g->a_scale || !g->b_scale)))
        return "memory that is not, or not all, the card's";
    return apart(g, read, {g->d, result})
               ? nullptr
               : "results or a workspace where an operand lies";
}

static int product_run(void *work) {
    product *p = static_cast<product *>(work);
    const char *wrong = find_memory(&p->gemm, p->stream);
    if (wrong) {
        fprintf(stderr,
                "fake cuBLASLt: a product of %zu x %zu x %zu is given %s\n",
                p->gemm.rows, p->gemm.columns, p->gemm.length, wrong);
        return 700;
    }
    /* whatever an algorithm leaves there */
    if (p->gemm.workspace_bytes)
        memset(p->gemm.workspace, 0xff, p->gemm.workspace_bytes);
    gemm_run(&p->gemm);
    return 0;
}

static void product_free(void *work) {
    delete static_cast<product *>(work);
}

static bool aligned(const struct gemm *g, const struct algorithm *algorithm) {
    uintptr_t all = (uintptr_t)g->a | (uintptr_t)g->b | (uintptr_t)g->d |
                    (g->beta != 0.0f ? (uintptr_t)g->c : 0) |
                    (uintptr_t)g->bias;
    return all % algorithm->alignment == 0 &&
           (g->type != BLAS_E4M3 || all % 16 == 0);
}

/* Without an algorithm the library takes one itself. */
static int choose(const struct blas_algorithm *algorithm, size_t workspace,
                  const struct algorithm **chosen) {
    *chosen = &ALGORITHMS[ALGORITHMS_COUNT - 1];
    if (!algorithm)
        return 0;
    if (algorithm->data[0] != ALGORITHM_MARK ||
        algorithm->data[1] >= ALGORITHMS_COUNT)
        return STATUS_INVALID_VALUE;
    *chosen = &ALGORITHMS[algorithm->data[1]];
    return (*chosen)->workspace > workspace ? STATUS_INVALID_VALUE : 0;
}

EXPORT int cublasLtMatmul(blas_handle handle, blas_matmul matmul,
                          const void *alpha, const void *a, blas_layout a_is,
                          const void *b, blas_layout b_is, const void *beta,
                          const void *c, blas_layout c_is, void *d,
                          blas_layout d_is,
                          const struct blas_algorithm *algorithm,
                          void *workspace, size_t workspace_bytes,
                          cu_stream stream) {
    if (!has(handle) || !has(matmul) || !has(a_is) || !has(b_is) ||
        !has(c_is) || !has(d_is) || !alpha || !beta)
        return STATUS_INVALID_VALUE;
    std::unique_ptr<product> p(new product{{}, stream});
    struct gemm *g = &p->gemm;
    const struct algorithm *chosen;
    int status = shape_of(matmul, a_is, b_is, c_is, d_is, g);
    if (!status)
        status = choose(algorithm, workspace ? workspace_bytes : 0, &chosen);
    if (status)
        return status;
    memcpy(&g->alpha, alpha, sizeof g->alpha);
    memcpy(&g->beta, beta, sizeof g->beta);
    g->a = a;
    g->b = b;
    g->c = c;
    g->d = d;
    g->bias = gemm_has_bias(g->epilogue) ? matmul->bias : nullptr;
    g->workspace = workspace;
    g->workspace_bytes = chosen->workspace;
    g->parts = chosen->parts;
    g->a_scale = static_cast<const float *>(matmul->a_scale);
    g->b_scale = static_cast<const float *>(matmul->b_scale);
    if (!g->a_scale != !g->b_scale)
        return STATUS_INVALID_VALUE;
    if (gemm_has_bias(g->epilogue) && !matmul->bias)
        return STATUS_INVALID_VALUE;
    if (c == d && g->c_leading != g->d_leading)
        return STATUS_INVALID_VALUE;
    if ((uintptr_t)workspace % WORKSPACE_ALIGNMENT)
        return STATUS_INVALID_VALUE;
    if (!aligned(g, chosen) || g->columns < chosen->columns)
        return STATUS_NOT_SUPPORTED;
    if (g->type == BLAS_BF16 && driver.arch(stream) < 80)
        return STATUS_ARCH_MISMATCH;
    if (g->type == BLAS_E4M3 && driver.arch(stream) < 89)
        return STATUS_NOT_SUPPORTED;
    int result = driver.enqueue(stream, product_run, product_free, p.release());
    return result ? STATUS_EXECUTION_FAILED : 0;
}
