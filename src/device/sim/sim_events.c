/* sim_events.c - what the script does to a card. */

#include <inttypes.h>
#include <string.h>

#include "device/sim/sim.h"

static uint64_t add_up(uint64_t a, uint64_t b) {
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

uint64_t sim_free(const struct sim_device *sim) {
    uint64_t used = add_up(memory_live(&sim->account), sim->stranger);
    return used < sim->capacity ? sim->capacity - used : 0;
}

void sim_settle(struct sim_device *sim) {
    uint64_t room = sim_free(sim);
    uint64_t taken = sim->wanted < room ? sim->wanted : room;
    sim->stranger += taken;
    sim->wanted -= taken;
}

/* What it only waits for, it stops waiting for first. */
static void give_back(struct sim_device *sim, uint64_t bytes) {
    uint64_t waived = sim->wanted < bytes ? sim->wanted : bytes;
    sim->wanted -= waived;
    bytes -= waived;
    sim->stranger -= sim->stranger < bytes ? sim->stranger : bytes;
}

static void act(struct sim_device *sim, const struct script_action *action) {
    switch (action->kind) {
    case SCRIPT_TAKE:
        sim->wanted = add_up(sim->wanted, action->value);
        break;
    case SCRIPT_GIVE:
        give_back(sim, action->value);
        break;
    case SCRIPT_DELAY:
        sim->delay_ms = action->value;
        break;
    case SCRIPT_ALLOC:
        sim->alloc_until = add_up(action->at_submit, action->value);
        break;
    case SCRIPT_NAN:
        sim->nan_until = add_up(action->at_submit, action->value);
        break;
    case SCRIPT_LOST:
        sim->lost_at = action->at_submit;
        sim->lost = true;
        break;
    }
}

void sim_play(struct sim_device *sim) {
    const struct device_script *script = sim->script;
    for (; script && sim->next_action < script->count; sim->next_action++) {
        const struct script_action *action = &script->actions[sim->next_action];
        if (action->at_submit > sim->submits)
            break;
        if (strcmp(action->device, sim->device.name) != 0)
            continue;
        sim_settle(sim);
        act(sim, action);
    }
    sim_settle(sim);
}

bool sim_alive(const struct sim_device *sim, struct error *err) {
    return !sim->lost ||
           error_set(err, ERROR_DEVICE,
                     "%s is lost (by its script, at submit %" PRIu64
                     "); use another device",
                     sim->device.name, sim->lost_at);
}

bool sim_accepts(const struct sim_device *sim, struct error *err) {
    if (!sim_alive(sim, err))
        return false;
    return sim->submits >= sim->alloc_until ||
           error_set(err, ERROR_MEMORY,
                     "%s: no memory for submit %" PRIu64
                     " (by its script): of %" PRIu64 " bytes %" PRIu64
                     " are ours, %" PRIu64 " another program's and %" PRIu64
                     " free; lower the budget",
                     sim->device.name, sim->submits, sim->capacity,
                     memory_live(&sim->account), sim->stranger, sim_free(sim));
}
