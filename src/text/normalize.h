/* normalize.h - BertNormalizer: clean_text, handle_chinese_chars,
 * strip_accents, lowercase, in this order.
 *
 * Text comes in pieces of any size, cut between code points; the pieces
 * together give what the whole would have given:
 *
 *     while (...)
 *         normalize_add(normalizer, &marks, piece, &out);
 *     normalize_end(&marks, &out);
 *     if (!strbuf_ok(&out, err)) ...
 *
 * What crosses pieces are combining marks that survive strip_accents (few do):
 * canonical order sorts a run of them, so they wait until it ends.
 */

#ifndef TEXT_NORMALIZE_H
#define TEXT_NORMALIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "base/str.h"

struct normalizer {
    bool clean_text;
    bool handle_chinese_chars;
    bool strip_accents; /* with the decomposition that it implies */
    bool lowercase;
    uint8_t ascii[128]; /* what each becomes; NORMALIZE_DROP: nothing */
};

enum { NORMALIZE_DROP = 0xFF };

/* Marks that wait for the end of their run. */
struct normalize_marks {
    struct memory *memory; /* borrowed */
    uint32_t *codes;       /* owned */
    size_t count;
    size_t capacity;
};

/* To be called when the four options are set. */
void normalize_prepare(struct normalizer *normalizer);

/* Append to OUT; bytes that are not UTF-8 count as U+FFFD. When memory runs
 * out OUT is marked as failed. */
void normalize_add(const struct normalizer *normalizer,
                   struct normalize_marks *marks, struct str text,
                   struct strbuf *out);
/* The text ends here: MARKS is empty afterwards. */
void normalize_end(struct normalize_marks *marks, struct strbuf *out);

#endif
