/* tally.h - how often each of a few names came: events by type, in bounded
 * memory. {0} is an empty one. Names beyond TALLY_MAX are counted as "other".
 */

#ifndef RUN_TALLY_H
#define RUN_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

enum { TALLY_MAX = 64, TALLY_NAME_BYTES = 40 };

struct tally {
    size_t count;
    struct {
        char name[TALLY_NAME_BYTES];
        uint64_t times;
    } entries[TALLY_MAX];
};

void tally_add(struct tally *tally, const char *name);
uint64_t tally_of(const struct tally *tally, const char *name);
/* {NAME: times}, in the order in which the names first came. */
json_t *tally_describe(const struct tally *tally);

#endif
