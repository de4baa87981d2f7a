/* The device itself: opening, choosing, facts, lanes, and that no verb takes
 * memory. */

#include "device/fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device/cpu/facts.h"

static void refused(const char *name, const char *isa, const char *in_message) {
    struct fixture f;
    struct error err = {0};
    fixture_open(&f, NULL, 1);
    struct device_options options = {
        .memory = &f.memory, .pool = f.pool, .isa = isa};
    struct device_name wanted = {.storage_bytes = 4};
    snprintf(wanted.name, sizeof wanted.name, "%s", name);
    assert_null(device_open(&wanted, &options, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.message, isa ? isa : name));
    assert_non_null(strstr(err.message, in_message));
    fixture_close(&f);
}

static void what_is_not_there_is_refused_with_what_is(void **state) {
    (void)state;
    refused("npu:0", NULL, "cpu");
    refused("", NULL, "cpu");
    refused("cpu", "avx1024", "generic");
}

static size_t check_isas(enum number_type type) {
    const char *isa, *last = "";
    size_t count = 0;
    for (; (isa = device_isa(type, count)); count++, last = isa) {
        struct fixture f;
        struct device_facts facts;
        fixture_open_type(&f, type, isa, 2);
        assert_true(device_facts(f.device, &facts, NULL));
        assert_string_equal(facts.isa, isa);
        assert_string_equal(facts.name, "cpu");
        assert_int_equal(facts.threads, 2);
        assert_int_equal(f.device->lanes, 2);
        assert_int_equal(f.device->type, type ? type : NUMBER_F32);
        assert_true(f.device->narrow_is_float);
        assert_true(facts.bytes_free > 0);
        assert_true(facts.bytes_free <= facts.bytes_total);
        assert_int_equal(device_lane(f.device, 1)->number, 1);
        assert_true(device_finish(device_lane(f.device, 1), NULL));
        fixture_close(&f);
    }
    assert_string_equal(last, "generic");
    return count;
}

static void each_isa_opens_and_says_its_name(void **state) {
    (void)state;
    size_t floats = check_isas(NUMBER_DEFAULT);
    assert_int_equal(check_isas(NUMBER_F32), floats);
    assert_true(check_isas(NUMBER_INT8) >= floats);
    assert_true(check_isas(NUMBER_BF16) >= floats);
}

