#include "hub/cache_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

enum { NAP_MS = 100, QUIET_MS = 2000 };

static int open_lock(const char *path, struct error *err) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0664);
    if (fd < 0)
        error_errno(err, "open the lock %s", path);
    else
        (void)fchmod(fd,
                     0664); /* others of the group wait too; if it is ours */
    return fd;
}

static bool wait_lock(int fd, const char *path, const char *what,
                      const struct sink *sink, struct error *err) {
    int64_t begin = clock_now_ms();
    bool said = false;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_errno(err, "lock %s", path);
        if (event_interrupted(sink))
            return error_set(err, ERROR_INTERRUPTED, "interrupted");
        if (!said && clock_now_ms() - begin > QUIET_MS) {
            event_log(sink, LOG_INFO,
                      "%s: waiting for another process that fetches it", what);
            said = true;
        }
        clock_sleep_ms(NAP_MS);
    }
    return true;
}

int cache_lock_take(const char *path, const char *what, const struct sink *sink,
                    struct error *err) {
    int fd = open_lock(path, err);
    if (fd < 0 || wait_lock(fd, path, what, sink, err))
        return fd;
    close(fd);
    return -1;
}

void cache_lock_release(int lock) {
    close(lock);
}
