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
#include "data/rows.h"

struct named_vector {
    const char *name;    /* KEY, "fused", KEY-sparse, KEY-multi */
    const float *values; /* borrowed. Dense: [width]; else as in rows.h */
    size_t width;        /* floats a vector; not used in a sparse one */
    enum row_kind kind;  /* 0: dense */
    size_t count;        /* sparse: pairs; multi: vectors */
    const uint32_t *indices;
};

/* One point as a line with its newline, appended to OUT:
 * {"id":UUID,"vector":{NAME:[...],...},"payload":{...}}
 * A sparse vector is {"indices":[...],"values":[...]}, a multivector
 * [[...],...]; one that has nothing in it is not named (Qdrant refuses an
 * empty multivector, and an empty sparse vector is never found anyway).
 * Failures are OUT's own (strbuf_ok). */
void point_line(struct strbuf *out, const struct chunk *chunk,
                const struct collection *collection, const char *text_field,
                const struct named_vector *vectors, size_t count);

/* X as a JSON number with the fewest significant digits (at most 9) that are
 * certain to give the same f32 back, appended to OUT. X is finite. Minus zero
 * is -0.0, because Python reads -0 as the integer 0. */
void float_write(struct strbuf *out, float x);

#endif
