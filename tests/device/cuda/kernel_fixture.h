/* kernel_fixture.h - arrays that kernels work on, and where they are launched.
 *
 *     for (unsigned narrow = 0; narrow < the_narrows; narrow++) {
 *         struct array x = array_random(WIDE, rows * width, 0);
 *         struct array z = array_make(narrow, rows * width, 0);
 *         struct norm_rows_params p = {.x = x.at, .z = z.at, ...};
 *         LAUNCH(narrow, norm_rows, grid, 1, p, true, &z);
 *         const float *values = array_read(&z);
 *         ... values[i] against a double made of x.values
 *         array_free(&x), array_free(&z);
 *     }
 *
 * A place is what launches: the emulator, or a card (kernel_card.h). The
 * comparisons know only the place. Around each array lie guards that
 * array_read looks at; under AddressSanitizer there are none and the memory is
 * exactly as long as it should be, so that a read past it is seen as well.
 */

#ifndef TESTS_DEVICE_CUDA_KERNEL_FIXTURE_H
#define TESTS_DEVICE_CUDA_KERNEL_FIXTURE_H

#include "device/cuda/emulate_kernels.h"
#include "device/cuda/kernels/params.h"
#include "device/fixture.h"

#if defined __SANITIZE_ADDRESS__
#define GUARD 0
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define GUARD 0
#endif
#endif
#ifndef GUARD
#define GUARD 64
#endif

enum { GUARD_BYTE = 0xff, OUTPUTS_MAX = 2, WIDE = 0, NARROWS = 3 };

/* Numbers of a type (params.h's NARROW) where kernels reach them. */
struct array {
    unsigned type;
    size_t count, bytes;
    void *block;   /* of the place, with the guards */
    void *at;      /* of the place, past the guard and OFFSET numbers */
    float *values; /* the host's: what was put, or was read last */
    size_t lead;   /* bytes before AT */
};

struct kernel_launch {
    struct emulate_choice choice;
    const char *kernel;
    unsigned grid_x, grid_y, threads;
    size_t shared_bytes; /* dynamic */
    const void *params;
    size_t params_bytes;
    bool in_all_orders; /* of threads, where the place can choose */
    struct array *outputs[OUTPUTS_MAX];
};

struct place {
    void *(*take)(size_t bytes);
    void (*give)(void *block);
    void (*put)(void *to, const void *from, size_t bytes);
    void (*get)(void *to, const void *from, size_t bytes);
    const char *(*launch)(const struct kernel_launch *launch);
};

/* ---- the emulator ------------------------------------------------------- */

static inline void *emulator_take(size_t bytes) {
    return malloc(bytes ? bytes : 1);
}

static inline void emulator_copy(void *to, const void *from, size_t bytes) {
    memcpy(to, from, bytes);
}

struct emulator_run {
    const struct kernel_launch *launch;
    const char *wrong;
};

static inline void emulator_once(void *context) {
    struct emulator_run *run = context;
    const struct kernel_launch *l = run->launch;
    const char *wrong =
        emulate_kernel_launch(&l->choice, l->kernel, l->grid_x, l->grid_y,
                              l->threads, 0, l->params, l->params_bytes);
    if (wrong)
        run->wrong = wrong;
}

static inline const char *emulator_launch(const struct kernel_launch *l) {
    struct emulator_run run = {.launch = l};
    if (!l->in_all_orders)
        emulator_once(&run);
    for (size_t i = 0; l->in_all_orders && i < OUTPUTS_MAX; i++) {
        const struct array *out = l->outputs[i];
        const char *race =
            out ? emulate_all_orders(out->at, out->bytes, emulator_once, &run)
                : NULL;
        if (race)
            return race;
    }
    return run.wrong;
}

static const struct place EMULATOR = {emulator_take, free, emulator_copy,
                                      emulator_copy, emulator_launch};
static const struct place *the_place = &EMULATOR;
static unsigned the_narrows = NARROWS; /* types that it has, the first ones */

/* ---- arrays ------------------------------------------------------------- */

