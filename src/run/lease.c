#include "run/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/utf8.h"
#include "run/lease_note.h"

enum {
    POLL_MS = 50,   /* flock(2) has no timed wait */
    GLANCE_MS = 1,  /* lease_holder's look at a lock is over by then ... */
    GLANCES = 3,    /* ... and is not taken for a holder */
    FILE_TRIES = 16 /* of others making and removing the lock file */
};

/* ---- the folder and the file --------------------------------------------- */

static bool make_folder(const char *path, struct error *err) {
    char above[PATH_MAX];
    snprintf(above, sizeof above, "%s", path);
    char *slash = strrchr(above, '/');
    if (slash && slash != above) {
        *slash = '\0';
        if (!folder_make(above, err))
            return false;
    }
    if (mkdir(path, 0777) == 0)
        chmod(path, 01777); /* whatever the umask says */
    else if (errno != EEXIST)
        return error_errno(err, "make the lock folder %s", path);
    return true;
}

/* Without slashes at its end, which would have a link followed. */
static bool folder_path(const char *dir, char path[PATH_MAX],
                        struct error *err) {
    size_t size = strlen(dir);
    while (size > 1 && dir[size - 1] == '/')
        size--;
    if (size >= PATH_MAX)
        return error_set(err, ERROR_USAGE,
                         "the path of the lock folder is too long: %s", dir);
    memcpy(path, dir, size);
    path[size] = '\0';
    return true;
}

static int open_folder(const char *dir, bool make, struct error *err) {
    char path[PATH_MAX];
    if (!folder_path(dir, path, err))
        return -1;
    if (make && !folder_exists(path) && !make_folder(path, err))
        return -1;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder < 0)
        error_errno(err,
                    "open the lock folder %s (it must be a folder and no "
                    "link; --lock-dir names another)",
                    path);
    return folder;
}

/* A file that is there is opened without O_CREAT: in a folder for all users
 * the kernel refuses that on another user's file. */
