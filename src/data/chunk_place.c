/* chunk_place.c - see chunk_place.h. */

#include "data/chunk_place.h"

#include <unistd.h>

bool chunk_place_find(struct json_scan *scan, enum json_event event,
                      struct chunk_place *place) {
    *place = (struct chunk_place){.begin = scan->begin,
                                  .line = scan->line,
                                  .line_begin = scan->line_begin};
    if (!json_scan_skip(scan, event))
        return false;
    place->end = scan->end;
    return true;
}

static const char *const wrappers[] = {"chunks", "data", "records", "items"};
enum { WRAPPERS = sizeof wrappers / sizeof *wrappers };

/* The number in WRAPPERS of the key that the scan gave last, or WRAPPERS. */
static size_t wrapper_of(const struct json_scan *scan, int fd) {
    char raw[64];
    uint64_t size = scan->end - scan->begin - 2;
    if (size > sizeof raw ||
        pread(fd, raw, (size_t)size, (off_t)scan->begin + 1) != (ssize_t)size)
        return WRAPPERS;
    for (size_t i = 0; i < WRAPPERS; i++)
        if (json_key_is((struct str){raw, (size_t)size}, wrappers[i]))
            return i;
    return WRAPPERS;
}

/* An object: the list under the first of the wrappers' names that has one, or
 * else a chunk itself. */
static bool find_wrapped(struct json_scan *scan, int fd,
                         struct chunk_shape *shape) {
    struct chunk_place lists[WRAPPERS + 1] = {0};
    bool is_list[WRAPPERS + 1] = {false};
    enum json_event event;
    while ((event = json_scan_next(scan)) == SCAN_KEY) {
        size_t wrapper = wrapper_of(scan, fd);
        event = json_scan_next(scan);
        is_list[wrapper] = event == SCAN_ARRAY;
        if (!chunk_place_find(scan, event, &lists[wrapper]))
            return false;
    }
    shape->place.end = scan->end;
    for (size_t i = WRAPPERS; i-- > 0;)
        if (is_list[i]) {
            shape->kind = SHAPE_LIST;
            shape->place = lists[i];
        }
    return event != SCAN_ERROR;
}

bool chunk_shape_find(struct json_scan *scan, int fd,
                      struct chunk_shape *shape) {
    enum json_event event = json_scan_next(scan);
    *shape = (struct chunk_shape){.kind = SHAPE_NONE, .event = event};
    shape->place = (struct chunk_place){.begin = scan->begin,
                                        .line = scan->line,
                                        .line_begin = scan->line_begin};
    bool fine;
    if (event == SCAN_OBJECT) {
        shape->kind = SHAPE_ONE;
        fine = find_wrapped(scan, fd, shape);
    } else {
        fine = chunk_place_find(scan, event, &shape->place);
        shape->kind = event == SCAN_ARRAY    ? SHAPE_LIST
                      : event == SCAN_STRING ? SHAPE_ONE
                                             : SHAPE_NONE;
    }
    return fine && json_scan_next(scan) == SCAN_END;
}
