/* fake_gemm.h - D = epilogue(alpha op(A) op(B) + beta C), by columns, on the
 * CPU. */

#ifndef TESTS_DEVICE_CUDA_FAKE_GEMM_H
#define TESTS_DEVICE_CUDA_FAKE_GEMM_H

#include <cstddef>

extern "C" {
#include "device/cuda/cuda_api.h"
}

struct gemm {
    size_t rows, columns, length; /* of D; of each sum */
    bool transpose_a, transpose_b;
    int type, result_type, epilogue; /* as cuda_api.h has them; C and the bias
                                        are of the results' type */
    size_t a_leading, b_leading, c_leading, d_leading;
    float alpha, beta;
    const void *a, *b, *c; /* c is not read if beta is 0 */
    void *d;
    const void *bias; /* [rows], NULL: none */
    void *workspace;
    size_t workspace_bytes;
    unsigned parts;                 /* that a sum is made of */
    const float *a_scale, *b_scale; /* of e4m3; NULL: 1 */
};

bool gemm_has_bias(int epilogue);
void gemm_run(const struct gemm *gemm);

#endif
