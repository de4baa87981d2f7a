/* A simulated card computes what the CPU computes, bit for bit: every verb, on
 * narrow and wide lanes, alone and with two cards and the CPU at once. */

#include "device/sim_fixture.h"

#include <pthread.h>

#include "device/cpu/cpu.h"
#include "device/sim/sim.h"

enum {
    WIDTH = 96,
    HEADS = 3,
    TEXTS = 3,
    ROWS = 200,
    VOCAB = 50,
    PARTS = 9, /* results that are looked at, each of ROWS x 3 WIDTH at most */
    PART = ROWS * 3 * WIDTH,
};

static const uint32_t STARTS[TEXTS + 1] = {0, 1, 150, ROWS};

/* Host data that all devices get. */
struct input {
    float *words, *weights, *bias, *scale;
    uint32_t ids[ROWS];
};

static struct input input_make(void) {
    struct input in = {.words = floats(VOCAB * WIDTH),
                       .weights = floats(3 * WIDTH * WIDTH),
                       .bias = floats(3 * WIDTH),
                       .scale = floats(WIDTH)};
    for (uint32_t i = 0; i < ROWS; i++)
        in.ids[i] = i * 7 % VOCAB;
    return in;
}

static void input_free(struct input *in) {
    free(in->words);
    free(in->weights);
    free(in->bias);
    free(in->scale);
}

/* COUNT floats there; uploaded where FROM is not NULL. */
static float *there(struct device *d, const float *from, size_t count) {
    size_t bytes = count * sizeof *from;
    float *block = device_alloc(d, bytes, bytes, NULL, NULL);
    assert_non_null(block);
    if (from) {
        device_upload(d, block, from, bytes);
        assert_true(device_upload_wait(d, NULL));
    }
    return block;
}

struct on_device {
    float *words, *bias, *scale, *x, *y, *z;
    void *packed, *scratch, *work;
};

/* Two experts of the first rows of the one matrix; the router is of its last.
 */
static struct experts experts_of(struct linear *linears, const void *packed) {
    linears[0] = linears[1] =
        (struct linear){.in = WIDTH, .out = WIDTH, .weights = packed};
    return (struct experts){
        .count = 2,
        .chosen = 1,
        .router = {.in = WIDTH, .out = 2, .weights = packed},
        .up = linears,
        .down = linears,
        .activation = ACTIVATION_TANH};
}

static struct on_device place(struct device *d, const struct input *in,
                              const struct attention *attention) {
    struct linear linears[2];
    struct experts experts = experts_of(linears, NULL);
    struct on_device on = {.words = there(d, in->words, VOCAB * WIDTH),
                           .bias = there(d, in->bias, 3 * WIDTH),
                           .scale = there(d, in->scale, WIDTH),
                           .x = there(d, NULL, PART),
                           .y = there(d, NULL, PART),
                           .z = there(d, NULL, PART)};
    on.packed = device_alloc(d, device_linear_bytes(d, WIDTH, 3 * WIDTH), 7,
                             NULL, NULL);
    on.scratch = device_alloc(d, device_attention_bytes(d, attention, 149), 7,
                              NULL, NULL);
    on.work =
        device_alloc(d, device_experts_bytes(d, &experts, ROWS), 7, NULL, NULL);
    assert_non_null(on.work);
    assert_non_null(on.packed);
    assert_non_null(on.scratch);
    device_linear_pack(d, in->weights, WIDTH, 3 * WIDTH, 0, 3 * WIDTH,
                       on.packed);
    return on;
}

static void take_away(struct device *d, struct on_device *on) {
    device_release(d, on->words);
    device_release(d, on->bias);
    device_release(d, on->scale);
    device_release(d, on->x);
    device_release(d, on->y);
    device_release(d, on->z);
    device_release(d, on->packed);
    device_release(d, on->scratch);
    device_release(d, on->work);
}

