#include "run/controller.h"

#include <limits.h>

enum {
    PATIENCE_FIRST = 4,
    PATIENCE_MOST = 64,
    HELD = 16,     /* a growth that stood for so many patiences was worth it */
    STEP_LEAST = 4 /* a growth is at least one such part of the budget */
};

static size_t least_of(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t most_of(size_t a, size_t b) {
    return a > b ? a : b;
}

static uint64_t saturating_add(uint64_t a, uint64_t b) {
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static void calm_ends(struct controller *c) {
    c->calm = 0;
    c->calm_restore = 0;
}

static void growth_begins(struct controller *c) {
    calm_ends(c);
    c->since_growth = 0;
}

/* The pressure is back. A growth that it follows too soon was a mistake: the
 * next one waits for longer. */
static void growth_ends(struct controller *c) {
    calm_ends(c);
    if (c->since_growth < HELD * c->patience && c->patience < PATIENCE_MOST)
        c->patience *= 2;
    c->since_growth = UINT_MAX; /* counted once */
}

void controller_start(struct controller *controller, size_t tokens_most,
                      uint64_t margin) {
    size_t tokens = most_of(tokens_most, 1);
    *controller = (struct controller){.tokens = tokens,
                                      .tokens_most = tokens,
                                      .margin = margin,
                                      .patience = PATIENCE_FIRST,
                                      .since_growth = UINT_MAX};
}

void controller_restart(struct controller *controller, size_t tokens_most,
                        uint64_t margin) {
    unsigned patience = controller->patience;
    controller_start(controller, tokens_most, margin);
    if (patience >= PATIENCE_FIRST)
        controller->patience =
            patience < PATIENCE_MOST / 2 ? patience * 2 : PATIENCE_MOST;
}

/* Free memory is under the margin. */
static enum controller_wish press(struct controller *c,
                                  const struct controller_reading *reading,
                                  size_t least) {
    growth_ends(c);
    if (c->tokens <= least && c->exhausted)
        return CONTROLLER_KEEP;
    if (c->tokens <= least)
        return CONTROLLER_RELIEVE;
    uint64_t lacking = c->margin - reading->bytes_free;
    uint64_t each = reading->bytes_per_token ? reading->bytes_per_token : 1;
    uint64_t cut = lacking / each + (lacking % each != 0);
    size_t left = cut < c->tokens ? c->tokens - (size_t)cut : 0;
    c->tokens = most_of(least, least_of(left, c->tokens / 2));
    return CONTROLLER_SHRINK;
}

/* The budget that ROOM bytes more allow: at most the double, and none for a
 * step that is not worth a new layout. */
static size_t larger_budget(const struct controller *c, uint64_t room,
                            uint64_t each, size_t most) {
    size_t step = least_of(c->tokens, most - c->tokens);
    size_t worth = least_of(step, c->tokens / STEP_LEAST + 1);
    uint64_t tokens = room / (each ? each : 1);
    if (tokens < step)
        step = (size_t)tokens;
    return c->tokens + (step < worth ? 0 : step);
}

/* The margin is free. */
static enum controller_wish ease(struct controller *c,
                                 const struct controller_reading *reading,
                                 size_t most) {
    uint64_t kept = saturating_add(c->margin, c->margin / 2);
    uint64_t room = reading->bytes_free > kept ? reading->bytes_free - kept : 0;
    size_t larger = larger_budget(c, room, reading->bytes_per_token, most);
    bool restores = reading->restore_bytes && room >= reading->restore_bytes;
    c->exhausted = false;
    c->larger = c->calm ? least_of(c->larger, larger) : larger;
    c->calm = larger > c->tokens ? c->calm + 1 : 0;
    c->calm_restore = restores ? c->calm_restore + 1 : 0;
    if (c->calm_restore >= c->patience) {
        growth_begins(c);
        return CONTROLLER_RESTORE;
    }
    if (c->calm < c->patience)
        return CONTROLLER_KEEP;
    /* What was given up costs more than a small budget does: while its room is
     * there, nothing else takes it. */
    if (restores)
        return CONTROLLER_KEEP;
    growth_begins(c);
    c->tokens = c->larger;
    return CONTROLLER_GROW;
}

enum controller_wish controller_look(struct controller *controller,
                                     const struct controller_reading *reading) {
    struct controller *c = controller;
    size_t before = c->tokens;
    size_t least = most_of(reading->tokens_least, 1);
    size_t most = most_of(c->tokens_most, least);
    c->tokens = most_of(least, least_of(c->tokens, most));
    if (c->tokens != before)
        calm_ends(c);
    if (c->since_growth < UINT_MAX)
        c->since_growth++;
    enum controller_wish wish = reading->bytes_free < c->margin
                                    ? press(c, reading, least)
                                    : ease(c, reading, most);
    if (wish == CONTROLLER_KEEP && c->tokens != before)
        return c->tokens < before ? CONTROLLER_SHRINK : CONTROLLER_GROW;
    return wish;
}

bool controller_refused(struct controller *controller, size_t tokens,
                        size_t tokens_least) {
    size_t least = most_of(tokens_least, 1);
    growth_ends(controller);
    controller->tokens =
        most_of(least, least_of(controller->tokens, tokens / 2));
    return tokens > least;
}

void controller_exhausted(struct controller *controller) {
    controller->exhausted = true;
}
