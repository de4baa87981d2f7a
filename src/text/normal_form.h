/* normal_form.h - NFC, NFD, NFKC and NFKD as `tokenizers` has them.
 *
 *     struct codes codes = {.memory = memory};
 *     normal_form(FORM_NFC, &codes, text, &out);
 *     if (!strbuf_ok(&out, err)) ...
 *
 * TEXT is valid UTF-8. A run of marks is held as long as it is, 8 bytes each;
 * time is linear in it.
 */

#ifndef TEXT_NORMAL_FORM_H
#define TEXT_NORMAL_FORM_H

#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "base/str.h"

enum form { FORM_NFC, FORM_NFD, FORM_NFKC, FORM_NFKD };

/* A character and its marks while they are put in order. */
struct codes {
    struct memory *memory; /* borrowed */
    uint32_t *list;        /* owned: code point, and its rank from bit 24 */
    size_t count;
    size_t capacity;
};

/* The form of TEXT appended to OUT, which is marked as failed when memory runs
 * out. */
void normal_form(enum form form, struct codes *codes, struct str text,
                 struct strbuf *out);

#endif
