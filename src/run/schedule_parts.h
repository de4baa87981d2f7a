/* schedule_parts.h - what the files of schedule.h share: which members have
 * something to do, and how a turn's model gets onto stations.
 *
 *     schedule.c           the turns, exclusive mode, formulas
 *     schedule_together.c  sequential and simultaneous mode
 *     schedule_places.c    what is declared first here
 *
 * All on the thread that runs the schedule: the crew calls its verbs there too.
 */

#ifndef RUN_SCHEDULE_PARTS_H
#define RUN_SCHEDULE_PARTS_H

#include "run/crew.h"
#include "run/schedule.h"

/* What the crew calls for each batch and each decision. */
extern const struct shift_verbs SCHEDULE_VERBS;

/* Member I without an error of its own. */
bool schedule_can_use(const struct schedule *s, size_t i);
/* And with texts that have no rows yet. */
bool schedule_lacks_rows(const struct schedule *s, size_t i);
/* For the stations; formulas have a loop of their own. */
bool schedule_has_work(const struct schedule *s, size_t i);

/* Models that TEAM did not count with go. Peaks begin behind them. How many
 * bytes of host memory that gave back. */
uint64_t schedule_put_away_others(struct schedule *s,
                                  const struct plan_team *team);
/* A turn's model to one of its stations; to all of them: false if it is on
 * none then. */
bool schedule_bring(struct schedule *s, struct turn *turn,
                    const struct plan_home *home, struct error *err);
bool schedule_bring_turn(struct schedule *s, struct turn *turn,
                         const struct plan_team *team, struct error *err);
/* Workspaces before the first batch. */
void schedule_lay_out(struct schedule *s, const struct turn *turn,
                      const struct plan_team *team);
/* The devices, unless models stay warm: then they stay ours. */
void schedule_release(struct schedule *s, struct turn *turn);

/* Decisions about places, for events and the turn. */
void schedule_tell_place(struct schedule *s, struct turn *turn,
                         const struct station *station, const char *type,
                         const char *reason);
void schedule_tell_places(struct schedule *s, struct turn *turn,
                          const struct plan_team *team);
/* Where there are several models: what each mode would allow this one. */
bool schedule_compare_modes(struct schedule *s, struct turn *turn,
                            struct error *err);

/* Turns that are not done, or never began, when all ends: why they are not. */
void schedule_end_turns(struct schedule *s, const struct error *failure);

bool schedule_run_together(struct schedule *s, struct error *err);

#endif