/* All verbs, one after another; what each wrote into OUT. */
static void compute(struct device *d, unsigned number, bool wide,
                    const struct input *in, float *out /* [PARTS, PART] */) {
    struct lane *lane = device_lane(d, number);
    struct sequences sequences = {.texts = TEXTS, .starts = STARTS};
    struct attention attention = {.heads = HEADS,
                                  .kv_heads = HEADS,
                                  .head_dim = WIDTH / HEADS,
                                  .scale = 0.17f,
                                  .behind = SIZE_MAX,
                                  .ahead = SIZE_MAX};
    struct on_device on = place(d, in, &attention);
    struct embedding embedding = {
        .width = WIDTH, .vocab = VOCAB, .words = on.words, .scale = 1};
    struct norm norm = {WIDTH, on.scale, on.bias, 1e-5f, false, 0};
    struct linear linear = {
        .in = WIDTH, .out = 3 * WIDTH, .weights = on.packed, .bias = on.bias};
    struct linear linears[2];
    struct experts experts = experts_of(linears, on.packed);
    attention.rotary =
        (struct rotary){8, VOCAB * WIDTH / 4, on.words, on.words, false};
    struct norm heads = {WIDTH / HEADS, on.scale, NULL, 1e-5f, true, 0};
    struct error err = {0};
    memset(out, 0, sizeof *out * PARTS * PART);
    if (!device_submit(lane, &err))
        fail_msg("%s", err.message);
    lane_widen(lane, wide);
    device_group(lane, &sequences, in->ids);
    device_embed(lane, &embedding, in->ids, &sequences, on.x);
    device_download(lane, on.x, ROWS * WIDTH, out);
    device_norm(lane, &norm, on.x, ROWS, NULL, on.x, NULL);
    device_download(lane, on.x, ROWS * WIDTH, out + PART);
    device_linear(lane, &linear, narrow_of(on.x), ROWS, ACTIVATION_GELU, NULL,
                  on.y);
    device_download(lane, on.y, PART, out + 2 * PART);
    device_norm_heads(lane, &heads, narrow_of(on.y), ROWS, 3 * WIDTH, HEADS);
    device_download(lane, on.y, PART, out + 5 * PART);
    device_rotate(lane, &attention, &sequences, narrow_of(on.y));
    device_download(lane, on.y, PART, out + 6 * PART);
    device_attention(lane, &attention, &sequences, narrow_of(on.y), on.scratch,
                     narrow_of(on.z));
    device_download(lane, on.z, ROWS * WIDTH, out + 3 * PART);
    device_experts(lane, &experts, narrow_of(on.z), ROWS, on.x, on.work, on.y);
    device_gate(lane, ACTIVATION_SILU, narrow_of(on.y), ROWS / 2, WIDTH,
                narrow_of(on.x));
    device_download(lane, on.x, ROWS / 2 * WIDTH, out + 7 * PART);
    device_accumulate(lane, ACCUMULATE_SUM_LOG1P, on.z, ROWS, WIDTH, true, on.x,
                      NULL);
    device_download(lane, on.x, WIDTH, out + 8 * PART);
    device_pool(lane, POOLING_MEAN, &sequences, on.z, WIDTH, on.x, WIDTH);
    device_normalize(lane, on.x, TEXTS, WIDTH);
    device_download(lane, on.x, TEXTS * WIDTH, out + 4 * PART);
    lane_widen(lane, false);
    if (!device_finish(lane, &err))
        fail_msg("%s", err.message);
    take_away(d, &on);
}

static void assert_computed(const float *out) {
    for (size_t p = 0; p < PARTS; p++)
        if (out[p * PART] == 0 || !isfinite(out[p * PART]))
            fail_msg("part %zu begins with %g", p, (double)out[p * PART]);
}

static void every_verb_gives_the_bits_of_the_cpu(void **state) {
    (void)state;
    struct input in = input_make();
    float *expected = floats(PARTS * PART), *out = floats(PARTS * PART);
    struct sim_fixture cpu, sim;
    sim_fixture_open(&cpu, "cpu", NULL);
    sim_fixture_open(&sim, "sim:a=100MB", NULL);
    compute(cpu.device, 0, false, &in, expected);
    assert_computed(expected);
    for (unsigned number = 0; number < 2; number++)
        for (int wide = 0; wide < 2 - (int)number; wide++) {
            compute(sim.device, number, wide != 0, &in, out);
            assert_same_bits(out, expected, PARTS * PART, "sim and cpu");
        }
    device_close(cpu.device);
    pool_free(cpu.pool);
    assert_int_equal(memory_live(&cpu.memory), 0);
    sim_fixture_close(&sim);
    input_free(&in);
    free(expected);
    free(out);
}