static void too_low_a_ceiling_is_an_error(void **state) {
    (void)state;
    struct error err = {0};
    struct memory memory = {0};
    struct pool *pool = pool_create(&memory, 2, &err);
    memory.ceiling = memory_live(&memory) + 100000;
    struct device_options options = {.memory = &memory, .pool = pool};
    assert_null(device_open(&DEVICE_CPU, &options, &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    pool_free(pool);
    assert_int_equal(memory_live(&memory), 0);
}

/* Each verb once, on a wide and a narrow lane. */
static void all_verbs(struct fixture *f, bool wide) {
    enum { ROWS = 200, WIDTH = 96 };
    static const uint32_t STARTS[] = {0, 150, ROWS};
    struct sequences sequences = {.texts = 2, .starts = STARTS};
    struct lane *lane = device_lane(f->device, 0);
    float *x = floats(ROWS * 3 * WIDTH), *y = floats(ROWS * 3 * WIDTH);
    float *weights = floats(3 * WIDTH * WIDTH);
    uint32_t ids[ROWS] = {0};
    void *packed = packed_of(f, weights, WIDTH, 3 * WIDTH);
    struct attention attention = {.heads = 3,
                                  .kv_heads = 3,
                                  .head_dim = 32,
                                  .scale = 0.1f,
                                  .behind = SIZE_MAX,
                                  .ahead = SIZE_MAX,
                                  .rotary = {32, 150, weights, weights, false}};
    void *scratch = malloc(device_attention_bytes(f->device, &attention, 150));
    struct embedding embedding = {
        .width = WIDTH, .vocab = 1, .words = weights, .scale = 1};
    struct norm norm = {WIDTH, weights, NULL, 1e-12f, false, 0};
    struct linear linear = {
        .in = WIDTH, .out = 3 * WIDTH, .weights = packed, .bias = weights};
    struct linear up[2], down[2];
    for (size_t i = 0; i < 2; i++)
        up[i] = down[i] =
            (struct linear){.in = WIDTH, .out = WIDTH, .weights = packed};
    struct experts experts = {
        .count = 2,
        .chosen = 1,
        .router = {.in = WIDTH, .out = 2, .weights = packed},
        .up = up,
        .down = down};
    void *work =
        aligned_alloc(64, device_experts_bytes(f->device, &experts, ROWS));
    assert_non_null(scratch);
    assert_non_null(work);
    lane_widen(lane, wide);
    uint64_t before = f->memory.allocations;
    device_embed(lane, &embedding, ids, &sequences, x);
    device_norm(lane, &norm, x, ROWS, NULL, x, NULL);
    device_linear(lane, &linear, narrow_of(x), ROWS, ACTIVATION_GELU, NULL, y);
    device_norm_heads(lane, &norm, narrow_of(y), ROWS, 3 * WIDTH, 1);
    device_rotate(lane, &attention, &sequences, narrow_of(y));
    device_attention(lane, &attention, &sequences, narrow_of(y), scratch,
                     narrow_of(x));
    device_experts(lane, &experts, narrow_of(x), ROWS, NULL, work, y);
    device_gate(lane, ACTIVATION_SILU, narrow_of(y), ROWS / 2, WIDTH,
                narrow_of(x));
    device_accumulate(lane, ACCUMULATE_SUM, x, ROWS, WIDTH, true, y, NULL);
    device_pool(lane, POOLING_MEAN, &sequences, x, WIDTH, y, WIDTH);
    device_normalize(lane, y, 2, WIDTH);
    assert_int_equal(f->memory.allocations, before);
    lane_widen(lane, false);
    free(x);
    free(y);
    free(weights);
    free(packed);
    free(scratch);
    free(work);
}

static void narrow_and_wide(struct fixture *f) {
    all_verbs(f, false);
    all_verbs(f, true);
}

static void no_verb_takes_memory(void **state) {
    (void)state;
    on_each_isa(narrow_and_wide);
}

/* A root folder with files of /proc and /sys. */
struct fake {
    char root[64];
};

static void put(struct fake *fake, const char *path, const char *text) {
    char whole[256];
    snprintf(whole, sizeof whole, "%s%s", fake->root, path);
    for (char *c = whole + strlen(fake->root) + 1; *c; c++)
        if (*c == '/') {
            *c = '\0';
            mkdir(whole, 0777);
            *c = '/';
        }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct fake fake_make(const char *groups) {
    struct fake fake = {"/tmp/ensembed-facts-XXXXXX"};
    assert_non_null(mkdtemp(fake.root));
    put(&fake, "/proc/meminfo",
        "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:   600 kB\n");
    put(&fake, "/proc/self/cgroup", groups);
    return fake;
}

static void expect(struct fake *fake, uint64_t total, uint64_t available) {
    uint64_t bytes_total = 0, bytes_free = 0;
    struct error err = {0};
    if (!cpu_memory(fake->root, &bytes_total, &bytes_free, &err))
        fail_msg("%s", err.message);
    assert_int_equal(bytes_total, total);
    assert_int_equal(bytes_free, available);
}

static void drop(struct fake *fake) {
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", fake->root);
    assert_int_equal(system(command), 0);
}

static void control_groups_lower_the_memory(void **state) {
    (void)state;
    struct fake none = fake_make("0::/\n");
    expect(&none, 1000 * 1024, 600 * 1024);
    put(&none, "/sys/fs/cgroup/memory.max", "max\n");
    put(&none, "/sys/fs/cgroup/memory.current", "5000\n");
    expect(&none, 1000 * 1024, 600 * 1024);
    put(&none, "/sys/fs/cgroup/memory.max", "500000\n");
    expect(&none, 500000, 495000);
    drop(&none);

    /* Version 2: the parent's limit is the lower one; its cache counts. */
    struct fake two = fake_make("0::/a/b\n");
    put(&two, "/sys/fs/cgroup/a/b/memory.max", "400000\n");
    put(&two, "/sys/fs/cgroup/a/b/memory.current", "1000\n");
    put(&two, "/sys/fs/cgroup/a/memory.max", "300000\n");
    put(&two, "/sys/fs/cgroup/a/memory.current", "250000\n");
    expect(&two, 300000, 50000);
    put(&two, "/sys/fs/cgroup/a/memory.stat",
        "anon 7\nactive_file 9\ninactive_file 20000\n");
    expect(&two, 300000, 70000);
    put(&two, "/sys/fs/cgroup/a/memory.current", "350000\n");
    expect(&two, 300000, 0);
    /* Past memory.high a process is slowed down: nobody should go there. */
    put(&two, "/sys/fs/cgroup/a/memory.current", "250000\n");
    put(&two, "/sys/fs/cgroup/a/memory.high", "290000\n");
    expect(&two, 290000, 60000);
    put(&two, "/sys/fs/cgroup/a/memory.max", "max\n");
    expect(&two, 290000, 60000);
    put(&two, "/sys/fs/cgroup/a/memory.high", "max\n");
    expect(&two, 400000, 399000);
    drop(&two);

    /* Version 1, nested: the group above has the lower limit. */
    struct fake nested = fake_make("4:cpu,memory:/a/b\n0::/\n");
    put(&nested, "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "400000\n");
    put(&nested, "/sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", "1000\n");
    put(&nested, "/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "300000\n");
    put(&nested, "/sys/fs/cgroup/memory/a/memory.usage_in_bytes", "250000\n");
    put(&nested, "/sys/fs/cgroup/memory/a/memory.high", "7\n");
    expect(&nested, 300000, 50000);
    drop(&nested);

    /* Version 1, in a container that sees its own group at the top. */
    struct fake one =
        fake_make("9:name=systemd:/\n4:memory:/outside/x\n0::/\n");
    put(&one, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "200000\n");
    put(&one, "/sys/fs/cgroup/memory/memory.usage_in_bytes", "50000\n");
    put(&one, "/sys/fs/cgroup/memory/memory.stat",
        "cache 1\ninactive_file 2\ntotal_inactive_file 3000\n");
    expect(&one, 200000, 153000);
    put(&one, "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "9223372036854771712\n");
    expect(&one, 1000 * 1024, 600 * 1024);
    drop(&one);
}

/* As many files are open as may be, but for SPARE. */
struct crowd {
    int fds[64];
    int count;
};

static void crowd_in(struct crowd *crowd, int spare) {
    struct rlimit few = {.rlim_cur = 40, .rlim_max = 40};
    struct rlimit now;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    few.rlim_max = now.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    crowd->count = 0;
    for (int fd; (fd = open("/dev/null", O_RDONLY)) >= 0;)
        crowd->fds[crowd->count++] = fd;
    for (; spare > 0; spare--)
        close(crowd->fds[--crowd->count]);
}

static void *leave_soon(void *context) {
    struct crowd *crowd = context;
    usleep(30 * 1000);
    while (crowd->count > 0)
        close(crowd->fds[--crowd->count]);
    return NULL;
}

/* For some milliseconds no file can be opened, or the list of groups and none
 * of theirs: neither ends a run, nor has it more memory than its group. */
static void what_cannot_be_opened_for_a_moment_is_read_later(void **state) {
    (void)state;
    struct fake fake = fake_make("0::/\n");
    put(&fake, "/sys/fs/cgroup/memory.max", "500000\n");
    put(&fake, "/sys/fs/cgroup/memory.current", "5000\n");
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (int spare = 0; spare < 3; spare++) {
        struct crowd crowd;
        pthread_t thread;
        crowd_in(&crowd, spare);
        assert_int_equal(pthread_create(&thread, NULL, leave_soon, &crowd), 0);
        expect(&fake, 500000, 495000);
        pthread_join(thread, NULL);
    }
    struct crowd crowd;
    struct error err = {0};
    uint64_t total, available;
    crowd_in(&crowd, 1);
    assert_false(cpu_memory(fake.root, &total, &available, &err));
    leave_soon(&crowd);
    assert_int_equal(err.code, ERROR_IO);
    assert_non_null(strstr(err.message, "/sys/fs/cgroup: too many open files"));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    drop(&fake);
}

static void a_machine_without_proc_is_an_error(void **state) {
    (void)state;
    uint64_t total, available;
    struct error err = {0};
    assert_false(cpu_memory("/nowhere", &total, &available, &err));
    assert_int_equal(err.code, ERROR_IO);
    assert_non_null(strstr(err.message, "have /proc mounted"));
    char name[32];
    cpu_model("/nowhere", name, sizeof name);
    assert_string_equal(name, "unknown");
}

static void the_processor_has_a_name(void **state) {
    (void)state;
    struct fake fake = fake_make("0::/\n");
    char name[32];
    put(&fake, "/proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU 9\n");
    cpu_model(fake.root, name, sizeof name);
    assert_string_equal(name, "Some CPU 9");
    drop(&fake);
}

/* As Linux writes it on aarch64. */
static void a_processor_without_a_name_has_numbers(void **state) {
    (void)state;
    struct fake fake = fake_make("0::/\n");
    char name[64];
    put(&fake, "/proc/cpuinfo",
        "processor\t: 0\nBogoMIPS\t: 50.00\n"
        "Features\t: fp asimd evtstrm\nCPU implementer\t: 0x41\n"
        "CPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\n"
        "CPU revision\t: 1\n\nprocessor\t: 1\nCPU implementer\t: 0x42\n"
        "CPU part\t: 0xd0d\n");
    cpu_model(fake.root, name, sizeof name);
    assert_string_equal(name, "ARM, implementer 0x41, part 0xd0c");
    put(&fake, "/proc/cpuinfo", "processor\t: 0\nCPU part\t: 0xd0c\n");
    cpu_model(fake.root, name, sizeof name);
    assert_string_equal(name, "unknown");
    drop(&fake);
}

/* starts[0] may be anything: rows count from there. */
static void texts_may_lie_within_a_batch(void **state) {
    (void)state;
    enum { WIDTH = 8, ROWS = 5000, ROW = 3 * WIDTH, ALL = ROWS * ROW };
    static const uint32_t from_0[] = {0, 1500, 1501, ROWS},
                          within[] = {30, 1530, 1531, ROWS + 30};
    static uint32_t ids[ROWS];
    struct fixture f;
    fixture_open(&f, NULL, THREADS);
    struct lane *lane = device_lane(f.device, 0);
    for (uint32_t i = 0; i < ROWS; i++)
        ids[i] = i * 7 % 4;
    float *table = floats(ALL), *x = floats(ALL), *context = floats(2 * ALL);
    float *rows = floats(2 * ALL), *turned = floats(2 * ALL);
    float *pooled = floats(2 * ALL);
    struct embedding embedding = {.width = WIDTH,
                                  .vocab = 4,
                                  .words = table,
                                  .position = table,
                                  .positions = ROWS,
                                  .scale = 1};
    struct attention attention = {
        .heads = 1,
        .kv_heads = 1,
        .head_dim = WIDTH,
        .scale = 1,
        .behind = SIZE_MAX,
        .ahead = SIZE_MAX,
        .rotary = {
            .dims = WIDTH, .positions = ROWS, .cosine = table, .sine = x}};
    void *scratch =
        aligned_alloc(64, device_attention_bytes(f.device, &attention, ROWS));
    for (int wide = 0; wide < 2; wide++)
        for (int at = 0; at < 2; at++) {
            struct sequences texts = {.texts = 3,
                                      .starts = at ? within : from_0};
            float *to = turned + at * ALL;
            assert_int_equal(sequences_rows(&texts), ROWS);
            lane_widen(lane, wide);
            device_group(lane, &texts, ids);
            device_embed(lane, &embedding, ids, &texts, rows + at * ALL);
            memcpy(to, x, ALL * sizeof *x);
            device_rotate(lane, &attention, &texts, narrow_of(to));
            device_attention(lane, &attention, &texts, narrow_of(to), scratch,
                             narrow_of(context + at * ALL));
            device_pool(lane, POOLING_MEAN, &texts, x, WIDTH, pooled + at * ALL,
                        WIDTH);
            lane_widen(lane, false);
        }
    assert_same_bits(rows, rows + ALL, ROWS * WIDTH, "embed");
    assert_same_bits(turned, turned + ALL, ALL, "rotate");
    assert_same_bits(context, context + ALL, ROWS * WIDTH, "attention");
    assert_same_bits(pooled, pooled + ALL, 3 * WIDTH, "pool");
    free(scratch);
    free(table);
    free(x);
    free(context);
    free(rows);
    free(turned);
    free(pooled);
    fixture_close(&f);
}

/* As it is, rounded, or both, which may be one. */
static void a_norm_writes_what_is_asked(void **state) {
    (void)state;
    enum { WIDTH = 12, ROWS = 4000, ALL = WIDTH * ROWS };
    struct fixture f;
    fixture_open(&f, NULL, THREADS);
    struct lane *lane = device_lane(f.device, 0);
    float *x = floats(ALL), *y = floats(ALL), *z = floats(ALL);
    float *want = floats(ALL);
    struct norm norm = {.width = WIDTH, .scale = x, .epsilon = 1e-5f};
    device_norm(lane, &norm, x, ROWS, x, want, NULL);
    device_norm(lane, &norm, x, ROWS, x, NULL, narrow_of(z));
    assert_same_bits(z, want, ALL, "rounded");
    for (int wide = 0; wide < 2; wide++) {
        memset(y, 0xff, ALL * sizeof *y);
        memset(z, 0xff, ALL * sizeof *z);
        lane_widen(lane, wide);
        device_norm(lane, &norm, x, ROWS, x, y, narrow_of(z));
        lane_widen(lane, false);
        assert_same_bits(y, want, ALL, "both, as it is");
        assert_same_bits(z, want, ALL, "both, rounded");
    }
    norm.scale = NULL;
    device_norm(lane, &norm, x, ROWS, NULL, want, NULL);
    device_norm(lane, &norm, x, ROWS, NULL, x, narrow_of(x));
    assert_same_bits(x, want, ALL, "both in one");
    free(x);
    free(y);
    free(z);
    free(want);
    fixture_close(&f);
}

static void blocks_are_rounded_as_the_device_says(void **state) {
    (void)state;
    struct device device = {.block_multiple = 0};
    assert_int_equal(device_block_bytes(&device, 1000),
                     memory_block_bytes(1000));
    device.block_multiple = 2 << 20;
    assert_int_equal(device_block_bytes(&device, 0), 0);
    assert_int_equal(device_block_bytes(&device, 1), 2 << 20);
    assert_int_equal(device_block_bytes(&device, 2 << 20), 2 << 20);
    assert_int_equal(device_block_bytes(&device, (2 << 20) + 1), 4 << 20);
    assert_true(device_block_bytes(&device, UINT64_MAX - 1) == UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_there_is_refused_with_what_is),
        cmocka_unit_test(each_isa_opens_and_says_its_name),
        cmocka_unit_test(too_low_a_ceiling_is_an_error),
        cmocka_unit_test(no_verb_takes_memory),
        cmocka_unit_test(texts_may_lie_within_a_batch),
        cmocka_unit_test(a_norm_writes_what_is_asked),
        cmocka_unit_test(blocks_are_rounded_as_the_device_says),
        cmocka_unit_test(control_groups_lower_the_memory),
        cmocka_unit_test(what_cannot_be_opened_for_a_moment_is_read_later),
        cmocka_unit_test(a_machine_without_proc_is_an_error),
        cmocka_unit_test(the_processor_has_a_name),
        cmocka_unit_test(a_processor_without_a_name_has_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
