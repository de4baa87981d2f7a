#include "run/spool.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/file.h"

enum { PIECE_BYTES = 256 * 1024, POLL_MS = 500 };

static bool copy(struct file_writer *writer, const struct sink *sink, int fd,
                 char *piece, struct error *err) {
    for (;;) {
        if (event_interrupted(sink))
            return error_set(err, ERROR_INTERRUPTED, "interrupted");
        /* Unlike a read, poll comes back when a signal does. */
        struct pollfd input = {fd, POLLIN, 0};
        if (fd >= 0 && poll(&input, 1, POLL_MS) <= 0)
            continue;
        ssize_t got = read(fd, piece, PIECE_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(err, "read standard input");
        if (got == 0)
            return true;
        if (!file_writer_add(writer, piece, (size_t)got, err))
            return false;
    }
}

bool spool(struct memory *memory, const struct sink *sink, int fd,
           const char *path, struct error *err) {
    struct file_writer writer = {.fd = -1};
    char *piece = memory_alloc(memory, PIECE_BYTES, 1, err);
    bool fine = piece && file_writer_open(&writer, path, memory, err) &&
                copy(&writer, sink, fd, piece, err) &&
                file_writer_commit(&writer, err);
    if (writer.memory)
        file_writer_close(&writer);
    memory_free(memory, piece);
    return fine;
}
