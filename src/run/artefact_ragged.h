/* artefact_ragged.h - the sparse vectors and multivectors of a collection on
 * their way to disk: KEY.sparse.npz, KEY.multi.npy with KEY.multi.offsets.npy,
 * and their place in points.jsonl. For artefacts.c, which writes a point at a
 * time.
 *
 *     ragged_open(&r, a, exports, err)
 *     ragged_add(&r, rows, chunk, vectors, err)     for each point
 *     ragged_commit(&r, err)
 *     ragged_close(&r)
 */

#ifndef RUN_ARTEFACT_RAGGED_H
#define RUN_ARTEFACT_RAGGED_H

#include <limits.h>
#include <stdbool.h>

#include <jansson.h>

#include "data/csr.h"
#include "data/multi.h"
#include "data/points.h"
#include "run/artefacts.h"

/* The chunks' own term weights, which no model makes, have a KEY as well. */
#define TERMS_KEY "chunk-terms"

/* Names of the files of KEY's HEAD (sparse or multi): how many, 1 or 2. */
enum { RAGGED_FILES_MAX = 2 };
size_t ragged_file_names(const char *key, enum row_kind head,
                         char names[RAGGED_FILES_MAX][NAME_MAX + 1]);

/* One head of one member, or the chunks' terms. */
struct ragged {
    const char *key;     /* borrowed */
    struct store *store; /* borrowed; NULL: terms */
    enum row_kind head;
    uint64_t width; /* as a store's: of a vector, or of the index space */
    char name[VECTOR_NAME_MAX]; /* in points.jsonl and stats.json */
    bool to_file;
    struct csr_writer csr;
    struct multi_writer multi;
    struct row_buffer buffer;
    size_t index; /* of the member in the roster */
    /* for stats.json: pairs or vectors */
    uint64_t points, items, most, empty;
    uint64_t oversized; /* multivectors that Qdrant does not take */
};

struct ragged_set {
    struct memory *memory; /* borrowed */
    struct ragged *list;   /* [count] */
    size_t count;
};

/* Those that have a store, and terms if EXPORTS has them. On failure what is
 * open must be closed as well. */
bool ragged_open(struct ragged_set *set, const struct artefacts *a,
                 unsigned exports, struct error *err);
void ragged_close(struct ragged_set *set); /* {0} is fine */

/* A text's rows in the stores of one member. */
struct head_rows {
    uint64_t of[ROW_KINDS];
};

/* A point, whose rows in each member's stores are ROWS [roster->count], to the
 * files and to VECTORS [set->count], which borrow until the next point. CHUNK
 * is only used for its terms. */
bool ragged_add(struct ragged_set *set, const struct head_rows *rows,
                const struct chunk *chunk, struct named_vector *vectors,
                struct error *err);
/* Tell what Qdrant will not take of points.jsonl. */
void ragged_warn(const struct ragged_set *set, const struct sink *sink,
                 const char *collection);
bool ragged_commit(struct ragged_set *set, struct error *err);

/* Each one's {"rows", "width", ...} under its name, put into VECTORS. */
void ragged_describe(const struct ragged_set *set, json_t *vectors);

#endif
