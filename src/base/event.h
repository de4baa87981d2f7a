/* event.h - what the library tells its caller while it works.
 *
 * The library never prints. Lines for a person (log), the state of the work
 * (progress) and decisions with their numbers (events) go to one sink of
 * callbacks, any of which may be NULL. Everything is called from the thread
 * that called the library.
 *
 *     event_log(sink, LOG_WARNING, "%s: 2 blank chunks", name);
 *     event_emit(sink, "ensemble_pass_completed",
 *                json_pack("{s:s,s:f}", "model", key, "duration_ms", ms));
 */

#ifndef BASE_EVENT_H
#define BASE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

struct progress {
    const char *collection; /* borrowed for the call */
    const char *stage;      /* "pull", "read", "embed", "export" */
    const char *model;      /* KEY while embedding, file while pulling (the
                               collection is the model then), else NULL */
    unsigned pass, passes;  /* 1-based; 0 outside of passes */
    uint64_t batch;         /* batches finished in this pass */
    uint64_t done, total;   /* texts while embedding, points while exporting,
                               bytes while reading and pulling; total 0: not
                               known */
    uint64_t tokens;        /* finished in this pass by this process */
    double tokens_per_second;
    double seconds_left;                  /* < 0: not known yet */
    uint64_t memory_live, memory_ceiling; /* bytes; ceiling 0: none */
};

struct sink {
    void *context;
    void (*log)(void *context, enum log_level level, const char *message);
    void (*progress)(void *context, const struct progress *progress);
    /* FIELDS is an object, borrowed for the call. */
    void (*event)(void *context, const char *type, const json_t *fields);
    /* True asks the library to stop at the next batch. */
    bool (*interrupted)(void *context);
};

/* A NULL sink is fine in all of them. */
void event_log(const struct sink *sink, enum log_level level,
               const char *format, ...) __attribute__((format(printf, 3, 4)));
void event_progress(const struct sink *sink, const struct progress *progress);
/* Takes FIELDS over, whether or not anybody listens. NULL: no fields. */
void event_emit(const struct sink *sink, const char *type, json_t *fields);
bool event_interrupted(const struct sink *sink);

#endif
