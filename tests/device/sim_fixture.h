/* sim_fixture.h - simulated cards for a test, with a script. */

#ifndef TESTS_DEVICE_SIM_FIXTURE_H
#define TESTS_DEVICE_SIM_FIXTURE_H

#include "device/fixture.h"

struct sim_fixture {
    struct memory memory; /* the host's */
    struct pool *pool;
    struct device_script *script;
    struct device *device;
    struct lane *lane;
};

/* SCRIPT may be NULL. */
static inline void sim_fixture_open(struct sim_fixture *f, const char *device,
                                    const char *script) {
    struct error err = {0};
    struct device_list list;
    *f = (struct sim_fixture){0};
    f->pool = pool_create(&f->memory, 2, &err);
    if (script)
        f->script =
            device_script_read(&f->memory, str_from(script), "script", &err);
    if (!f->pool || (script && !f->script) ||
        !device_list_parse(&f->memory, device, NULL, &list, &err))
        fail_msg("%s", err.message);
    struct device_options options = {
        .memory = &f->memory, .pool = f->pool, .script = f->script};
    f->device = device_open(&list.items[0], &options, &err);
    if (!f->device)
        fail_msg("%s", err.message);
    f->lane = device_lane(f->device, 0);
    device_list_free(&f->memory, &list);
}

static inline void sim_fixture_close(struct sim_fixture *f) {
    assert_int_equal(memory_live(f->device->account), 0);
    device_close(f->device);
    device_script_free(f->script);
    pool_free(f->pool);
    assert_int_equal(memory_live(&f->memory), 0);
}

static inline uint64_t free_on(struct device *device) {
    uint64_t bytes = 0;
    struct error err = {0};
    if (!device_bytes_free(device, &bytes, &err))
        fail_msg("%s", err.message);
    return bytes;
}

static inline void submits(struct sim_fixture *f, size_t count) {
    struct error err = {0};
    for (size_t i = 0; i < count; i++)
        if (!device_submit(f->lane, &err))
            fail_msg("submit %zu: %s", i + 1, err.message);
}

/* A block of few real bytes that is charged as CHARGE. */
static inline void *block(struct sim_fixture *f, uint64_t charge) {
    struct error err = {0};
    void *taken = device_alloc(f->device, 100, charge, NULL, &err);
    if (!taken)
        fail_msg("%s", err.message);
    return taken;
}

static inline void no_block(struct sim_fixture *f, uint64_t charge,
                            const char *in_message) {
    struct error err = {0};
    uint64_t host = memory_live(&f->memory);
    assert_null(device_alloc(f->device, 100, charge, NULL, &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    if (!strstr(err.message, f->device->name) ||
        !strstr(err.message, in_message))
        fail_msg("%s", err.message);
    assert_int_equal(memory_live(&f->memory), host);
}

#endif
