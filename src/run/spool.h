/* spool.h - standard input into a file: it can be read once, and a run reads
 * its chunks three times. */

#ifndef RUN_SPOOL_H
#define RUN_SPOOL_H

#include <stdbool.h>

#include "base/error.h"
#include "base/event.h"
#include "base/memory.h"

/* All that FD gives into the file at PATH. ERROR_INTERRUPTED if the sink says
 * so; then, as after any failure, there is no such file. */
bool spool(struct memory *memory, const struct sink *sink, int fd,
           const char *path, struct error *err);

#endif
