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
 * A sparse vector is {"indices":[...],"values":[...]}, which may be empty; a
 * multivector is [[...],...], and one without vectors is not named: Qdrant
 * refuses it (lib/common/common/src/validation.rs).
 * Failures are OUT's own (strbuf_ok). */
void point_line(struct strbuf *out, const struct chunk *chunk,
                const struct collection *collection, const char *text_field,
                const struct named_vector *vectors, size_t count);

/* The same to the end of FILE, by way of SCRATCH, which stays small however
 * many vectors a multivector has. */
bool point_write(struct file_writer *file, struct strbuf *scratch,
                 const struct chunk *chunk, const struct collection *collection,
                 const char *text_field, const struct named_vector *vectors,
                 size_t count, struct error *err);

/* Does Qdrant take a multivector of COUNT vectors of WIDTH? Its numbers must be
 * fewer than MAX_MULTIVECTOR_FLATTENED_LEN (same file). */
enum { QDRANT_MULTI_FLOATS = 1024 * 1024 - 1 };
static inline bool qdrant_takes_multi(size_t count, size_t width) {
    return count <= QDRANT_MULTI_FLOATS / width;
}

/* ERR is that there was no memory for CHUNK's lines: say whose they are, and
 * what helps. Any other failure stays as it is. False. */
bool point_has_no_room(const struct chunk *chunk, struct error *err);

/* X as a JSON number with the fewest significant digits (at most 9) that are
 * certain to give the same f32 back, appended to OUT. X is finite. Minus zero
 * is -0.0, because Python reads -0 as the integer 0. */
void float_write(struct strbuf *out, float x);

#endif