static inline struct array array_make(unsigned type, size_t count,
                                      size_t offset) {
    size_t size = emulate_narrow_bytes(type);
    struct array a = {.type = type, .count = count, .bytes = count * size};
    a.lead = GUARD + offset * size;
    size_t all = a.lead + a.bytes + GUARD;
    a.block = the_place->take(all);
    a.values = calloc(count ? count : 1, sizeof *a.values);
    unsigned char *guards = malloc(all ? all : 1);
    assert_non_null(a.block);
    assert_non_null(a.values);
    assert_non_null(guards);
    memset(guards, GUARD_BYTE, all);
    the_place->put(a.block, guards, all);
    free(guards);
    a.at = (char *)a.block + a.lead;
    return a;
}

static inline void array_free(struct array *a) {
    the_place->give(a->block);
    free(a->values);
    *a = (struct array){0};
}

/* What values become in the array's type is what they are from here on. */
static inline void array_put(struct array *a) {
    void *rounded = malloc(a->bytes ? a->bytes : 1);
    assert_non_null(rounded);
    emulate_round(a->type, a->values, a->count, rounded);
    emulate_widen(a->type, rounded, a->count, a->values);
    the_place->put(a->at, rounded, a->bytes);
    free(rounded);
}

static inline struct array array_random(unsigned type, size_t count,
                                        size_t offset) {
    struct array a = array_make(type, count, offset);
    for (size_t i = 0; i < count; i++)
        a.values[i] = random_float();
    array_put(&a);
    return a;
}

/* Unsigned numbers, which are as long as floats. */
static inline struct array array_of(const unsigned *numbers, size_t count) {
    struct array a = array_make(WIDE, count, 0);
    the_place->put(a.at, numbers, a.bytes);
    return a;
}

static inline const float *array_read(struct array *a) {
    size_t all = a->lead + a->bytes + GUARD;
    unsigned char *bytes = malloc(all ? all : 1);
    assert_non_null(bytes);
    the_place->get(bytes, a->block, all);
    for (size_t i = 0; i < a->lead; i++)
        if (bytes[i] != GUARD_BYTE)
            fail_msg("%zu bytes before an array were written", a->lead - i);
    for (size_t i = a->lead + a->bytes; i < all; i++)
        if (bytes[i] != GUARD_BYTE)
            fail_msg("byte %zu past an array of %zu was written", i - a->lead,
                     a->bytes);
    emulate_widen(a->type, bytes + a->lead, a->count, a->values);
    free(bytes);
    return a->values;
}

/* ---- launches ----------------------------------------------------------- */

static inline void launch_kernel(const struct kernel_launch *launch) {
    const char *wrong = the_place->launch(launch);
    if (wrong)
        fail_msg("%s, NARROW %u: %s", launch->kernel, launch->choice.narrow,
                 wrong);
}

/* FILE's kernel NAME on struct NAME_params P; then the arrays it writes. */
#define LAUNCH_OF(file_, type, name, x, y, threads_, p, all, ...)              \
    launch_kernel(                                                             \
        &(struct kernel_launch){.choice = {.file = file_, .narrow = type},     \
                                .kernel = #name,                               \
                                .grid_x = (unsigned)(x),                       \
                                .grid_y = (unsigned)(y),                       \
                                .threads = threads_,                           \
                                .params = &(p),                                \
                                .params_bytes = sizeof(struct name##_params),  \
                                .in_all_orders = all,                          \
                                .outputs = {__VA_ARGS__}})

/* ---- numbers ------------------------------------------------------------ */

/* The greatest relative error of a rounding to the type. */
static inline double rounding_of(unsigned type) {
    return type == 1 ? 0x1p-11 : type == 2 ? 0x1p-8 : 0x1p-24;
}

/* VALUE was computed in floats, which may be ERROR off, and rounded to TYPE.
 * What is not finite stays that. */
static inline void assert_rounded(unsigned type, double value, double exact,
                                  double error, const char *what,
                                  size_t where) {
    double least = type == 1 ? 0x1p-25 : 0x1p-149;
    if (isnan(exact) ? isnan(value) : isinf(exact) && value == exact)
        return;
    assert_near(value, exact,
                error + rounding_of(type) * (fabs(exact) + error) + least, what,
                where);
}

#endif
