/* pass.h - one model over one collection: every text that its store does not
 * have yet is tokenized, encoded, checked and stored.
 *
 * Texts come in windows. A window's texts are tokenized, sorted by length and
 * cut into batches of a token budget; a batch's rows are in the store when the
 * next one begins. Which texts share a batch does not change a vector, so a
 * pass that goes on after a kill ends with the same rows.
 *
 *     struct pass pass = {.session = ..., .member = ..., ...};
 *     if (!pass_run(&pass, err)) ...
 *     pass.report.computed ...
 */

#ifndef RUN_PASS_H
#define RUN_PASS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "data/chunks.h"
#include "data/store.h"
#include "run/engine.h"
#include "run/roster.h"
#include "run/session.h"

enum { FAILED_LISTED = 100 };

struct pass_report {
    uint64_t texts;  /* distinct texts of the collection */
    uint64_t reused; /* already in the store */
    uint64_t computed;
    uint64_t failed;    /* vectors that were not sound */
    uint64_t truncated; /* texts that were cut at the limit, in this run or an
                           earlier one */
    uint64_t tokens;    /* encoded */
    uint64_t batches;
    double duration_ms;       /* of all this, without loading */
    double encode_ms;         /* inside the device's verbs */
    json_t *failed_chunks;    /* [{chunk, reason}], the first FAILED_LISTED */
    json_t *truncated_chunks; /* [chunk ids], the first of them */
};

struct pass {
    struct session *session;
    const struct sink *sink;
    const struct member *member;
    const struct intake *intake;
    struct store *store;
    struct engine *engine;  /* not needed while nothing is missing */
    const char *truncated;  /* path of the list beside the store */
    unsigned number, count; /* 1-based, for progress */
    struct pass_report report;
};

/* How many texts the store lacks. */
bool pass_missing(struct pass *pass, uint64_t *texts, struct error *err);

/* ERROR_INTERRUPTED when the sink asked to stop: what is done is stored. */
bool pass_run(struct pass *pass, struct error *err);
void pass_free_report(struct pass *pass);

/* Fill the report's `truncated`. SCRATCH is a folder for a table. */
bool pass_count_truncated(struct pass *pass, const char *scratch,
                          struct error *err);

/* Private bytes of a pass besides the engine: window and batch buffers, at
 * most. */
uint64_t pass_staging_bytes(const struct model_spec *spec,
                            const struct encoder_budget *budget);

#endif
