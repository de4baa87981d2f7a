/* station.h - a device at work in a run: its account and margin, the models
 * that are resident on it, the workspace that they share, and what it did.
 *
 *     struct station s;
 *     station_open(&s, session, &name, false, err);
 *     struct resident *r = station_load(&s, member, &placement, err);
 *     station_lay_out(&s, r, tokens, longest, err);
 *     encoder_encode(r->encoder, &batch, vectors, err);
 *     station_unload(&s, r);
 *     station_close(&s);
 *
 * Weights and workspace are blocks of their own. Between batches the workspace
 * may be laid out again for another model or another budget; within a batch
 * nothing is taken.
 *
 * One thread computes on a station. Another one may load a model while it
 * computes with another (station_load), and may unload what is not computing:
 * who does what is the crew's business (run/crew.h).
 */

#ifndef RUN_STATION_H
#define RUN_STATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/device.h"
#include "model/encoder.h"
#include "model/weights.h"
#include "run/controller.h"
#include "run/lease.h"
#include "run/pace.h"
#include "run/roster.h"

struct session;
struct station;

/* A model on a device. */
struct resident {
    struct station *station;
    const struct member *member;
    struct weights_placement placement;
    struct weights_need need;
    struct weights *weights;
    struct encoder *encoder;
    struct encoder_budget budget; /* as it is laid out; tokens 0: not yet */
    size_t tokens;                /* most tokens of a batch, as planned */
    uint64_t bytes_per_token;     /* of a batch's workspace, about */
    struct pace pace;
    double load_ms;
    bool leaving; /* takes no more batches, and goes when its last is done */
};

/* What a station gave up under pressure; the last is taken back first. */
struct given_up {
    enum { GAVE_COMPANION, GAVE_LAYERS, GAVE_MODEL } what;
    const struct member *member;
    struct station *to;   /* where it went; NULL: paused */
    uint64_t whole_bytes; /* of the account, with all layers there */
};
enum { GIVEN_UP_MOST = 16 };

struct station {
    struct session *session; /* borrowed */
    struct device *device;   /* owned */
    struct pool *pool;       /* the device's */
    bool own_pool;
    bool spare; /* not asked for: takes work only when nothing else has room */
    bool lost;
    char why_lost[160];
    uint64_t margin;
    uint64_t bytes_total; /* the device's */

    void *block; /* the workspace, shared by the residents */
    uint64_t block_bytes, block_charge;
    struct resident *laid_out;   /* whose workspace the block holds, or NULL */
    struct resident **residents; /* [residents_count] */
    size_t residents_count, residents_most; /* one a model of the run */

    struct controller controller;
    struct given_up given_up[GIVEN_UP_MOST];
    size_t given_up_count;
    struct lease lease; /* held while `device` of it is not NULL */

    /* of the pass that runs; see station_begin */
    uint64_t tokens, texts, batches;
    int64_t busy_ns;
    size_t tokens_high; /* the largest batch that was asked for */
};

bool station_open(struct station *station, struct session *session,
                  const struct device_name *name, bool spare,
                  struct error *err);
void station_close(struct station *station); /* {0} is fine */

/* The ceiling, by the options or what is free now: a card that another run has
 * just left has more room than when it was opened. */
bool station_set_ceiling(struct station *station, struct error *err);

static inline const char *station_name(const struct station *station) {
    return station->device->name;
}

/* Forget the figures of the pass before; the device's peak begins anew. */
void station_begin(struct station *station);

/* Load a model; ERROR_MEMORY where there is no room. The member must outlive
 * the resident. */
struct resident *station_load(struct station *station,
                              const struct member *member,
                              const struct weights_placement *placement,
                              struct error *err);
void station_unload(struct station *station, struct resident *resident);
void station_unload_all(struct station *station);

/* NULL if it is not resident here. */
struct resident *station_resident(const struct station *station,
                                  const struct member *member);
/* NULL also if it takes no more batches here: the device is lost, or the model
 * is leaving. */
struct resident *station_serving(const struct station *station,
                                 const struct member *member);

/* Make the workspace fit a batch of TOKENS with texts of at most LONGEST, and
 * use it for RESIDENT. ERROR_MEMORY: no room; nothing is laid out then. */
bool station_lay_out(struct station *station, struct resident *resident,
                     size_t tokens, size_t longest, struct error *err);
/* Give the workspace's memory back. */
void station_clear(struct station *station);

/* What MEMBER's weights take of the station's account with all layers there. */
bool station_whole_bytes(const struct station *station,
                         const struct member *member, uint64_t *bytes,
                         struct error *err);

/* It takes part no more, and WHY is for the person who reads of it. */
void station_lose(struct station *station, const char *why);

/* What a card needs for itself, in its account from the start on; 0: nothing,
 * or it does not say. */
uint64_t station_overhead(const struct station *station);

/* What could be taken there now; 0 where the device does not say. */
uint64_t station_bytes_free(const struct station *station);

#endif
