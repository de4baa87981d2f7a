/* turn.h - a model's pass as the schedule sees it: its pass, its job for the
 * crew, where it was planned to run, and what became of that.
 *
 *     turn_prepare(turn, err);         // store and window are ready
 *     turn_open(turn, &team, &plan);   // and models planned; event emitted
 *     ... windows through the crew ...
 *     turn_close(turn, &team, &failure);   // counted, event emitted
 */

#ifndef RUN_TURN_H
#define RUN_TURN_H

#include <stdbool.h>

#include <jansson.h>

#include "run/crew.h"
#include "run/pass.h"
#include "run/plan.h"

/* What a station did for one turn. */
struct turn_use {
    uint64_t texts, tokens, batches;
    double busy_ms;
    size_t tokens_high; /* the largest budget of a batch */
};

struct turn {
    struct pass pass; /* set up by the schedule, all but window and reader */
    struct job job;
    const char *mode;      /* its name, borrowed */
    size_t longest;        /* tokens of a text, at most */
    uint64_t missing;      /* texts, before it began */
    struct plan_team team; /* its own in exclusive mode; else empty */
    struct pass_plan plan;
    bool *planned;               /* [stations], owned by the schedule, as: */
    struct turn_use *by_station; /* [stations] */
    char devices[256];           /* planned ones, joined by commas */
    size_t tokens;               /* the largest budget of its homes */
    double load_ms;
    uint64_t base_bytes; /* live, before it was prepared */
    uint64_t peak_bytes; /* host memory, as counted */
    struct drift drift;  /* of what it computed */
    json_t *use;         /* what each station did for it; owned, as are: */
    json_t *leases;
    json_t *mitigations;
    json_t *budgets; /* in each mode, for comparison; or NULL */
    bool prepared;   /* its pass is open */
    bool open;       /* and the event said so */
    bool ran;        /* something had to be computed */
    struct error failure;
};

/* All that the pass takes but models and workspaces: the rows that are there
 * and an index of them; window and reader. */
bool turn_prepare_store(struct turn *turn, struct error *err);
bool turn_prepare(struct turn *turn, struct error *err);
/* What PLAN says of the memory. TEAM: where the models are to be (its own, or
 * the one that it shares). The models must not be loaded yet, or be resident as
 * the team says. */
void turn_open(struct turn *turn, const struct plan_team *team,
               const struct pass_plan *plan);
/* For a pass that no station works on (BM25). */
void turn_open_formula(struct turn *turn, const struct pass_plan *plan);
/* FAILURE (code ERROR_NONE: none) becomes the turn's. Nothing to do for a turn
 * that is not open but for noting it. */
void turn_close(struct turn *turn, const struct plan_team *team,
                const struct error *failure);

/* The crew's decision about this turn: event, log line, summary. TURN NULL: of
 * no turn in particular. */
void turn_decided(struct turn *turn, const struct sink *sink,
                  const struct station *station, const char *collection,
                  const char *type, json_t *fields);

/* Behind turn_close, when the devices are given back: compare some of what was
 * computed with f32, where that is due. */
void turn_compare(struct turn *turn);

void turn_loaded(struct turn *turn, const struct resident *resident);

void turn_free(struct turn *turn);

#endif
