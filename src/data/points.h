/* points.h - the line files of a collection: points.jsonl (one Qdrant point a
 * line), texts.jsonl, metadata.jsonl. Line i of each is row i of the arrays.
 */

#ifndef DATA_POINTS_H
#define DATA_POINTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"
#include "data/chunks.h"

struct named_vector {
    const char *name;    /* KEY or "fused" */
    const float *values; /* [width], borrowed */
    size_t width;
};

/* One point as a line with its newline, appended to OUT:
 * {"id":UUID,"vector":{NAME:[...],...},"payload":{...}}
 * Failures are OUT's own (strbuf_ok). */
void point_line(struct strbuf *out, const struct chunk *chunk,
                const struct collection *collection, const char *text_field,
                const struct named_vector *vectors, size_t count);

/* X as a JSON number with the fewest significant digits (at most 9) that are
 * certain to give the same f32 back, appended to OUT. X is finite. Minus zero
 * is -0.0, because Python reads -0 as the integer 0. */
void float_write(struct strbuf *out, float x);

#endif
