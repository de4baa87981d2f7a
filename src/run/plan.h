/* plan.h - the bytes of a run before it takes any: memory of each pass, disk
 * of each collection.
 *
 * Weights and workspace are measured by the code that lays them out. The
 * tokenizer's tables are estimated from its file until it is loaded. Where a
 * model would not fit under the ceiling it is refused here, before loading.
 */

#ifndef RUN_PLAN_H
#define RUN_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "model/encoder.h"
#include "run/roster.h"
#include "run/session.h"

struct member_plan {
    struct encoder_budget budget;
    uint64_t weights_bytes; /* private: packed for the GEMM */
    uint64_t mapped_bytes;  /* the weight files, resident at most */
    uint64_t workspace_bytes;
    uint64_t tokenizer_bytes; /* estimate */
    uint64_t staging_bytes;   /* windows and batches */
    uint64_t private_bytes;   /* the sum of all but mapped */
};

bool plan_member(const struct session *session, const struct member *member,
                 struct member_plan *plan, struct error *err);

/* ERROR_MEMORY with the sizes and the smallest change that would do, if the
 * member's pass does not fit under what is left of the ceiling. */
bool plan_check(const struct session *session, const struct member *member,
                const struct member_plan *plan, struct error *err);

json_t *plan_describe(const struct member_plan *plan);

/* `ensembed plan`: scan the chunks, look at the models, load nothing. *OUT is
 * {"device", "ceiling_bytes", "models": [...], "collections": [...],
 * "disk_free_bytes"}; the caller owns it. */
bool plan_run(const struct run_options *options, const struct sink *sink,
              json_t **out, struct error *err);

#endif
