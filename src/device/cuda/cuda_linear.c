/* cuda_linear.c - y = x W^T + b with what goes before and after it.
 *
 * cuBLASLt adds the bias, and applies ReLU and the tanh form of GELU, while the
 * results are in registers; other activations are a pass over them. It wants a
 * bias in the type of the results, so there is room for a narrow one behind the
 * weights (cuda_linear_bytes), which is filled when the matrix is first used
 * after anything was written to the card's weights. */

#include "device/cuda/cuda_parts.h"

static size_t by_numbers(size_t count) {
    return cuda_blocks(count, ROW_THREADS * NUMBERS_AT_ONCE);
}

/* ---- the bias ----------------------------------------------------------- */

static void *bias_room(const struct cuda_device *cuda,
                       const struct linear *linear) {
    size_t bytes = linear->in * linear->out * cuda->device.narrow_bytes;
    return (char *)linear->weights + (bytes + 63) / 64 * 64;
}

static const void *narrow_bias(struct cuda_lane *lane,
                               const struct linear *linear) {
    struct cuda_device *cuda = lane->cuda;
    if (!linear->bias || cuda->device.type == NUMBER_F32)
        return linear->bias;
    uint64_t generation = cuda->generation;
    void *room = bias_room(cuda, linear);
    size_t slot = (uintptr_t)linear->weights / 64 * 2654435761u % CUDA_BIASES;
    struct bias_seen *seen = &cuda->biases[slot];
    if (seen->weights == linear->weights && seen->generation == generation)
        return room;
    LAUNCH(lane, narrow_numbers, by_numbers(linear->out), 1, .x = linear->bias,
           .y = room, .count = linear->out);
    *seen = (struct bias_seen){linear->weights, generation};
    return room;
}

/* ---- products ----------------------------------------------------------- */

static int epilogue_of(enum activation activation, bool bias) {
    switch (activation) {
    case ACTIVATION_RELU:
        return bias ? BLAS_EPILOGUE_RELU_BIAS : BLAS_EPILOGUE_RELU;
    case ACTIVATION_GELU_TANH:
        return bias ? BLAS_EPILOGUE_GELU_BIAS : BLAS_EPILOGUE_GELU;
    default:
        return bias ? BLAS_EPILOGUE_BIAS : BLAS_EPILOGUE_DEFAULT;
    }
}

static struct product_job job_of(const struct cuda_lane *lane,
                                 const struct linear *linear,
                                 const struct narrow *x, size_t rows) {
    float undo = 1 / lane->cuda->gate_scale;
    return (struct product_job){
        .key = {.in = linear->in,
                .out = linear->out,
                .epilogue = epilogue_of(ACTIVATION_NONE, linear->bias),
                .takes_workspace = true},
        .weights = linear->weights,
        .bias = linear->bias,
        .x = x,
        .rows = rows,
        .alpha = linear->behind_gate ? undo : 1,
    };
}

static bool multiply(struct cuda_lane *lane, struct product_job *job) {
    return cuda_product(lane, job) ||
           cuda_broke(lane->cuda,
                      "cuBLASLt has no product of %zu rows by a matrix [%zu, "
                      "%zu]",
                      job->rows, job->key.out, job->key.in);
}

static void activate_wide(struct cuda_lane *lane, enum activation activation,
                          const float *x, const float *residual, float *y,
                          size_t count) {
    LAUNCH(lane, activate_wide, by_numbers(count), 1, .x = x,
           .residual = residual, .y = y, .count = count,
           .activation = activation);
}

/* y += activation(x W^T + b): what is added to may not be written over by the
 * product, which is made in the workspace, some rows at a time. */
static void linear_onto(struct cuda_lane *lane, const struct linear *linear,
                        const struct narrow *x, size_t rows,
                        enum activation activation, float *y) {
    struct cuda_device *cuda = lane->cuda;
    size_t out = linear->out, row = linear->in * cuda->device.narrow_bytes;
    size_t step = cuda->workspace_bytes / (out * sizeof *y);
    if (!step)
        cuda_broke(cuda, "rows of %zu numbers: there is no room for one", out);
    for (size_t begin = 0; step && begin < rows; begin += step) {
        size_t some = rows - begin < step ? rows - begin : step;
        struct product_job job = job_of(
            lane, linear,
            (const struct narrow *)((const char *)x + begin * row), some);
        job.key.wide = true;
        job.key.takes_workspace = false;
        job.d = cuda_pointer(cuda->workspace);
        if (!multiply(lane, &job))
            return;
        activate_wide(lane, activation, job.d, y + begin * out, y + begin * out,
                      some * out);
    }
}

void cuda_linear(struct lane *base, const struct linear *linear,
                 const struct narrow *x, size_t rows,
                 enum activation activation, const float *residual, float *y) {
    struct cuda_lane *lane = cuda_lane_of(base);
    bool adds = residual && activation == ACTIVATION_NONE;
    if (!rows || !cuda_enter(lane->cuda))
        return;
    if (cuda_fp8_takes(lane->cuda, linear->in, linear->out)) {
        cuda_fp8_linear(lane, linear, x, rows, activation, residual, y);
        return;
    }
    if (residual == y && !adds) {
        linear_onto(lane, linear, x, rows, activation, y);
        return;
    }
    struct product_job job = job_of(lane, linear, x, rows);
    job.key.wide = true;
    job.c = adds ? residual : NULL;
    job.beta = adds ? 1 : 0;
    job.d = y;
    if (multiply(lane, &job) && activation != ACTIVATION_NONE)
        activate_wide(lane, activation, y, residual, y, rows * linear->out);
}

void cuda_linear_narrow(struct lane *base, const struct linear *linear,
                        const struct narrow *x, size_t rows,
                        enum activation activation, struct narrow *y) {
    struct cuda_lane *lane = cuda_lane_of(base);
    if (!rows || !cuda_enter(lane->cuda))
        return;
    if (cuda_fp8_takes(lane->cuda, linear->in, linear->out)) {
        cuda_fp8_linear_narrow(lane, linear, x, rows, activation, y);
        return;
    }
    cuda_fp8_forget(lane, y);
    struct product_job job = job_of(lane, linear, x, rows);
    int plain = job.key.epilogue;
    size_t count = rows * linear->out;
    job.bias = narrow_bias(lane, linear);
    job.d = y;
    job.key.epilogue = epilogue_of(activation, linear->bias);
    if (job.key.epilogue != plain && cuda_product(lane, &job))
        return;
    job.key.epilogue = plain;
    if (multiply(lane, &job) && activation != ACTIVATION_NONE)
        LAUNCH(lane, activate_narrow, by_numbers(count), 1, .x = y,
               .count = count, .activation = activation);
}
