/* cache_lock.h - one download of a blob at a time, between processes and
 * programs: flock(2) on CACHE/.locks/models--ORG--NAME/ETAG.lock, which is the
 * lock that huggingface_hub takes. The file stays: removing it would let two
 * processes hold two files of one name.
 *
 *     int lock = cache_lock_take(path, "model.safetensors", sink, err);
 *     if (lock < 0) ...
 *     cache_lock_release(lock);
 */

#ifndef HUB_CACHE_LOCK_H
#define HUB_CACHE_LOCK_H

#include "base/error.h"
#include "base/event.h"

/* Waits as long as it takes, or until the sink says to stop; -1 and ERR on
 * failure. WHAT is named in the line that says for whom we wait. */
int cache_lock_take(const char *path, const char *what, const struct sink *sink,
                    struct error *err);
void cache_lock_release(int lock);

#endif
