/* error.h - how a function says that it could not do its work.
 *
 * A function that can fail returns bool and takes a `struct error *` last. The
 * message is made where the cause is known, names the thing and says what to
 * do about it; everyone above only passes it on:
 *
 *     if (!file_map_open(&map, path, err))
 *         return false;
 *     if (map.size < 8)
 *         return error_set(err, ERROR_INPUT, "%s: too short", path);
 *
 * ERR is untouched on success, so calls chain with &&. A NULL ERR is allowed
 * and means that the caller needs no reason. The codes say what the caller can
 * do, not where it happened.
 */

#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

/* X(CODE, name in reports) */
#define ERROR_CODES(X)                                                         \
    X(ERROR_NONE, "none")                                                      \
    X(ERROR_USAGE, "usage")             /* ask differently */                  \
    X(ERROR_CONFLICT, "conflict")       /* what is there was made otherwise */ \
    X(ERROR_INPUT, "bad_input")         /* mend the file that is named */      \
    X(ERROR_MISSING, "missing")         /* get what is named */                \
    X(ERROR_UNSUPPORTED, "unsupported") /* use another model or option */      \
    X(ERROR_IO, "io")                   /* the system refused */               \
    X(ERROR_FULL, "disk_full")          /* free disk space, run again */       \
    X(ERROR_MEMORY, "memory")           /* raise the ceiling, ask for less */  \
    X(ERROR_BUSY, "busy")               /* try again later */                  \
    X(ERROR_INTERRUPTED, "interrupted") /* run again: it goes on */            \
    X(ERROR_DEVICE, "device")           /* use another device */               \
    X(ERROR_VECTOR, "bad_vector")       /* the model computed nonsense */

enum error_code {
#define ERROR_ENUM(code, name) code,
    ERROR_CODES(ERROR_ENUM)
#undef ERROR_ENUM
};

struct error {
    enum error_code code;
    char message[1024];
};

/* Fill ERR (if not NULL) and return false, always. A message is UTF-8: one that
 * is too long is cut between characters, and other bytes become '?'. */
bool error_set(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool error_vset(struct error *err, enum error_code code, const char *format,
                va_list arguments) __attribute__((format(printf, 3, 0)));

/* error_set for a system call that failed: appends strerror(errno), and turns
 * ENOSPC, EDQUOT and EFBIG into ERROR_FULL with the remedy, ENOMEM into
 * ERROR_MEMORY, EINTR into ERROR_INTERRUPTED and EAGAIN into ERROR_BUSY. WHAT
 * names the action and its object: "write /data/out/embeddings.npy". */
bool error_errno(struct error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__ /* does not see that the answer is always false */
#define error_set(...)   ((void)error_set(__VA_ARGS__), false)
#define error_errno(...) ((void)error_errno(__VA_ARGS__), false)
#endif

/* The stable name of CODE in summaries and events. */
const char *error_name(enum error_code code);

#endif
