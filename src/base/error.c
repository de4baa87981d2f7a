#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#undef error_set
#undef error_errno

/* Drop a UTF-8 sequence that the end of the buffer cut in two. */
static void cut_clean(char *text, size_t capacity) {
    size_t end = strnlen(text, capacity);
    if (end + 1 < capacity)
        return;
    size_t start = end;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start > 0 && (unsigned char)text[start - 1] >= 0xC0)
        text[start - 1] = '\0';
}

/* What is no UTF-8 becomes '?': of a name, or of a text that was quoted up to
 * the middle of a character. */
static void mend_utf8(char *text) {
    while (*(text += utf8_valid_prefix(str_from(text))))
        *text = '?';
}

bool error_vset(struct error *err, enum error_code code, const char *format,
                va_list arguments) {
    if (!err)
        return false;
    /* The arguments may point into the message that is being replaced. */
    char message[sizeof err->message];
    vsnprintf(message, sizeof message, format, arguments);
    cut_clean(message, sizeof message);
    mend_utf8(message);
    err->code = code;
    memcpy(err->message, message, sizeof message);
    return false;
}

bool error_set(struct error *err, enum error_code code, const char *format,
               ...) {
    va_list arguments;
    va_start(arguments, format);
    error_vset(err, code, format, arguments);
    va_end(arguments);
    return false;
}

/* What a person can do about CAUSE, behind what strerror says of it. */
static const char *remedy(int cause) {
    switch (cause) {
    case EIO:
        return "; what it lies on fails (a disk, a network): once that is "
               "mended, run the same command again";
    case EROFS:
        return "; choose another place, or have this one mounted for writing";
    case EACCES:
    case EPERM:
        return "; give this user the right to, or choose another place";
    case EMFILE:
        return "; allow more of them (ulimit -n)";
    case ENFILE:
        return "; other programs hold them: run the same command again when "
               "they have ended";
    case ENOMEM:
        return "; other programs hold it, or a limit (ulimit -v) does";
    case EINTR:
    case EAGAIN:
        return "; run the same command again";
    default:
        return "";
    }
}

static const char *in_words(int cause) {
    return cause == EMFILE   ? "too many open files"
           : cause == ENOMEM ? "out of memory"
                             : strerror(cause);
}

/* File systems in a network or in a process of their own answer EINTR to a call
 * that Ctrl-C interrupted, whatever was said to sigaction. */
static enum error_code code_of(int cause) {
    return cause == ENOENT   ? ERROR_MISSING
           : cause == ENOMEM ? ERROR_MEMORY
           : cause == EINTR  ? ERROR_INTERRUPTED
           : cause == EAGAIN ? ERROR_BUSY
                             : ERROR_IO;
}

bool error_errno(struct error *err, const char *format, ...) {
    int cause = errno;
    char what[900];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    cut_clean(what, sizeof what);
    if (cause == ENOSPC || cause == EDQUOT || cause == EFBIG)
        return error_set(
            err, ERROR_FULL,
            "cannot %s: no space left%s and run the same command again", what,
            cause == ENOSPC   ? "; free some"
            : cause == EDQUOT ? " of what this user or folder may have "
                                "(its quota); free some"
                              : " in one file: it has the greatest size that "
                                "is allowed (ulimit -f); raise that");
    return error_set(err, code_of(cause), "cannot %s: %s%s", what,
                     in_words(cause), remedy(cause));
}

const char *error_name(enum error_code code) {
    static const char *const names[] = {
#define ERROR_NAME(code, name) name,
        ERROR_CODES(ERROR_NAME)
#undef ERROR_NAME
    };
    return names[code];
}