static int open_or_make(int folder, const char *name) {
    enum { FLAGS = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY };
    for (int i = 0; i < FILE_TRIES; i++) {
        int fd = openat(folder, name, O_RDWR | FLAGS);
        if (fd < 0 && errno == EACCES) /* enough for a lock */
            fd = openat(folder, name, O_RDONLY | FLAGS);
        if (fd >= 0 || errno != ENOENT)
            return fd;
        fd = openat(folder, name, O_RDWR | O_CREAT | O_EXCL | FLAGS, 0666);
        if (fd >= 0)
            fchmod(fd, 0666); /* whatever the umask says */
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* A second name would be another user's way to have us write into a file. */
static bool is_ordinary(int fd) {
    struct stat facts;
    return fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) &&
           facts.st_nlink <= 1;
}

static bool lock_name(const char *device, char name[NAME_MAX + 1]) {
    return snprintf(name, NAME_MAX + 1, "%s.lock", device) <= NAME_MAX &&
           !strchr(name, '/');
}

static bool lock_open(struct lease *lease, const char *dir, struct error *err) {
    char name[NAME_MAX + 1];
    if (!lock_name(device_identity(lease->device), name))
        return error_set(err, ERROR_USAGE, "'%s' cannot be the name of a lock",
                         lease->name);
    int folder = open_folder(dir, true, err);
    if (folder < 0)
        return false;
    lease->lock_fd = open_or_make(folder, name);
    int cause = errno;
    close(folder);
    errno = cause;
    if (lease->lock_fd < 0)
        return error_errno(err,
                           "open the lock %s/%s (--lock-dir names another "
                           "folder)",
                           dir, name);
    if (!is_ordinary(lease->lock_fd))
        return error_set(err, ERROR_IO,
                         "the lock %s/%s is no ordinary file of one name; "
                         "remove it, or name another folder with --lock-dir",
                         dir, name);
    return true;
}

/* ---- waiting ------------------------------------------------------------- */

/* 1: locked, 0: somebody else has it, -1: an error. */
static int lock_try(const struct lease *lease, struct error *err) {
    while (flock(lease->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return 0;
        if (errno != EINTR) {
            error_errno(err,
                        "lock %s.lock in the lock folder (--lock-dir names "
                        "another)",
                        lease->name);
            return -1;
        }
    }
    return 1;
}

static int lock_glance(const struct lease *lease, struct error *err) {
    int got = lock_try(lease, err);
    for (int i = 0; got == 0 && i < GLANCES; i++) {
        clock_sleep_ms(GLANCE_MS);
        got = lock_try(lease, err);
    }
    return got;
}

static bool busy(const struct lease *lease, const char *holder, int64_t wait_ms,
                 struct error *err) {
    return error_set(err, ERROR_BUSY,
                     "%s is leased by %s, and stayed so for %.1f s; run the "
                     "same command later, or wait for longer (--lease-wait)",
                     lease->name, holder, (double)wait_ms / 1000);
}

static void say_waiting(const struct lease *lease, const char *holder) {
    event_log(lease->sink, LOG_INFO, "waiting for %s: it is leased by %s",
              lease->name, holder);
    event_emit(
        lease->sink, "lease_waiting",
        json_pack("{s:s, s:s}", "device", lease->name, "holder", holder));
}

static bool lock_wait(struct lease *lease, int64_t wait_ms, struct error *err) {
    int64_t begin_ms = clock_now_ms();
    bool said = false;
    int got;
    while ((got = lock_glance(lease, err)) == 0) {
        char holder[LEASE_HOLDER_BYTES];
        int64_t waited_ms = clock_now_ms() - begin_ms;
        lease_note_read(lease->lock_fd, holder);
        if (wait_ms >= 0 && waited_ms >= wait_ms)
            return busy(lease, holder, wait_ms, err);
        if (!said)
            say_waiting(lease, holder);
        said = true;
        if (event_interrupted(lease->sink))
            return error_set(err, ERROR_INTERRUPTED,
                             "interrupted while waiting for %s", lease->name);
        bool last = wait_ms >= 0 && wait_ms - waited_ms < POLL_MS;
        clock_sleep_ms(last ? wait_ms - waited_ms : POLL_MS);
    }
    return got > 0;
}

/* ---- the lease ----------------------------------------------------------- */

static double ms_since(int64_t begin_ns) {
    return (double)(clock_now_ns() - begin_ns) / 1e6;
}

static void lease_drop(struct lease *lease) {
    if (lease->lock_fd >= 0)
        close(lease->lock_fd); /* closing the file drops the lock */
    lease->lock_fd = -1;
    lease->device = NULL;
}

static bool lock_device(struct lease *lease, const struct lease_terms *terms,
                        struct error *err) {
    if (lease->device->shared || !terms->lock_dir)
        return true;
    return lock_open(lease, terms->lock_dir, err) &&
           lock_wait(lease, terms->wait_ms, err);
}

/* JSON takes nothing but UTF-8. */
static void set_holder(struct lease *lease, const char *holder) {
    snprintf(lease->holder, sizeof lease->holder, "%s", holder);
    lease->holder[utf8_valid_prefix(str_from(lease->holder))] = '\0';
}

bool lease_acquire(struct lease *lease, struct device *device,
                   const char *holder, const struct lease_terms *terms,
                   struct error *err) {
    int64_t asked_ns = clock_now_ns();
    *lease =
        (struct lease){.device = device, .sink = terms->sink, .lock_fd = -1};
    snprintf(lease->name, sizeof lease->name, "%s", device->name);
    set_holder(lease, holder);
    if (!lock_device(lease, terms, err) ||
        !device_bytes_free(device, &lease->bytes_before, err)) {
        lease_drop(lease);
        return false;
    }
    lease->live_before = memory_live(device->account);
    lease->begin_ns = clock_now_ns();
    lease->waited_ms = ms_since(asked_ns);
    if (lease->lock_fd >= 0)
        lease_note_write(lease->lock_fd, lease->holder);
    event_emit(lease->sink, "lease_acquired",
               json_pack("{s:s, s:s, s:I, s:f}", "device", lease->name, "model",
                         lease->holder, "free_bytes",
                         (json_int_t)lease->bytes_before, "waited_ms",
                         lease->waited_ms));
    return true;
}

static void warn_left_behind(const struct lease *lease) {
    int64_t left = lease_bytes_left_behind(lease);
    if (left <= LEASE_LEFT_BEHIND_WARNING)
        return;
    event_log(lease->sink, LOG_WARNING,
              "%s: %" PRId64 " bytes fewer are free after %s than before it "
              "(%" PRIu64 ", then %" PRIu64 "): left behind by it, or taken by "
              "another program",
              lease->name, left, lease->holder, lease->bytes_before,
              lease->bytes_after);
}

void lease_release(struct lease *lease, uint64_t peak_bytes,
                   size_t budget_tokens) {
    if (!lease->device)
        return;
    bool shared = lease->device->shared;
    lease->held_ms = ms_since(lease->begin_ns);
    lease->live_after = memory_live(lease->device->account);
    /* A reading that fails must not keep the device from the next process. */
    if (!device_bytes_free(lease->device, &lease->bytes_after, NULL)) {
        lease->bytes_after = lease->bytes_before;
        lease->live_after = lease->live_before;
    }
    if (lease->lock_fd >= 0)
        lease_note_clear(lease->lock_fd);
    lease_drop(lease);
    event_emit(lease->sink, "lease_released",
               json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:I, s:I}", "device",
                         lease->name, "model", lease->holder, "bytes_before",
                         (json_int_t)lease->bytes_before, "bytes_after",
                         (json_int_t)lease->bytes_after, "bytes_left_behind",
                         (json_int_t)lease_bytes_left_behind(lease),
                         "duration_ms", lease->held_ms, "peak_bytes",
                         (json_int_t)peak_bytes, "budget_tokens",
                         (json_int_t)budget_tokens));
    if (!shared)
        warn_left_behind(lease);
}

int64_t lease_bytes_left_behind(const struct lease *lease) {
    int64_t gone = (int64_t)(lease->bytes_before - lease->bytes_after);
    int64_t held = (int64_t)(lease->live_after - lease->live_before);
    return gone - held;
}

json_t *lease_describe(const struct lease *lease, uint64_t peak_bytes,
                       size_t budget_tokens) {
    return json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:I, s:I}", "device", lease->name,
        "model", lease->holder, "bytes_before", (json_int_t)lease->bytes_before,
        "bytes_after", (json_int_t)lease->bytes_after, "bytes_left_behind",
        (json_int_t)lease_bytes_left_behind(lease), "waited_ms",
        lease->waited_ms, "duration_ms", lease->held_ms, "peak_bytes",
        (json_int_t)peak_bytes, "budget_tokens", (json_int_t)budget_tokens);
}

bool lease_holder(const char *lock_dir, const char *identity, char text[256]) {
    char name[NAME_MAX + 1];
    if (!lock_dir || !lock_name(identity, name))
        return false;
    int folder = open_folder(lock_dir, false, NULL);
    if (folder < 0)
        return false;
    int fd = openat(folder, name,
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    close(folder);
    if (fd < 0)
        return false;
    bool held = is_ordinary(fd) && flock(fd, LOCK_SH | LOCK_NB) != 0 &&
                errno == EWOULDBLOCK;
    if (held)
        lease_note_read(fd, text);
    close(fd);
    return held;
}
