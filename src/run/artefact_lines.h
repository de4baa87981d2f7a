/* artefact_lines.h - the line files of a collection: points.jsonl with where
 * each of its lines begins, texts.jsonl, metadata.jsonl. For artefacts.c.
 *
 *     lines_open(&l, a, exports, text_field, vectors, floats, err)
 *     for each point, whose chunk has BYTES in its file:
 *         lines_may_wait(&l, bytes, &waits, err)
 *         waits ? lines_add(&l, point, bytes, vectors, count, err)
 *               : lines_add_chunk(&l, &chunk, vectors, count, err)
 *     lines_flush(&l, err)     // the last points that wait
 *     lines_commit(&l, err)    // the files get their names
 *     lines_close(&l)
 *
 * Most of a line's cost is the chunk: read, checked, its metadata walked.
 * Points that wait do so until there are enough for all threads of the
 * session's pool; each thread then decodes its share and makes their lines, and
 * the caller writes them down in order. The files are the same bytes however
 * many threads there are. What threads take is in no plan: where the ceiling
 * has no room for it, or a large chunk needs it, they give it back, and lines
 * are made one by one.
 */

#ifndef RUN_ARTEFACT_LINES_H
#define RUN_ARTEFACT_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "data/points.h"
#include "run/artefacts.h"

struct line_maker;

struct lines {
    const struct artefacts *a; /* borrowed */
    unsigned exports;          /* export_bits; of others nothing is made */
    const char *text_field;
    struct file_writer points, offsets, texts, metadata;
    struct strbuf line; /* of lines_add_chunk */
    /* the points that are waiting */
    struct line_maker *makers; /* [makers_count] */
    size_t makers_count;       /* 0: none wait, all are made at once */
    bool asked;                /* whether there can be makers */
    uint64_t *waiting;         /* [room] their numbers */
    size_t count, room;
    uint64_t bytes;               /* of their chunks */
    struct named_vector *vectors; /* [room, vectors_a_point] */
    size_t vectors_a_point;
    float *floats; /* [room, floats_a_point], what VECTORS points to */
    size_t floats_a_point;
};

/* VECTORS names with FLOATS numbers together are what each point has; 0 where
 * points have other vectors than dense ones and come by lines_add_chunk alone.
 * On failure close as well. */
bool lines_open(struct lines *lines, const struct artefacts *a,
                unsigned exports, const char *text_field, size_t vectors,
                size_t floats, struct error *err);
void lines_close(struct lines *lines);

/* Which of the two for a point whose chunk has BYTES in its file. The first
 * call takes the threads' memory: whatever else an export needs is to be there
 * before. A large chunk does not wait, and may be decoded by the caller then.
 */
bool lines_may_wait(struct lines *lines, uint64_t bytes, bool *waits,
                    struct error *err);
/* VECTORS are copied. An error may be that of a point before. */
bool lines_add(struct lines *lines, uint64_t point, uint64_t bytes,
               const struct named_vector *vectors, size_t count,
               struct error *err);
bool lines_add_chunk(struct lines *lines, const struct chunk *chunk,
                     const struct named_vector *vectors, size_t count,
                     struct error *err);
/* Those that wait are written down: after the last point, for it is the time of
 * making lines and not that of bringing files to disk. */
bool lines_flush(struct lines *lines, struct error *err);
/* None waits. */
bool lines_commit(struct lines *lines, struct error *err);

#endif
