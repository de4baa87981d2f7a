/* ladder.h - what a station gives up when memory runs short, step by step, and
 * how it comes back.
 *
 * Down: models that nobody needs now; companions go to the next station with
 * measured room, then to the CPU, else they are paused; layers stream; the
 * model moves to another station, at last to the CPU. Up: the same steps
 * backwards. A station that was lost gives everything at once.
 *
 * Called from the deciding thread only (run/crew.h), under the crew's lock and
 * while the station's worker waits or has nothing to do. Every step is told to
 * the shift with its numbers.
 */

#ifndef RUN_LADDER_H
#define RUN_LADDER_H

#include <stdbool.h>

#include "run/crew.h"

struct ladder {
    struct session *session;
    const struct shift *shift;
};

/* STATION lacks memory while it works for JOB: one step down. False: there was
 * nothing left to give. */
bool ladder_relieve(struct ladder *ladder, struct station *station,
                    struct job *job);

/* Bytes that the next step up would take on STATION; 0: nothing was given up.
 */
uint64_t ladder_restore_bytes(const struct station *station);
/* One step up. */
void ladder_restore(struct ladder *ladder, struct station *station);

/* STATION is gone: its models find other homes, or their jobs fail. */
void ladder_lost(struct ladder *ladder, struct station *station);

/* JOB waits and no station has its model: find it a home, if need be by
 * putting models away whose jobs are done. False: there is none. */
bool ladder_find_home(struct ladder *ladder, struct job *job);

/* The CPU shall have JOB's model too, for pieces that came back as nonsense. */
bool ladder_trusted_home(struct ladder *ladder, struct job *job);

#endif
