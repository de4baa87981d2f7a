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

/* The token's entry in added_tokens is replaced, or a new one is put there. */
static bool add(json_t *root, struct str token, uint32_t id) {
    json_t *list = json_object_get(root, "added_tokens"), *old;
    size_t i;
    if (!json_is_array(list)) {
        list = json_array();
        json_object_set_new(root, "added_tokens", list);
    }
    json_array_foreach(list, i, old) {
        const json_t *content = json_object_get(old, "content");
        if (json_string_length(content) == token.size &&
            !memcmp(json_string_value(content), token.data, token.size))
            break;
    }
    json_t *made =
        json_pack("{s:I, s:s%, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)id,
                  "content", token.data, token.size, "single_word", 0, "lstrip",
                  0, "rstrip", 0, "normalized", 0, "special", 1);
    return made &&
           (i < json_array_size(list) ? json_array_set_new(list, i, made) == 0
                                      : json_array_append_new(list, made) == 0);
}

static bool patch(struct str json, const char *path, struct str token,
                  uint32_t id, json_t **patched, struct error *err) {
    if (!*patched)
        *patched = json_loadb(json.data, json.size, JSON_ALLOW_NUL, NULL);
    return (*patched && add(*patched, token, id)) ||
           error_set(err, ERROR_INPUT,
                     "%s: its marker %.*s cannot be made a special token", path,
                     (int)(token.size < 40 ? token.size : 40), token.data);
}

bool markers_patch(const struct tokenizer *tokenizer,
                   struct tokenizer_scratch *scratch, struct memory *memory,
                   struct str json, const char *path,
                   const struct multi_files *multi, json_t **patched,
                   struct error *err) {
    const char *const markers[] = {multi->query_marker, multi->document_marker};
    *patched = NULL;
    for (size_t i = 0; i < sizeof markers / sizeof *markers; i++) {
        uint32_t id;
        bool one = true;
        struct str token = token_of(tokenizer, markers[i], &id);
        if (!token.size)
            continue;
        if (!is_one_piece(tokenizer, scratch, memory, token, id, &one, err) ||
            (!one && !patch(json, path, token, id, patched, err))) {
            json_decref(*patched);
            *patched = NULL;
            return false;
        }
    }
    return true;
}
