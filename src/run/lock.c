#include "run/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"

bool lock_take(const char *folder, int *fd, struct error *err) {
    char path[PATH_MAX];
    *fd = -1;
    if (!path_join(path, folder, "lock", err))
        return false;
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock < 0)
        return error_errno(err, "open %s", path);
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        bool busy = errno == EWOULDBLOCK;
        if (!busy)
            error_errno(err, "lock %s", path);
        close(lock);
        return busy ? error_set(err, ERROR_BUSY,
                                "%s is in use by another run; wait for it, or "
                                "give this one another --out",
                                folder)
                    : false;
    }
    *fd = lock;
    return true;
}

void lock_drop(int fd) {
    if (fd >= 0)
        close(fd);
}
