#include "run/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"

/* For people who look for the holder; the lock does not depend on it. */
static void note_holder(int fd) {
    char text[24];
    int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)size, 0) < 0)
        errno = 0; /* a full disk: then the note is missing */
}

static bool busy(int fd, const char *name, struct error *err) {
    char text[24] = "";
    ssize_t got = pread(fd, text, sizeof text - 1, 0);
    long holder = got > 0 ? strtol(text, NULL, 10) : 0;
    char process[48] = "";
    if (holder > 0)
        snprintf(process, sizeof process, " (process %ld)", holder);
    return error_set(err, ERROR_BUSY,
                     "%s is in use by another run%s; wait for it, or give this "
                     "one another --out",
                     name, process);
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
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
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
