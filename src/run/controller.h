/* controller.h - how large a batch may be on a device whose free memory other
 * programs change.
 *
 * Free memory is read before and after each batch. Under the margin the budget
 * shrinks at once, by what is lacking and at least by half; at the smallest
 * budget the controller wishes relief, and its caller takes the next step of
 * the ladder (run/ladder.h). It grows back when the pressure has ended: not
 * before `patience` readings in a row left room for the larger budget and half
 * a margin besides, and each growth that had to be taken back doubles the
 * patience. So a saw-tooth of pressure makes no saw-tooth of budgets.
 *
 * Numbers in, a wish out: no clock, no device, no memory, one thread.
 *
 *     struct controller c;
 *     controller_start(&c, plan.tokens, margin);
 *     struct controller_reading reading = {.bytes_free = free, ...};
 *     switch (controller_look(&c, &reading)) ...   // c.tokens is the budget
 */

#ifndef RUN_CONTROLLER_H
#define RUN_CONTROLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum controller_wish {
    CONTROLLER_KEEP,
    CONTROLLER_SHRINK,  /* c.tokens is smaller now */
    CONTROLLER_GROW,    /* c.tokens is larger now */
    CONTROLLER_RELIEVE, /* at the smallest, and still under the margin */
    CONTROLLER_RESTORE, /* there is room to take back what relief gave up */
};

struct controller_reading {
    uint64_t bytes_free;
    size_t tokens_least;      /* the longest text that waits; a budget below it
                                 cannot work */
    uint64_t bytes_per_token; /* of the workspace, about; > 0 */
    uint64_t restore_bytes;   /* what the next restoring would take; 0: nothing
                                 was given up */
};

struct controller {
    size_t tokens;      /* the budget of a batch */
    size_t tokens_most; /* as planned */
    uint64_t margin;
    unsigned calm;         /* readings in a row with room to grow */
    size_t larger;         /* the budget that all of them had room for */
    unsigned calm_restore; /* readings in a row with room to restore */
    unsigned patience;     /* calm readings that are asked for */
    unsigned since_growth; /* readings since the last growth or restoring,
                              saturating */
    bool exhausted; /* the last wish for relief found nothing to give: not
                       wished again until the margin was free once */
};

void controller_start(struct controller *controller, size_t tokens_most,
                      uint64_t margin);

/* The same device has a model again after it had none: as a start, but more
 * patient than before, so that a model does not come and go. */
void controller_restart(struct controller *controller, size_t tokens_most,
                        uint64_t margin);

/* What a reading asks for; controller->tokens is changed already where the
 * answer is SHRINK or GROW. A budget below `tokens_least` is raised to it at
 * once (GROW, or with RELIEVE where there is no room), and one above both the
 * planned and it is lowered. A growth at most doubles the budget. RESTORE comes
 * before GROW while its room is there. */
enum controller_wish controller_look(struct controller *controller,
                                     const struct controller_reading *reading);

/* An allocation or a submit of a batch of TOKENS failed all the same: the
 * budget becomes at most half of it, and TOKENS_LEAST at least. False at
 * TOKENS_LEAST or below: relief is needed. */
bool controller_refused(struct controller *controller, size_t tokens,
                        size_t tokens_least);

/* The ladder had nothing left. */
void controller_exhausted(struct controller *controller);

#endif