static void no_verb_takes_memory(void **state) {
    (void)state;
    struct sim_fixture sim;
    float x[WIDTH] = {1, 2, 3}, y[WIDTH];
    struct norm norm = {WIDTH, x, x, 1e-5f, false, 0};
    sim_fixture_open(&sim, "sim:a=100MB", NULL);
    uint64_t before = sim.memory.allocations;
    submits(&sim, 1);
    device_norm(sim.lane, &norm, x, 1, NULL, y, NULL);
    device_normalize(sim.lane, y, 1, WIDTH);
    device_download(sim.lane, y, WIDTH, x);
    assert_true(device_finish(sim.lane, NULL));
    (void)free_on(sim.device);
    assert_int_equal(sim.memory.allocations, before);
    sim_fixture_close(&sim);
}

/* Bits do not show it: the width of a lane reaches the CPU's. */
static void a_wide_lane_is_wide(void **state) {
    (void)state;
    struct sim_fixture sim;
    sim_fixture_open(&sim, "sim:a=1MB", NULL);
    struct lane *inner = ((struct sim_lane *)sim.lane)->inner;
    for (int wide = 1; wide >= 0; wide--) {
        lane_widen(sim.lane, wide != 0);
        assert_int_equal(((struct cpu_lane *)inner)->wide, wide);
    }
    sim_fixture_close(&sim);
}

/* A device that a thread of its own drives. */
struct driver {
    struct sim_fixture f;
    const struct input *in;
    const float *expected;
    float *out;
    size_t wrong;
};

enum { TIMES = 4 };

static void *drive(void *context) {
    struct driver *driver = context;
    for (int i = 0; i < TIMES; i++) {
        compute(driver->f.device, 0, i % 2 == 1, driver->in, driver->out);
        if (memcmp(driver->out, driver->expected,
                   sizeof *driver->out * PARTS * PART) != 0)
            driver->wrong++;
    }
    return NULL;
}

static void cards_and_the_cpu_compute_side_by_side(void **state) {
    (void)state;
    enum { DRIVERS = 3 };
    static const char *const NAMES[DRIVERS] = {"sim:t4-0", "sim:t4-1", "cpu"};
    struct input in = input_make();
    float *expected = floats(PARTS * PART);
    struct driver drivers[DRIVERS] = {0};
    pthread_t threads[DRIVERS];
    for (size_t i = 0; i < DRIVERS; i++) {
        sim_fixture_open(&drivers[i].f, NAMES[i], NULL);
        drivers[i].in = &in;
        drivers[i].expected = expected;
        drivers[i].out = floats(PARTS * PART);
    }
    compute(drivers[2].f.device, 0, false, &in, expected);
    for (size_t i = 0; i < DRIVERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, drive, &drivers[i]),
                         0);
    /* Somebody else asks meanwhile. */
    for (int i = 0; i < 200; i++) {
        void *taken = device_alloc(drivers[0].f.device, 8, 1000, NULL, NULL);
        assert_non_null(taken);
        (void)free_on(drivers[1].f.device);
        device_release(drivers[0].f.device, taken);
    }
    for (size_t i = 0; i < DRIVERS; i++) {
        struct device_facts facts;
        pthread_join(threads[i], NULL);
        assert_int_equal(drivers[i].wrong, 0);
        assert_true(device_facts(drivers[i].f.device, &facts, NULL));
        assert_int_equal(facts.submits, TIMES + (i == 2));
        device_close(drivers[i].f.device);
        pool_free(drivers[i].f.pool);
        assert_int_equal(memory_live(&drivers[i].f.memory), 0);
        free(drivers[i].out);
    }
    input_free(&in);
    free(expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verb_gives_the_bits_of_the_cpu),
        cmocka_unit_test(no_verb_takes_memory),
        cmocka_unit_test(a_wide_lane_is_wide),
        cmocka_unit_test(cards_and_the_cpu_compute_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
