/* plan.h - the bytes of a run before it takes any: memory of each pass on each
 * device, disk of each collection.
 *
 * Weights, workspaces, windows and batches are measured by the code that lays
 * them out; a tokenizer is loaded and counted. A model that fits nowhere is
 * refused here, before its weights are loaded, with the sizes and the smallest
 * change that would make it fit.
 *
 *     struct plan_home home;
 *     plan_home(session, member, 0, longest, &home, err);
 *     station_load(&session->stations[home.station], member, &home.placement,
 *                  err);
 */

#ifndef RUN_PLAN_H
#define RUN_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "run/roster.h"
#include "run/session.h"
#include "run/station.h"

enum {
    PLAN_CARD_TOKENS = 32768,    /* a larger batch does not make a T4 faster */
    PLAN_BIG_CARD_TOKENS = 65536 /* of 32 GiB and more: they are faster, and
                                    what lies between batches costs more */
};

/* A model's place on one station. */
struct plan_home {
    size_t station;
    const struct member *member;
    struct weights_placement placement;
    size_t tokens;  /* budget of a batch; 0: it does not fit there */
    size_t longest; /* tokens of a text that its workspace has room for */
    uint64_t weights_bytes, workspace_bytes; /* as the account counts them */
    uint64_t weights_held, workspace_held;   /* what we really take for them
                                                (the same on the CPU) */
    uint64_t host_bytes;                     /* of layers that stream */
    uint64_t loading_bytes;                  /* besides, while it is loaded */
    uint64_t mapped_bytes;
    uint64_t peak_bytes; /* of the station's account, while the team works:
                            plan_pass says */
    bool stays;          /* its weights, while other models have their turns */
};

/* Bytes of STATION's account that a plan may use: its ceiling, or less if
 * other programs hold so much that the margin would not stay free. */
uint64_t plan_room(const struct station *station);
/* The same of the CPU: of the session's own memory. */
uint64_t plan_host_room(const struct session *session);

/* Tokens of a batch there, where nothing says otherwise and there is room. */
size_t plan_batch_tokens(const struct station *station);

/* Have all cards ready for MEMBER's kernels, whose memory then counts in their
 * accounts: before its bytes are planned. A card that fails at it is lost. */
bool plan_prepare(struct session *session, const struct member *member,
                  struct error *err);

/* The best place of MEMBER on a station when KEPT bytes of its room stay taken
 * by others: all layers if they fit, else as many as do (not on the CPU, where
 * there is nothing to stream from), and the largest batch, TOKENS at most (0:
 * the default of the member and the device). home->tokens is 0 if it does not
 * fit. */
bool plan_on_station(struct session *session, const struct member *member,
                     size_t station, size_t tokens, size_t longest,
                     uint64_t kept, struct plan_home *home, struct error *err);

/* The first station where it fits beside what is live there. ERROR_MEMORY with
 * the sizes and the remedy if there is none. */
bool plan_home(struct session *session, const struct member *member,
               size_t tokens, size_t longest, struct plan_home *home,
               struct error *err);

/* ERROR_MEMORY that says what MEMBER needs, what each station has, and the
 * ceiling or margin that would do. */
bool plan_refuse(struct session *session, const struct member *member,
                 size_t longest, struct error *err);

/* Host memory that RESIDENT's weights hold. */
uint64_t plan_resident_held(const struct resident *resident);

/* Who is where in a mode, for passes that run together. */
struct plan_team {
    struct plan_home *homes; /* [homes_count]; stations may stand twice (several
                                models), and so may models (several stations);
                                owned by the session's memory */
    size_t homes_count;
    bool rotates;      /* sequential: not all of the weights stay */
    bool keeps_others; /* models that are warm from an earlier pass stay */
};

/* NULL if the team has none such. */
const struct plan_home *plan_team_home(const struct plan_team *team,
                                       size_t station,
                                       const struct member *member);

/* One model alone on all stations; each member's turn in exclusive mode. Models
 * that are warm there stay if this one is not the worse for it. */
bool plan_exclusive(struct session *session, const struct member *member,
                    size_t longest, struct plan_team *team, struct error *err);
/* All usable members of the roster on each station in turns: `tokens` of a
 * home is what is left beside the weights that stay. LONGEST 0, here and below:
 * that member has nothing to do. */
bool plan_sequential(struct session *session, const struct roster *roster,
                     const size_t *longest, struct plan_team *team,
                     struct error *err);
/* Each member on one station: the primary on the first, companions on the
 * second (or beside it), then where there is room, at last the CPU. */
bool plan_simultaneous(struct session *session, const struct roster *roster,
                       const size_t *longest, struct plan_team *team,
                       struct error *err);
void plan_team_free(struct session *session, struct plan_team *team);

/* The largest batches of MEMBER in each mode: an array with an object a device,
 * {"device", "exclusive", "sequential", "simultaneous"}, null where it has no
 * place. LONGEST as above. The caller owns *OUT. */
bool plan_budgets(struct session *session, const struct roster *roster,
                  const size_t *longest, const struct member *member,
                  json_t **out, struct error *err);

/* What MODE_AUTO means here, and why (a literal). */
enum run_mode plan_mode(struct session *session, const struct roster *roster,
                        size_t collections, const char **reason);

/* Host memory of a pass, to the byte as our accounts count it. In sequential
 * and simultaneous mode all passes of a collection share it. */
struct pass_plan {
    uint64_t base_bytes;      /* live already when it begins */
    uint64_t weights_bytes;   /* of all its homes, held here */
    uint64_t workspace_bytes; /* likewise, at the end */
    uint64_t staging_bytes;   /* windows and readers */
    uint64_t scratch_bytes;   /* of tokenizing, for a while */
    uint64_t drift_bytes;     /* of comparing with f32, behind the pass; 0: that
                                 is not done, or has no room */
    uint64_t private_bytes;   /* at most at a time */
    uint64_t mapped_bytes;    /* the weight files, resident at most */
};

/* BASE, STAGING, SCRATCH and DRIFT of *PLAN are set; the rest is found by going
 * through what MODE will do with the team: loading, laying out, taking turns.
 * Models that are on a station now are in the base. Sets `peak_bytes` of the
 * team's homes too. DRIFT becomes 0 where that would not fit beside models that
 * stay warm. */
bool plan_pass(struct session *session, enum run_mode mode,
               struct plan_team *team, struct pass_plan *plan,
               struct error *err);

json_t *plan_describe(const struct pass_plan *plan);
json_t *plan_describe_home(const struct plan_home *home);

/* `ensembed plan`: scan the chunks, look at the models, load no weights. The
 * caller owns *OUT. */
bool plan_run(const struct run_options *options, const struct sink *sink,
              json_t **out, struct error *err);

#endif
