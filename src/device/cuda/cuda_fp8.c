/* cuda_fp8.c - products of e4m3, where the card's type is NUMBER_FP8.
 *
 * A matrix is e4m3 with a scale for each of its rows (an output), made while it
 * is loaded: the row's greatest size becomes 448, e4m3's greatest number. What
 * it reads is made so too, a scale a row (a token). cuBLASLt multiplies the two
 * as they are, for cards before sm_90 have a scale a tensor and no other, and
 * scale_narrow or scale_wide makes numbers of the products: both scales, the
 * bias, the activation and the residual in one pass, in f32.
 *
 * What a norm, a product or a gate writes for one such matrix alone (`feeds`)
 * becomes e4m3 in that same pass, in the place of the narrow rows; the lane
 * knows it by its address until the matrix has read it. What attention writes
 * does not: a block of it has one head of a row. So a row is read and made
 * e4m3 by quantize_rows, as are those that experts gather.
 *
 * Packed: [out, in] bytes, and behind them, 64-byte aligned, [out] scales.
 *
 * Rows that quantize_rows writes, and products that may not be made in their
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

/* ---- rows --------------------------------------------------------------- */

/* Row ROW of rows of WIDTH, narrow ones or in e4m3. */
static void *row_at(const void *rows, size_t row, size_t width) {
    return (char *)(uintptr_t)rows + row * E4M3_ROW_BYTES(width);
}

/* Of rows in e4m3 the first one's scale, and how many floats on the next is. */
static const float *row_scales(const void *rows, size_t width) {
    return (const float *)(const void *)((const char *)rows + width);
}

static unsigned scales_apart(size_t width) {
    return (unsigned)(E4M3_ROW_BYTES(width) / sizeof(float));
}

/* LIST may be NULL. */
static void quantize(struct cuda_lane *lane, const struct narrow *x,
                     const uint32_t *list, size_t rows, size_t width,
                     void *codes) {
    LAUNCH_OF(lane, fp8, quantize_rows, cuda_blocks(rows, ROW_WARPS), 1, .x = x,
              .list = list, .codes = codes, .rows = (unsigned)rows,
              .width = (unsigned)width);
}

void cuda_fp8_gather(struct cuda_lane *lane, const struct narrow *x,
                     const uint32_t *list, size_t rows, size_t width,
                     struct narrow *y) {
    quantize(lane, x, list, rows, width, y);
    lane->coded = y;
}

/* ---- the room ----------------------------------------------------------- */

/* What some rows take of it. */
struct room {
    size_t rows;    /* at a time */
    void *codes;    /* in e4m3; NULL: x is in e4m3 itself */
    float *results; /* NULL: they have a place */
};

/* Pieces of y begin at multiples of 64 bytes, as y does: FP8_MULTIPLE rows. */
static struct room room_for(const struct cuda_lane *lane,
                            const struct linear *linear, const struct narrow *x,
                            bool results) {
    bool coded = x == lane->coded;
    size_t codes = coded ? 0 : E4M3_ROW_BYTES(linear->in);
    size_t row = codes + (results ? linear->out * sizeof(float) : 0);
    struct room room = {.rows = SIZE_MAX};
    char *at = (char *)cuda_pointer(lane->cuda->fp8_room) + ONE_BYTES;
    if (row)
        room.rows = (FP8_ROOM - ONE_BYTES) / row / FP8_MULTIPLE * FP8_MULTIPLE;
    if (!coded)
        room.codes = at;
    if (results)
        room.results = (float *)(void *)(at + (codes ? room.rows * codes : 0));
    return room;
}

/* ---- products ----------------------------------------------------------- */

/* CODES: rows in e4m3. */
static bool multiply(struct cuda_lane *lane, const struct linear *linear,
                     const void *codes, size_t rows, bool wide, void *d) {
    struct product_job job = {.key = {.in = linear->in,
                                      .out = linear->out,
                                      .wide = wide,
                                      .fp8 = true,
                                      .epilogue = BLAS_EPILOGUE_DEFAULT,
                                      .takes_workspace = true},
                              .weights = linear->weights,
                              .x = codes,
                              .d = d,
                              .rows = rows,
                              .alpha = 1};
    return cuda_product(lane, &job) ||
           cuda_broke(lane->cuda,
                      "cuBLASLt has no product of %zu rows in e4m3 by a matrix "
                      "[%zu, %zu]",
                      rows, linear->out, linear->in);
}

/* X in e4m3. */
static const void *codes_of(struct cuda_lane *lane, const struct linear *linear,
                            const struct room *room, const struct narrow *x,
                            size_t rows) {
    if (!room->codes)
        return x;
    quantize(lane, x, NULL, rows, linear->in, room->codes);
    return room->codes;
}

static size_t scale_blocks(size_t rows, size_t width) {
    return cuda_blocks(
        cuda_blocks(rows, SCALE_ROWS) * (width / NUMBERS_AT_ONCE), ROW_THREADS);
}

static size_t at_most(size_t rows, size_t most) {
    return rows < most ? rows : most;
}

