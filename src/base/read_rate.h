/* read_rate.h - how fast this machine's threads read memory.
 *
 * What reads many bytes and computes little with them (a scan over vectors, a
 * query through a model's weights) cannot be faster than this, and on another
 * machine the same milliseconds mean something else. So it is measured beside
 * them, in the same process, with the same threads and over as many bytes.
 *
 *     struct read_rate rate;
 *     read_rate_measure(pool, rows, bytes, 9, &rate);
 *     printf("%.1f GB/s\n", rate.best / 1e9);
 *
 * The best round is the machine's; the median says how quiet it was.
 */

#ifndef BASE_READ_RATE_H
#define BASE_READ_RATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"

struct read_rate {
    double best, median; /* bytes a second */
    uint64_t sum;        /* of all 8-byte words, so that they were read */
};

enum { READ_ROUNDS_MOST = 101 };

/* Sum BYTES bytes at DATA (aligned to 8; what is more than a multiple of 64 is
 * left out) ROUNDS times, 1 to READ_ROUNDS_MOST, with all threads of POOL, each
 * its own part. A round before these brings the pages in. */
void read_rate_measure(struct pool *pool, const void *data, size_t bytes,
                       int rounds, struct read_rate *rate);

#endif
