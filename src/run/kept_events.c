#include "run/kept_events.h"

static void on_log(void *context, enum log_level level, const char *message) {
    event_log(((struct kept_events *)context)->outer, level, "%s", message);
}

static void on_progress(void *context, const struct progress *progress) {
    event_progress(((struct kept_events *)context)->outer, progress);
}

static void on_event(void *context, const char *type, const json_t *fields) {
    struct kept_events *kept = context;
    if (json_array_size(kept->list) < KEPT_EVENTS_MAX)
        json_array_append_new(
            kept->list, json_pack("[s, o]", type, json_deep_copy(fields)));
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
                                 .list = json_array()};
}

void kept_events_tell(const struct kept_events *kept, const struct sink *sink) {
    for (size_t i = 0; i < json_array_size(kept->list); i++) {
        const json_t *pair = json_array_get(kept->list, i);
        event_emit(sink, json_string_value(json_array_get(pair, 0)),
                   json_deep_copy(json_array_get(pair, 1)));
    }
}

void kept_events_free(struct kept_events *kept) {
    json_decref(kept->list);
    *kept = (struct kept_events){0};
}
