/* cuda_fp8.c - products of e4m3, where the card's type is NUMBER_FP8.
 *
 * A matrix is e4m3 with a scale for each of its rows (an output), made while it
 * is loaded: the row's greatest size becomes 448, e4m3's greatest number. What
 * it reads is made so too, a scale a row (a token), by quantize_rows. cuBLASLt
 * multiplies the two as they are, for cards before sm_90 have a scale a tensor
 * and no other, and scale_narrow or scale_wide makes numbers of the products:
 * both scales, the bias, the activation and the residual in one pass, in f32.
 *
 * Packed: [out, in] bytes, and behind them, 64-byte aligned, [out] scales.
 *
 * Rows in e4m3 and their scales, and products that may not be made in their
 * place, take FP8_ROOM bytes of the card, as many rows at a time as fit. It is
 * taken when the card is opened, and so is in every plan. Its first number is
 * 1, the scale that cuBLASLt is given.
 *
 * cuBLASLt wants rows of a multiple of 16 numbers on both sides; other matrices
 * stay bf16, and so do those of fewer than 16 outputs. What it is asked for is
 * the "TN" form without fast accumulation, from its documentation of
 * cublasLtMatmul (8-bit floating point). */

#include "device/cuda/cuda_parts.h"

enum {
    FP8_ROOM = 32 << 20,
    ONE_BYTES = 64,
};
_Static_assert(FP8_ROOM / FP8_WIDTH_MOST / 8 >= FP8_MULTIPLE &&
                   FP8_WIDTH_MOST * sizeof(float) <= CUDA_STAGE_BYTES,
               "16 rows have room, and a row a stage");

bool cuda_fp8_takes(const struct cuda_device *cuda, size_t in, size_t out) {
    return cuda->device.type == NUMBER_FP8 && device_fp8_takes(in, out);
}

/* ---- matrices ----------------------------------------------------------- */

static size_t codes_bytes(size_t in, size_t out) {
    return (in * out + 63) / 64 * 64;
}

size_t cuda_fp8_bytes(size_t in, size_t out) {
    return codes_bytes(in, out) + out * sizeof(float);
}

static const float *scales_of(const struct linear *linear) {
    const char *codes = linear->weights;
    return (const float *)(const void *)(codes +
                                         codes_bytes(linear->in, linear->out));
}

/* A unit is a row. */
static void write_codes(const struct cuda_sending *sending, const void *from,
                        size_t count, void *to) {
    size_t in = sending->to_bytes;
    const float *rows = from;
    uint8_t *codes = to;
    for (size_t r = 0; r < count; r++)
        cuda_narrow_e4m3(rows + r * in, in,
                         E4M3_MOST /
                             cuda_greatest_size(rows + r * in, in, E4M3_LEAST),
                         codes + r * in);
}

static void write_scales(const struct cuda_sending *sending, const void *from,
                         size_t count, void *to) {
    size_t in = sending->from_bytes / sizeof(float);
    const float *rows = from;
    float *scales = to;
    for (size_t r = 0; r < count; r++)
        scales[r] =
            cuda_greatest_size(rows + r * in, in, E4M3_LEAST) / E4M3_MOST;
}

void cuda_fp8_pack(struct cuda_device *cuda, const float *weights, size_t in,
                   size_t out, size_t row_begin, size_t row_count,
                   void *packed) {
    struct cuda_sending codes = {in * sizeof(float), in, write_codes};
    struct cuda_sending scales = {in * sizeof(float), sizeof(float),
                                  write_scales};
    char *to = packed;
    cuda_send(cuda, &codes, weights, row_count, to + row_begin * in);
    cuda_send(cuda, &scales, weights, row_count,
              to + codes_bytes(in, out) + row_begin * sizeof(float));
}

/* ---- the room ----------------------------------------------------------- */

/* What some rows take of it. */
struct room {
    size_t rows; /* at a time */
    unsigned char *codes;
    float *scales;
    float *results; /* where they were asked for */
};

/* Pieces of y begin at multiples of 64 bytes, as y does: FP8_MULTIPLE rows. */
static struct room room_for(const struct cuda_device *cuda,
                            const struct linear *linear, bool results) {
    size_t row = linear->in + sizeof(float) +
                 (results ? linear->out * sizeof(float) : 0);
    size_t rows = (FP8_ROOM - ONE_BYTES) / row / FP8_MULTIPLE * FP8_MULTIPLE;
    char *at = (char *)cuda_pointer(cuda->fp8_room) + ONE_BYTES;
    struct room room = {.rows = rows, .codes = (unsigned char *)at};
    at += rows * linear->in;
    room.scales = (float *)(void *)at;
    at += rows * sizeof(float);
    if (results)
        room.results = (float *)(void *)at;
    return room;
}

/* ---- products ----------------------------------------------------------- */

