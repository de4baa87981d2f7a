#include "run/kept_events.h"

#include "base/clock.h"
#include "base/json.h"

static void keep(json_t *list, json_t *entry) {
    if (json_array_size(list) < KEPT_EVENTS_MAX)
        json_array_append_new(list, entry);
    else
        json_decref(entry);
}

static void on_log(void *context, enum log_level level, const char *message) {
    struct kept_events *kept = context;
    if (level >= LOG_WARNING)
        keep(kept->warnings, json_pack("[I, i, o]", (json_int_t)clock_now_ns(),
                                       (int)level, json_any_text(message)));
    event_log(kept->outer, level, "%s", message);
}

static void on_progress(void *context, const struct progress *progress) {
    event_progress(((struct kept_events *)context)->outer, progress);
}

static void on_event(void *context, const char *type, const json_t *fields) {
    struct kept_events *kept = context;
    keep(kept->events, json_pack("[I, s, o]", (json_int_t)clock_now_ns(), type,
                                 json_deep_copy(fields)));
    if (kept->outer && kept->outer->event)
        kept->outer->event(kept->outer->context, type, fields);
}

static bool on_interrupted(void *context) {
    return event_interrupted(((struct kept_events *)context)->outer);
}

void kept_events_begin(struct kept_events *kept, const struct sink *outer) {
    *kept = (struct kept_events){.sink = {.context = kept,
                                          .log = on_log,
                                          .progress = on_progress,
                                          .event = on_event,
                                          .interrupted = on_interrupted},
                                 .outer = outer,
                                 .events = json_array(),
                                 .warnings = json_array()};
}

void kept_events_free(struct kept_events *kept) {
    json_decref(kept->events);
    json_decref(kept->warnings);
    *kept = (struct kept_events){0};
}
