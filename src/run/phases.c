#include "run/phases.h"

#include "base/clock.h"

static const char *const names[] = {
#define PHASE_TEXT(name, text) text,
    PHASE_LIST(PHASE_TEXT)
#undef PHASE_TEXT
};

void phases_begin(struct phases *phases) {
    *phases = (struct phases){.now = PHASE_OPEN,
                              .wall_since_ns = clock_now_ns(),
                              .cpu_since_ns = clock_thread_ns()};
}

enum phase phases_enter(struct phases *phases, enum phase phase) {
    enum phase before = phases->now;
    int64_t wall_ns = clock_now_ns(), cpu_ns = clock_thread_ns();
    phases->wall_ns[before] += wall_ns - phases->wall_since_ns;
    phases->cpu_ns[before] += cpu_ns - phases->cpu_since_ns;
    phases->wall_since_ns = wall_ns;
    phases->cpu_since_ns = cpu_ns;
    phases->now = phase;
    return before;
}

json_t *phases_describe(struct phases *phases) {
    json_t *object = json_object();
    phases_enter(phases, phases->now);
    for (int i = 0; i < PHASES; i++)
        json_object_set_new(
            object, names[i],
            json_pack("{s:f, s:f}", "ms", (double)phases->wall_ns[i] / 1e6,
                      "cpu_ms", (double)phases->cpu_ns[i] / 1e6));
    return object;
}