/* What is added to may not be written over by the products. */
void cuda_fp8_linear(struct cuda_lane *lane, const struct linear *linear,
                     const struct narrow *x, size_t rows,
                     enum activation activation, const float *residual,
                     float *y) {
    size_t in = linear->in, out = linear->out;
    struct room room = room_for(lane, linear, x, residual == y);
    for (size_t row = 0, some; row < rows; row += some) {
        some = at_most(rows - row, room.rows);
        float *part = y + row * out, *d = room.results ? room.results : part;
        const void *codes =
            codes_of(lane, linear, &room, row_at(x, row, in), some);
        if (!multiply(lane, linear, codes, some, true, d))
            return;
        LAUNCH_OF(lane, fp8, scale_wide, scale_blocks(some, out), 1, .x = d,
                  .row_scales = row_scales(codes, in),
                  .stride = scales_apart(in), .scales = scales_of(linear),
                  .bias = linear->bias,
                  .residual = residual ? residual + row * out : NULL, .y = part,
                  .rows = (unsigned)some, .width = (unsigned)out,
                  .activation = activation);
    }
}

/* Products [rows, out] at Y as numbers, or as numbers in e4m3. */
static void scale(struct cuda_lane *lane, const struct linear *linear,
                  const void *codes, size_t rows, enum activation activation,
                  bool into_codes, void *y) {
    size_t in = linear->in, out = linear->out;
    if (into_codes)
        LAUNCH_BY(lane, CODE_THREADS, fp8, scale_e4m3, rows, 1, .y = y,
                  .row_scales = row_scales(codes, in),
                  .stride = scales_apart(in), .scales = scales_of(linear),
                  .bias = linear->bias, .width = (unsigned)out,
                  .activation = activation);
    else
        LAUNCH_OF(lane, fp8, scale_narrow, scale_blocks(rows, out), 1, .y = y,
                  .row_scales = row_scales(codes, in),
                  .stride = scales_apart(in), .scales = scales_of(linear),
                  .bias = linear->bias, .rows = (unsigned)rows,
                  .width = (unsigned)out, .activation = activation);
}

/* Are rows of WIDTH, of which a block has one, read by a matrix of so many
 * outputs alone, and is it e4m3? */
static bool becomes_codes(const struct cuda_device *cuda, size_t width,
                          size_t feeds) {
    return cuda_fp8_takes(cuda, width, feeds) && width <= CODE_HELD_MOST;
}

/* The products are rounded to bf16 before they are scaled, which is little
 * beside what e4m3 has cost, and read and written where they lie; a gate that
 * comes next scales them while it reads them. */
void cuda_fp8_linear_narrow(struct cuda_lane *lane, const struct linear *linear,
                            const struct narrow *x, size_t rows,
                            enum activation activation, struct narrow *y) {
    size_t in = linear->in, out = linear->out;
    struct room room = room_for(lane, linear, x, false);
    bool gate = linear->before_gate && !room.codes &&
                becomes_codes(lane->cuda, out / 2, linear->feeds);
    bool into_codes =
        !linear->before_gate && becomes_codes(lane->cuda, out, linear->feeds);
    for (size_t row = 0, some; row < rows; row += some) {
        some = at_most(rows - row, room.rows);
        void *part = row_at(y, row, out);
        const void *codes =
            codes_of(lane, linear, &room, row_at(x, row, in), some);
        if (!multiply(lane, linear, codes, some, false, part))
            return;
        if (!gate)
            scale(lane, linear, codes, some, activation, into_codes, part);
    }
    cuda_fp8_forget(lane, y);
    if (into_codes)
        lane->coded = y;
    lane->products = (struct cuda_products){gate ? y : NULL, linear, x};
}

/* ---- what becomes e4m3 as it is written --------------------------------- */

bool cuda_fp8_norm(struct cuda_lane *lane, const struct norm *norm,
                   const float *x, size_t rows, const float *residual, float *y,
                   struct narrow *z) {
    size_t width = norm->width;
    bool held = width <= WARP_WIDTH;
    if (z)
        cuda_fp8_forget(lane, z);
    if (!z || width > NORM_HELD_MOST ||
        !cuda_fp8_takes(lane->cuda, width, norm->feeds))
        return false;
    LAUNCH_OF(lane, fp8, norm_e4m3, held ? cuda_blocks(rows, ROW_WARPS) : rows,
              1, .x = x, .residual = residual, .scale = norm->scale,
              .shift = norm->shift, .y = y, .codes = (unsigned char *)z,
              .rows = (unsigned)rows, .width = (unsigned)width,
              .epsilon = norm->epsilon, .rms = norm->rms);
    lane->coded = z;
    return true;
}

bool cuda_fp8_gate(struct cuda_lane *lane, enum activation activation,
                   const struct narrow *x, size_t rows, size_t width,
                   struct narrow *y) {
    struct cuda_products from = lane->products;
    lane->products.at = NULL;
    cuda_fp8_forget(lane, y);
    if (!from.at || from.at != x)
        return false;
    LAUNCH_BY(lane, CODE_THREADS, fp8, gate_e4m3, rows, 1, .x = x,
              .codes = (unsigned char *)y,
              .row_scales = row_scales(from.x, from.linear->in),
              .stride = scales_apart(from.linear->in),
              .scales = scales_of(from.linear), .bias = from.linear->bias,
              .width = (unsigned)width, .activation = activation);
    lane->coded = y;
    return true;
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
