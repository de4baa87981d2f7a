/* roster.h - the models of a run: found, checked and described before anything
 * is loaded.
 *
 *     struct roster *r = roster_open(session, "document", err);
 *     r->members[0].spec.width ...
 *     roster_free(r);
 *
 * A member that cannot be used (not whole in the cache, an architecture that
 * we do not run) stays in the roster with its error: the other models are
 * still worth running, and the report names it.
 */

#ifndef RUN_ROSTER_H
#define RUN_ROSTER_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/error.h"
#include "hub/model_files.h"
#include "model/shape.h"
#include "model/spec.h"
#include "run/fetching.h"
#include "run/kept_events.h"
#include "run/session.h"

struct member {
    const struct model_request *request; /* borrowed */
    struct model_files *files;           /* NULL if `error` is set */
    struct model_spec spec;
    char *key;           /* for files and vector names */
    const char *prompt;  /* text before each text, NULL: none */
    size_t width;        /* of the vectors that are exported */
    bool undeclared_cut; /* cut below its own width without declaring it */
    char weights_sha256[65], tokenizer_sha256[65];
    json_t *fingerprint;    /* what decides a row (DESIGN 6) */
    struct cache_use cache; /* how it came out of the hub's cache */
    struct shape charged;   /* what a simulated card counts: the model's own, or
                               that of `account=` */
    struct error error;     /* code ERROR_NONE: usable */
};

struct roster {
    struct memory *memory;
    struct member *members; /* in the order of the options */
    size_t count;
    size_t usable;
    struct kept_events events; /* of the opening: `cache`, `retrying` */
    size_t fused_width; /* 0: no fused vector (one model, or one failed) */
};

/* WHAT is "document", "query" or "": whose prompts to take. With DIGESTS the
 * files are hashed and fingerprints made. False for what is wrong with the
 * request itself: KEYs that are equal or (with DIGESTS) taken, a prompt or a
 * width that no model has, widths that do not go together, bad weights. */
bool roster_open(struct roster *roster, struct session *session,
                 const char *what, bool digests, struct error *err);
void roster_free(struct roster *roster); /* {0} is fine */

/* Cut a model's own vector [spec.width] to the member's width, in place, and
 * make it a unit vector again if the model's are. */
void member_cut(const struct member *member, float *vector);

/* What a report says of a member: id, commit, widths, pooling, digests. */
json_t *member_describe(const struct member *member);

#endif
