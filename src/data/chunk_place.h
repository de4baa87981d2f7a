/* chunk_place.h - where in a file its chunks lie.
 *
 * A JSON document is a list of chunks, an object that has such a list under one
 * of a few names, or one chunk: an object or a string. Which of them, only a
 * whole walk says, and the same walk checks all of its bytes.
 *
 *     struct chunk_shape shape;
 *     json_scan_file(&scan, fd, path, 0, size, buffer, buffer_bytes);
 *     if (!chunk_shape_find(&scan, fd, &shape))
 *         ... broken: scan.fault says how ...
 *     if (shape.kind == SHAPE_LIST)
 *         ... a second walk, of shape.place, element by element ...
 *
 * Nothing is decoded or judged here: what is no chunk is chunk_intake.c's to
 * say.
 */

#ifndef DATA_CHUNK_PLACE_H
#define DATA_CHUNK_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "data/json_scan.h"

/* Where in the file a value lies. */
struct chunk_place {
    uint64_t begin, end;
    uint64_t line, line_begin; /* of its first byte */
};

/* The value that EVENT, the scan's last, begins, walked to its end. False when
 * it is broken. */
bool chunk_place_find(struct json_scan *scan, enum json_event event,
                      struct chunk_place *place);

/* What a document is, and where its chunks are. */
struct chunk_shape {
    enum { SHAPE_NONE, SHAPE_ONE, SHAPE_LIST } kind;
    enum json_event event;    /* of the one */
    struct chunk_place place; /* of the one or the list */
};

/* SCAN is at the beginning of a document, which is open as FD, and is walked to
 * its end. False when the document is broken. */
bool chunk_shape_find(struct json_scan *scan, int fd,
                      struct chunk_shape *shape);

#endif
