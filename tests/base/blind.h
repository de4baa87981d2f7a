/* blind.h - a system that fails once to say what a name is: a disk, or a server
 * of files, for a moment. A test that includes it is linked with --wrap=stat,
 * --wrap=lstat and --wrap=opendir.
 *
 *     for (int n = 1; blind_from(n), look(), blind_was(); n++)
 *         ... what came of the look whose N-th question failed ...
 */

#ifndef TESTS_BASE_BLIND_H
#define TESTS_BASE_BLIND_H

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

static int blind_in; /* questions until the one that fails; 0: none does */

static inline void blind_from(int question) {
    blind_in = question;
}

/* Did one fail? From here on none does. */
static inline bool blind_was(void) {
    bool was = !blind_in;
    blind_in = 0;
    return was;
}

static inline bool blind(void) {
    if (!blind_in || --blind_in)
        return false;
    errno = EIO;
    return true;
}

int __real_stat(const char *path, struct stat *status);
int __wrap_stat(const char *path, struct stat *status);
int __real_lstat(const char *path, struct stat *status);
int __wrap_lstat(const char *path, struct stat *status);
DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);

int __wrap_stat(const char *path, struct stat *status) {
    return blind() ? -1 : __real_stat(path, status);
}

int __wrap_lstat(const char *path, struct stat *status) {
    return blind() ? -1 : __real_lstat(path, status);
}

DIR *__wrap_opendir(const char *path) {
    return blind() ? NULL : __real_opendir(path);
}

#endif
