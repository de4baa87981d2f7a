#include "run/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

/* A host's name has 64 characters at most on Linux. */
enum { HOST_BYTES = 65, NOTE_BYTES = 24 + HOST_BYTES };
enum { LOOK_MS = 50 };

/* Who has the lock, for people who look for them: the lock does not depend on
 * it. On a file system of many machines a process id alone would mislead. */
struct holder {
    long process;
    char host[HOST_BYTES]; /* "": not known */
};

static struct holder this_holder(void) {
    struct holder holder = {.process = (long)getpid()};
    if (gethostname(holder.host, sizeof holder.host - 1) != 0)
        holder.host[0] = '\0';
    return holder;
}

static void note_holder(int fd) {
    struct holder holder = this_holder();
    char text[NOTE_BYTES];
    int size = snprintf(text, sizeof text, "%ld%s%s\n", holder.process,
                        *holder.host ? " " : "", holder.host);
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)size, 0) < 0)
        errno = 0; /* a full disk: then the note is missing */
}

/* Anybody who may write to the folder may have written the note, and it goes to
 * a terminal: what is not a number and a host's name is nothing. */
static bool read_holder(int fd, struct holder *holder) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789.-_";
    char text[NOTE_BYTES];
    ssize_t got = pread(fd, text, sizeof text - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    char *end = text;
    errno = 0;
    *holder = (struct holder){.process = strtol(text, &end, 10)};
    if (text[0] < '1' || text[0] > '9' || errno)
        return false;
    if (*end == ' ') {
        size_t size = strspn(++end, allowed);
        if (size == 0 || size >= sizeof holder->host)
            return false;
        memcpy(holder->host, end, size);
        end += size;
    }
    return *end == '\n' && end[1] == '\0';
}

static bool busy(int fd, const char *name, struct error *err) {
    struct holder holder, here = this_holder();
    char process[48 + HOST_BYTES] = "";
    if (read_holder(fd, &holder)) {
        bool away = *holder.host && strcmp(holder.host, here.host) != 0;
        snprintf(process, sizeof process, " (process %ld%s%s)", holder.process,
                 away ? " on " : "", away ? holder.host : "");
    }
    return error_set(err, ERROR_BUSY,
                     "%s is in use by another run%s; wait for it, or give this "
                     "one another --out",
                     name, process);
}

/* Who looks whether it is held (lock_is_held) has it for a moment. */
static bool take(int fd) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno != EWOULDBLOCK)
        return false;
    clock_sleep_ms(LOOK_MS);
    return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

bool lock_take(const char *folder, const char *name, int *fd,
               struct error *err) {
    char path[PATH_MAX];
    *fd = -1;
    if (!path_join(path, folder, "lock", err))
        return false;
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock < 0)
        return error_errno(err, "open %s", path);
    if (!take(lock)) {
        bool fine = errno == EWOULDBLOCK ? busy(lock, name, err)
                                         : error_errno(err, "lock %s", path);
        close(lock);
        return fine;
    }
    note_holder(lock);
    *fd = lock;
    return true;
}

void lock_drop(int fd) {
    if (fd >= 0)
        close(fd);
}

bool lock_is_held(const char *folder) {
    char path[PATH_MAX];
    int lock = path_join(path, folder, "lock", NULL)
                   ? open(path, O_RDONLY | O_CLOEXEC)
                   : -1;
    bool held = lock >= 0 && flock(lock, LOCK_SH | LOCK_NB) != 0 &&
                errno == EWOULDBLOCK;
    lock_drop(lock); /* with what was taken of it */
    return held;
}
