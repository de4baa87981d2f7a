/* pass_texts.h - texts of a pass's window, decoded by all threads and handed
 * out in their order. For pass.c.
 *
 *     pass_texts_open(&t, intake, pool, err)
 *     while (pass_texts_has_room(&t, bytes)) // of the next chunk in its file
 *         pass_texts_want(&t, point, bytes);
 *     pass_texts_decode(&t);
 *     while (pass_texts_left(&t))
 *         pass_texts_next(&t, &text, err) ... text.text, text.chunk_id ...
 *     pass_texts_close(&t);
 *
 * Each thread decodes a share of the points that are wanted, with a reader of
 * its own. A few threads are enough: they read faster than the others would
 * compute. With one thread, and for a chunk that is larger than a share, there
 * is never room: whoever has it decodes it. All memory is taken at the opening.
 */

#ifndef RUN_PASS_TEXTS_H
#define RUN_PASS_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "data/chunks.h"

struct text_reader;

struct pass_text {
    uint64_t point;
    uint8_t digest[SHA256_BYTES];
    struct str text, chunk_id;
};

/* {0}: there is never room. */
struct pass_texts {
    const struct intake *intake; /* borrowed */
    struct pool *pool;           /* borrowed */
    struct text_reader *readers; /* [readers_count] */
    size_t readers_count;
    struct pass_text *list; /* [room] */
    size_t room, count;
    size_t ready;   /* of the list: 0 while they are wanted, then all */
    size_t next;    /* of those: it is handed out next */
    uint64_t bytes; /* of the chunks that are wanted */
};

/* What opening takes, as memory counts it. */
uint64_t pass_texts_bytes(const struct intake *intake, const struct pool *pool);
bool pass_texts_open(struct pass_texts *texts, const struct intake *intake,
                     struct pool *pool, struct error *err);
void pass_texts_close(struct pass_texts *texts); /* {0} is fine */

/* For a chunk of BYTES besides those that are wanted. None while decoded texts
 * are left. */
bool pass_texts_has_room(const struct pass_texts *texts, uint64_t bytes);
/* POINT comes behind those that were wanted before. */
void pass_texts_want(struct pass_texts *texts, uint64_t point, uint64_t bytes);
/* By all threads of the pool. What goes wrong is said when the text is asked
 * for. */
void pass_texts_decode(struct pass_texts *texts);

static inline bool pass_texts_left(const struct pass_texts *texts) {
    return texts->next < texts->ready;
}
/* Borrows until the next one. */
bool pass_texts_next(struct pass_texts *texts, struct pass_text *text,
                     struct error *err);

#endif
