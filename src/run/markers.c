#include "run/markers.h"

#include <string.h>

/* The whole marker or its first word, whichever is a token; size 0: neither. */
static struct str token_of(const struct tokenizer *tokenizer,
                           const char *marker, uint32_t *id) {
    static const char blanks[] = " \t\n\r\f\v";
    struct str whole = str_from(marker ? marker : "");
    const char *word = whole.data + strspn(whole.data, blanks);
    struct str first = {word, strcspn(word, blanks)};
    if (!first.size)
        return first;
    if (tokenizer_id(tokenizer, whole, id))
        return whole;
    return tokenizer_id(tokenizer, first, id) ? first : (struct str){"", 0};
}

static bool is_one_piece(const struct tokenizer *tokenizer,
                         struct tokenizer_scratch *scratch,
                         struct memory *memory, struct str token, uint32_t id,
                         bool *is, struct error *err) {
    struct tokens tokens = tokens_make(memory);
    struct tokenized what;
    size_t before = tokenizer_special_before(tokenizer);
    bool fine = tokenizer_encode(tokenizer, scratch, token, 0, TOKENIZER_CUT,
                                 &tokens, &what, err);
    *is = fine && tokens.count == tokenizer_special_count(tokenizer) + 1 &&
          tokens.ids[before] == id;
    tokens_free(&tokens);
    return fine;
}

bool markers_broken(const struct tokenizer *tokenizer,
                    struct tokenizer_scratch *scratch, struct memory *memory,
                    const struct multi_files *multi,
                    struct str broken[MARKERS_MAX], size_t *count,
                    struct error *err) {
    const char *const markers[MARKERS_MAX] = {multi->query_marker,
                                              multi->document_marker};
    *count = 0;
    for (size_t i = 0; i < MARKERS_MAX; i++) {
        uint32_t id;
        bool one = true;
        struct str token = token_of(tokenizer, markers[i], &id);
        if (!token.size)
            continue;
        if (!is_one_piece(tokenizer, scratch, memory, token, id, &one, err))
            return false;
        if (!one)
            broken[(*count)++] = token;
    }
    return true;
}
