/* fake_gemm.cpp - see fake_gemm.h. Products of narrow numbers are exact in
 * float; sums are floats, taken in the order of the sum's index. */

#include "device/cuda/fake_gemm.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "device/cuda/emulate.h"

enum { BLOCK_ROWS = 16, BLOCK_COLUMNS = 4 };

static float widened(const void *from, size_t at, int type) {
    unsigned short bits;
    float x;
    if (type == BLAS_F32) {
        memcpy(&x, (const char *)from + at * sizeof x, sizeof x);
        return x;
    }
    if (type == BLAS_E4M3)
        return emulate_widen_e4m3(static_cast<const unsigned char *>(from)[at]);
    memcpy(&bits, (const char *)from + at * sizeof bits, sizeof bits);
    return type == BLAS_F16 ? emulate_widen_half(bits)
                            : emulate_widen_bfloat(bits);
}

static void store(void *to, size_t at, int type, float x) {
    if (type == BLAS_F32) {
        memcpy((char *)to + at * sizeof x, &x, sizeof x);
        return;
    }
    unsigned short bits =
        type == BLAS_F16 ? emulate_round_half(x) : emulate_round_bfloat(x);
    memcpy((char *)to + at * sizeof bits, &bits, sizeof bits);
}

bool gemm_has_bias(int epilogue) {
    return (epilogue & BLAS_EPILOGUE_BIAS) != 0;
}

static float activated(int epilogue, float x) {
    if (epilogue & BLAS_EPILOGUE_RELU)
        return x > 0.0f ? x : 0.0f;
    if (epilogue & BLAS_EPILOGUE_GELU)
        return 0.5f * x *
               (1.0f + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
    return x;
}

/* Rows of op(A), or columns of op(B), from FIRST on, as floats, WIDTH of them
 * side by side for each index of the sum; zeros behind COUNT. */
static void pack(const void *from, int type, size_t leading, bool contiguous,
                 size_t first, size_t count, size_t width, size_t length,
                 float *to) {
    for (size_t i = 0; i < width; i++)
        for (size_t k = 0; k < length; k++) {
            size_t at = contiguous ? (first + i) * leading + k
                                   : k * leading + first + i;
            to[k * width + i] = i < count ? widened(from, at, type) : 0.0f;
        }
}

typedef float sums[BLOCK_COLUMNS][BLOCK_ROWS];

static void multiply(const float *a, const float *b, size_t begin, size_t end,
                     sums sum) {
    for (size_t k = begin; k < end; k++)
        for (size_t j = 0; j < BLOCK_COLUMNS; j++) {
            float x = b[k * BLOCK_COLUMNS + j];
            for (size_t i = 0; i < BLOCK_ROWS; i++)
                sum[j][i] += a[k * BLOCK_ROWS + i] * x;
        }
}

static void finish(const struct gemm *g, size_t row, size_t column, float sum) {
    float x = g->alpha * sum;
    if (g->a_scale)
        x *= *g->a_scale * *g->b_scale;
    if (g->beta != 0.0f)
        x += g->beta *
             widened(g->c, column * g->c_leading + row, g->result_type);
    if (g->bias)
        x += widened(g->bias, row, g->result_type);
    store(g->d, column * g->d_leading + row, g->result_type,
          activated(g->epilogue, x));
}

static void block(const struct gemm *g, const float *a, const float *b,
                  size_t row, size_t column) {
    sums all = {};
    for (size_t part = 0; part < g->parts; part++) {
        sums some = {};
        multiply(a, b, g->length * part / g->parts,
                 g->length * (part + 1) / g->parts, some);
        for (size_t j = 0; j < BLOCK_COLUMNS; j++)
            for (size_t i = 0; i < BLOCK_ROWS; i++)
                all[j][i] += some[j][i];
    }
    size_t rows = std::min<size_t>(BLOCK_ROWS, g->rows - row);
    size_t columns = std::min<size_t>(BLOCK_COLUMNS, g->columns - column);
    for (size_t j = 0; j < columns; j++)
        for (size_t i = 0; i < rows; i++)
            finish(g, row + i, column + j, all[j][i]);
}

/* C may be D: each number is read before it is written, and by no other. */
void gemm_run(const struct gemm *g) {
    size_t panels = (g->columns + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
    size_t panel = BLOCK_COLUMNS * g->length;
    std::vector<float> a(BLOCK_ROWS * g->length), b(panels * panel);
    for (size_t p = 0; p < panels; p++)
        pack(g->b, g->type, g->b_leading, !g->transpose_b, p * BLOCK_COLUMNS,
             std::min<size_t>(BLOCK_COLUMNS, g->columns - p * BLOCK_COLUMNS),
             BLOCK_COLUMNS, g->length, &b[p * panel]);
    for (size_t row = 0; row < g->rows; row += BLOCK_ROWS) {
        pack(g->a, g->type, g->a_leading, g->transpose_a, row,
             std::min<size_t>(BLOCK_ROWS, g->rows - row), BLOCK_ROWS, g->length,
             a.data());
        for (size_t p = 0; p < panels; p++)
            block(g, a.data(), &b[p * panel], row, p * BLOCK_COLUMNS);
    }
}
