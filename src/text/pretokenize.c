/* pretokenize.c - see pretokenize.h. */

#include "text/pretokenize.h"

#include "base/utf8.h"
#include "text/unicode_tables.h"

static enum pretokenize_kind kind_of(uint32_t code) {
    uint16_t flags = unicode_flags(code);
    if (flags & UNICODE_WHITE)
        return PRETOKENIZE_WHITE;
    return flags & UNICODE_PUNCT ? PRETOKENIZE_PUNCT : PRETOKENIZE_LETTER;
}

void pretokenize_prepare(struct pretokenizer *pretokenizer) {
    for (uint32_t byte = 0; byte < 256; byte++)
        pretokenizer->bytes[byte] =
            (uint8_t)(byte < 0x80 ? kind_of(byte) : PRETOKENIZE_LOOK);
}

/* What stands at AT, and where it ends. */
static enum pretokenize_kind look(const struct pretokenizer *pretokenizer,
                                  struct str text, size_t at, size_t *end) {
    enum pretokenize_kind kind = pretokenizer->bytes[(uint8_t)text.data[at]];
    *end = at + 1;
    if (kind != PRETOKENIZE_LOOK)
        return kind;
    *end = at;
    return kind_of(utf8_next(text, end));
}

size_t pretokenize_end(const struct pretokenizer *pretokenizer, struct str text,
                       size_t at) {
    while (at < text.size) {
        size_t end;
        if (look(pretokenizer, text, at, &end) != PRETOKENIZE_LETTER)
            break;
        at = end;
    }
    return at;
}

bool pretokenize_next(const struct pretokenizer *pretokenizer, struct str text,
                      size_t *at, struct str *word) {
    size_t begin = *at, end = *at;
    enum pretokenize_kind kind = PRETOKENIZE_WHITE;
    while (begin < text.size &&
           (kind = look(pretokenizer, text, begin, &end)) == PRETOKENIZE_WHITE)
        begin = end;
    if (begin < text.size && kind == PRETOKENIZE_LETTER)
        end = pretokenize_end(pretokenizer, text, end);
    *word = (struct str){text.data + begin, end - begin};
    *at = end;
    return begin < text.size;
}
