/* lock.h - one process at a time in an output folder.
 *
 *     int fd;
 *     if (!lock_take("out/.ensembed", "out", &fd, err)) ...
 *     lock_drop(fd);
 *
 * flock(2) on FOLDER/lock: the kernel drops it when its holder dies. The file
 * stays, with "PROCESS HOST" of its holder in it: if it were removed, one
 * process could wait on the old inode while another locks the new one. */

#ifndef RUN_LOCK_H
#define RUN_LOCK_H

#include <stdbool.h>

#include "base/error.h"

/* *FD is the lock; ERROR_BUSY if another process has it. NAME is what the
 * message calls the place. */
bool lock_take(const char *folder, const char *name, int *fd,
               struct error *err);
void lock_drop(int fd); /* -1 is fine */

/* Does somebody have the lock of FOLDER? No, where there is none, or where we
 * may not look. */
bool lock_is_held(const char *folder);

#endif
