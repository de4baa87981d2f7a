/* drift_tell.c - what a person and a program hear of the drift. */

#include <stdio.h>

#include "base/json.h"
#include "run/drift.h"
#include "run/dtype.h"
#include "run/pass.h"

struct drift drift_skip(const struct member *member, const struct error *why) {
    struct drift drift = {.type = member_type(member)};
    snprintf(drift.skipped, sizeof drift.skipped, "%.300s", why->message);
    return drift;
}

/* The lowest cosine that needs no warning. */
static double least_cosine(enum number_type type) {
    switch (type) {
    case NUMBER_FP8:
        return 0.98;
    case NUMBER_INT8:
        return 0.99;
    case NUMBER_BF16:
        return 0.999;
    default:
        return 0.9999;
    }
}

json_t *drift_describe(const struct drift *drift) {
    if (!drift->type)
        return NULL;
    json_t *object = json_pack("{s:s}", "dtype", dtype_name(drift->type));
    if (*drift->skipped) {
        json_object_set_new(object, "skipped", json_any_text(drift->skipped));
        return object;
    }
    json_t *heads = json_object();
    for (enum row_kind h = 0; h < ROW_KINDS; h++)
        if (drift->heads & head_bit(h))
            json_object_set_new(heads, row_kind_name(h),
                                json_pack("{s:f, s:f}", "lowest_cosine",
                                          drift->of[h].lowest, "median_cosine",
                                          drift->of[h].median));
    json_object_update_new(object,
                           json_pack("{s:I, s:f, s:f, s:o}", "texts",
                                     (json_int_t)drift->texts, "bound",
                                     least_cosine(drift->type), "duration_ms",
                                     drift->ms, "heads", heads));
    return object;
}

static void warn(const struct pass *pass, const struct drift *drift,
                 enum row_kind head) {
    char name[VECTOR_NAME_MAX];
    member_vector_name(pass->member, head, name);
    event_log(pass->sink, LOG_WARNING,
              "%s: %s in %s has a cosine of %.5f to f32 at the lowest, of %zu "
              "texts that were compared; that is below %g: run again with "
              "--restart and --dtype f32%s",
              pass->intake->collection->name, name, dtype_name(drift->type),
              drift->of[head].lowest, drift->texts, least_cosine(drift->type),
              drift->type == NUMBER_INT8 || drift->type == NUMBER_FP8
                  ? " (or bf16)"
                  : "");
}

void drift_tell(const struct pass *pass, const struct drift *drift) {
    json_t *fields = drift_describe(drift);
    if (!fields)
        return;
    json_object_update_new(fields, json_pack("{s:s, s:s, s:i}", "collection",
                                             pass->intake->collection->name,
                                             "model", pass->member->key, "pass",
                                             (int)pass->number));
    event_emit(pass->sink,
               *drift->skipped ? "drift_not_measured" : "drift_measured",
               fields);
    for (enum row_kind h = 0; !*drift->skipped && h < ROW_KINDS; h++)
        if ((drift->heads & head_bit(h)) &&
            drift->of[h].lowest < least_cosine(drift->type))
            warn(pass, drift, h);
}
