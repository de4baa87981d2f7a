/* Random life on a simulated card, against its definition written plainly:
 * a stranger that takes every byte as soon as it is free, a submit counter,
 * and what we hold. Then several threads at once, where only the bounds are
 * known. */

#include "device/sim_fixture.h"

#include <pthread.h>

#include "device/sim/sim.h"

enum { CAPACITY = 10000, CEILING = 8000, SUBMITS = 400, SLOTS = 8 };

static uint64_t below(uint64_t *state, uint64_t limit) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state % limit;
}

/* What happens at each submit; at most one action. */
struct scene {
    bool takes[SUBMITS + 1];
    uint64_t bytes[SUBMITS + 1]; /* 0: nothing happens */
    bool refused[SUBMITS + 1];
    char script[SUBMITS * 90];
};

static void make(struct scene *s, uint64_t *state) {
    *s = (struct scene){0};
    size_t size = 0;
    for (int at = 0; at <= SUBMITS; at++) {
        uint64_t what = below(state, 6);
        if (what > 2)
            continue;
        char action[64];
        s->refused[at] = what == 2 && at > 0;
        s->takes[at] = what == 0;
        s->bytes[at] = what < 2 ? 1 + below(state, CAPACITY) : 0;
        if (what < 2)
            snprintf(action, sizeof action, "\"%s_bytes\": %d",
                     what == 0 ? "take" : "give", (int)s->bytes[at]);
        else
            snprintf(action, sizeof action, "\"fail\": \"alloc\"");
        if (what < 2 || at > 0)
            size += (size_t)snprintf(
                s->script + size, sizeof s->script - size,
                "{\"device\": \"sim:a\", \"at_submit\": %d, %s}\n", at, action);
    }
}

/* The definition. */
struct model {
    uint64_t ours, stranger, wanted, peak;
};

static void settle(struct model *m) {
    while (m->wanted && m->ours + m->stranger < CAPACITY) {
        m->stranger++;
        m->wanted--;
    }
    m->peak = m->ours > m->peak ? m->ours : m->peak;
}

static void happen(struct model *m, const struct scene *s, size_t at) {
    for (uint64_t i = 0; i < s->bytes[at]; i++) {
        if (s->takes[at])
            m->wanted++;
        else if (m->wanted)
            m->wanted--;
        else if (m->stranger)
            m->stranger--;
    }
    settle(m);
}

struct life {
    struct sim_fixture f;
    struct model model;
    struct scene *scene;
    size_t submits;
    void *blocks[SLOTS];
    uint64_t charges[SLOTS];
};

static void live_a_step(struct life *life, uint64_t *state) {
    struct model *m = &life->model;
    size_t slot = below(state, SLOTS);
    if (below(state, 4) == 0 && life->submits < SUBMITS) {
        life->submits++;
        happen(m, life->scene, life->submits);
        assert_int_equal(device_submit(life->f.lane, NULL),
                         !life->scene->refused[life->submits]);
    } else if (life->blocks[slot]) {
        device_release(life->f.device, life->blocks[slot]);
        life->blocks[slot] = NULL;
        m->ours -= life->charges[slot];
        settle(m);
    } else {
        uint64_t charge = below(state, CAPACITY / 2);
        bool room = m->ours + m->stranger + charge <= CAPACITY &&
                    m->ours + charge <= CEILING;
        life->blocks[slot] =
            device_alloc(life->f.device, 10, charge, NULL, NULL);
        life->charges[slot] = charge;
        assert_int_equal(life->blocks[slot] != NULL, room);
        m->ours += room ? charge : 0;
        settle(m);
    }
    assert_int_equal(free_on(life->f.device), CAPACITY - m->ours - m->stranger);
    assert_int_equal(memory_live(life->f.device->account), m->ours);
    assert_int_equal(memory_peak(life->f.device->account), m->peak);
}

static void a_card_is_what_its_definition_says(void **state) {
    (void)state;
    static struct scene scene;
    uint64_t random = 99;
    for (int round = 0; round < 25; round++) {
        make(&scene, &random);
        struct life life = {.scene = &scene};
        sim_fixture_open(&life.f, "sim:a=10000", scene.script);
        life.f.device->account->ceiling = CEILING;
        happen(&life.model, &scene, 0);
        while (life.submits < SUBMITS)
            live_a_step(&life, &random);
        for (size_t i = 0; i < SLOTS; i++)
            device_release(life.f.device, life.blocks[i]);
        sim_fixture_close(&life.f);
    }
}

/* One of several threads. */
struct inhabitant {
    struct device *device;
    uint64_t state;
    struct lane *lane;
};

static bool within_bounds(struct device *device) {
    struct sim_device *sim = (struct sim_device *)device;
    uint64_t free_bytes = 0;
    bool fine =
        device_bytes_free(device, &free_bytes, NULL) && free_bytes <= CAPACITY;
    pthread_mutex_lock(&sim->mutex);
    fine = fine && memory_live(device->account) + sim->stranger <= CAPACITY;
    pthread_mutex_unlock(&sim->mutex);
    return fine && memory_peak(device->account) <= CEILING;
}

static void *live_together(void *context) {
    struct inhabitant *who = context;
    void *blocks[SLOTS] = {0};
    struct device_facts facts;
    bool fine = true;
    for (int i = 0; fine && i < 1500; i++) {
        size_t slot = below(&who->state, SLOTS);
        if (below(&who->state, 4) == 0)
            device_submit(who->lane, NULL);
        else if (blocks[slot]) {
            device_release(who->device, blocks[slot]);
            blocks[slot] = NULL;
        } else {
            blocks[slot] = device_alloc(
                who->device, 10, below(&who->state, CAPACITY / 2), NULL, NULL);
        }
        fine = within_bounds(who->device) && device_finish(who->lane, NULL) &&
               (i % 64 || device_facts(who->device, &facts, NULL));
    }
    for (size_t i = 0; i < SLOTS; i++)
        device_release(who->device, blocks[i]);
    return fine ? NULL : who;
}

static void threads_share_a_card(void **state) {
    (void)state;
    enum { THREAD_COUNT = 2 };
    static struct scene scene;
    uint64_t random = 1234;
    make(&scene, &random);
    struct sim_fixture f;
    sim_fixture_open(&f, "sim:a=10000", scene.script);
    f.device->account->ceiling = CEILING;
    struct inhabitant people[THREAD_COUNT];
    pthread_t threads[THREAD_COUNT];
    for (unsigned i = 0; i < THREAD_COUNT; i++) {
        people[i] =
            (struct inhabitant){f.device, 5 + i, device_lane(f.device, i)};
        assert_int_equal(
            pthread_create(&threads[i], NULL, live_together, &people[i]), 0);
    }
    for (size_t i = 0; i < THREAD_COUNT; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    sim_fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_card_is_what_its_definition_says),
        cmocka_unit_test(threads_share_a_card),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