static bool multiply(struct cuda_lane *lane, const struct linear *linear,
                     const struct room *room, const struct narrow *x,
                     size_t rows, bool wide, void *d) {
    struct product_job job = {.key = {.in = linear->in,
                                      .out = linear->out,
                                      .wide = wide,
                                      .fp8 = true,
                                      .epilogue = BLAS_EPILOGUE_DEFAULT,
                                      .takes_workspace = true},
                              .weights = linear->weights,
                              .x = room->codes,
                              .d = d,
                              .rows = rows,
                              .alpha = 1};
    LAUNCH_OF(lane, fp8, quantize_rows, cuda_blocks(rows, ROW_WARPS), 1, .x = x,
              .codes = room->codes, .scales = room->scales,
              .rows = (unsigned)rows, .width = (unsigned)linear->in);
    return cuda_product(lane, &job) ||
           cuda_broke(lane->cuda,
                      "cuBLASLt has no product of %zu rows in e4m3 by a matrix "
                      "[%zu, %zu]",
                      rows, linear->out, linear->in);
}

static size_t scale_blocks(size_t rows, size_t width) {
    return cuda_blocks(
        cuda_blocks(rows, SCALE_ROWS) * (width / NUMBERS_AT_ONCE), ROW_THREADS);
}

/* Row ROW of X. */
static const struct narrow *row_of(const struct cuda_lane *lane,
                                   const struct linear *linear,
                                   const struct narrow *x, size_t row) {
    size_t bytes = linear->in * lane->cuda->device.narrow_bytes;
    return (const struct narrow *)((const char *)x + row * bytes);
}

static size_t at_most(size_t rows, size_t most) {
    return rows < most ? rows : most;
}

/* What is added to may not be written over by the products. */
void cuda_fp8_linear(struct cuda_lane *lane, const struct linear *linear,
                     const struct narrow *x, size_t rows,
                     enum activation activation, const float *residual,
                     float *y) {
    size_t out = linear->out;
    struct room room = room_for(lane->cuda, linear, residual == y);
    for (size_t row = 0, some; row < rows; row += some) {
        some = at_most(rows - row, room.rows);
        float *part = y + row * out, *d = room.results ? room.results : part;
        if (!multiply(lane, linear, &room, row_of(lane, linear, x, row), some,
                      true, d))
            return;
        LAUNCH_OF(lane, fp8, scale_wide, scale_blocks(some, out), 1, .x = d,
                  .row_scales = room.scales, .scales = scales_of(linear),
                  .bias = linear->bias,
                  .residual = residual ? residual + row * out : NULL, .y = part,
                  .rows = (unsigned)some, .width = (unsigned)out,
                  .activation = activation);
    }
}

/* The products are rounded to bf16 before they are scaled, which is little
 * beside what e4m3 has cost, and read and written where they lie. */
void cuda_fp8_linear_narrow(struct cuda_lane *lane, const struct linear *linear,
                            const struct narrow *x, size_t rows,
                            enum activation activation, struct narrow *y) {
    size_t bytes = linear->out * lane->cuda->device.narrow_bytes;
    struct room room = room_for(lane->cuda, linear, false);
    for (size_t row = 0, some; row < rows; row += some) {
        some = at_most(rows - row, room.rows);
        void *part = (char *)y + row * bytes;
        if (!multiply(lane, linear, &room, row_of(lane, linear, x, row), some,
                      false, part))
            return;
        LAUNCH_OF(lane, fp8, scale_narrow, scale_blocks(some, linear->out), 1,
                  .y = part, .row_scales = room.scales,
                  .scales = scales_of(linear), .bias = linear->bias,
                  .rows = (unsigned)some, .width = (unsigned)linear->out,
                  .activation = activation);
    }
}

/* ---- opening ------------------------------------------------------------ */

static bool take_room(struct cuda_device *cuda, struct error *err) {
    static const float one = 1;
    if (!cuda_take(cuda, &cuda->fp8_room, FP8_ROOM, "products in fp8 need",
                   err))
        return false;
    return CU(cuda, cuMemcpyHtoDAsync, cuda->fp8_room, &one, sizeof one,
              cuda->lane.stream) ||
           cuda_alive(cuda, err);
}

/* cuBLASLt may know no such products. */
static bool try_products(struct cuda_device *cuda, struct error *err) {
    const struct cuda_found *found = &cuda->library->found[CUDA_FOUND_BLAS];
    if (!cuda_products_try(cuda, true) && !cuda->lost)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s (%s): cuBLASLt %d.%d (%s) has no products in "
                         "fp8 for it; install a newer one, or choose bf16",
                         cuda->device.name, cuda->card.name, found->major,
                         found->minor, found->path);
    return cuda_alive(cuda, err);
}

bool cuda_fp8_open(struct cuda_device *cuda, struct error *err) {
    return cuda->device.type != NUMBER_FP8 ||
           (take_room(cuda, err) && try_products(cuda, err));
}

/* What was sent there may be under way. */
void cuda_fp8_close(struct cuda_device *cuda) {
    if (!cuda->fp8_room)
        return;
    cuda->cu->cuStreamSynchronize(cuda->lane.stream);
    cuda->cu->cuMemFree(cuda->fp8_room);
}
