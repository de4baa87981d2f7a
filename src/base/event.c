#include "base/event.h"

#include <stdarg.h>
#include <stdio.h>

void event_log(const struct sink *sink, enum log_level level,
               const char *format, ...) {
    if (!sink || !sink->log)
        return;
    char message[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    sink->log(sink->context, level, message);
}

void event_progress(const struct sink *sink, const struct progress *progress) {
    if (sink && sink->progress)
        sink->progress(sink->context, progress);
}

void event_emit(const struct sink *sink, const char *type, json_t *fields) {
    json_t *object = fields ? fields : json_object();
    if (sink && sink->event)
        sink->event(sink->context, type, object);
    json_decref(object);
}

bool event_interrupted(const struct sink *sink) {
    return sink && sink->interrupted && sink->interrupted(sink->context);
}
