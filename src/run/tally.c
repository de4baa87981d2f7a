#include "run/tally.h"

#include <stdio.h>
#include <string.h>

static size_t find(const struct tally *tally, const char *name) {
    size_t i = 0;
    while (i < tally->count &&
           strncmp(tally->entries[i].name, name, TALLY_NAME_BYTES - 1) != 0)
        i++;
    return i;
}

void tally_add(struct tally *tally, const char *name) {
    size_t i = find(tally, name);
    if (i == TALLY_MAX - 1 && i == tally->count)
        name = "other";
    if (i == TALLY_MAX)
        i = TALLY_MAX - 1; /* which is "other" */
    if (i == tally->count)
        snprintf(tally->entries[tally->count++].name, TALLY_NAME_BYTES, "%s",
                 name);
    tally->entries[i].times++;
}

uint64_t tally_of(const struct tally *tally, const char *name) {
    size_t i = find(tally, name);
    return i < tally->count ? tally->entries[i].times : 0;
}

json_t *tally_describe(const struct tally *tally) {
    json_t *object = json_object();
    for (size_t i = 0; i < tally->count; i++)
        json_object_set_new(object, tally->entries[i].name,
                            json_integer((json_int_t)tally->entries[i].times));
    return object;
}
