/* rerank_decode.c - tokens back to text, as a ByteLevel decoder does it. Other
 * decoders join tokens in ways that cannot be undone exactly here. FACTS:
 * `tokenizers` (decoders::ByteLevel) and transformers' decode. */

#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "run/rerank_parts.h"

enum { FILE_MAX = 256 << 20, BYTES = 256 };

static const char *file_named(const struct model_files *files,
                              const char *name) {
    for (size_t i = 0; i < files->tokenizer_files_count; i++)
        if (!strcmp(files->tokenizer_files[i].name, name))
            return files->tokenizer_files[i].path;
    return NULL;
}

static bool decodes_bytes(const struct model_files *files) {
    const char *path = file_named(files, "tokenizer.json");
    json_t *json = path ? json_read_file(path, FILE_MAX, NULL) : NULL;
    const char *type = json_string_value(
        json_object_get(json_object_get(json, "decoder"), "type"));
    bool bytes = type && !strcmp(type, "ByteLevel");
    json_decref(json);
    return bytes;
}

static bool cleans_up(const struct model_files *files) {
    const char *path = file_named(files, "tokenizer_config.json");
    json_t *json = path ? json_read_file(path, FILE_MAX, NULL) : NULL;
    bool cleans =
        json_is_true(json_object_get(json, "clean_up_tokenization_spaces"));
    json_decref(json);
    return cleans;
}

/* The bytes that stand for themselves in GPT-2's alphabet. */
static bool is_plain(unsigned byte) {
    return (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
}

/* CODES[b]: the character that stands for byte b; the bytes that are not plain
 * take those from 256 on, in their order. */
static void make_alphabet(uint32_t codes[BYTES]) {
    uint32_t next = BYTES;
    for (unsigned b = 0; b < BYTES; b++)
        codes[b] = is_plain(b) ? b : next++;
}

static bool byte_of(const uint32_t codes[BYTES], uint32_t code, char *byte) {
    for (unsigned b = 0; b < BYTES; b++)
        if (codes[b] == code) {
            *byte = (char)b;
            return true;
        }
    return false;
}

/* A token with a character out of another alphabet stands as it is. */
static void add_token(const uint32_t codes[BYTES], struct str token,
                      struct strbuf *out) {
    size_t begin = out->size;
    for (size_t at = 0; at < token.size;) {
        char byte;
        if (!byte_of(codes, utf8_next(token, &at), &byte)) {
            out->size = begin;
            strbuf_add(out, token);
            return;
        }
        strbuf_add_char(out, byte);
    }
}

/* The last token may end within a character: that becomes U+FFFD, once. */
static bool mend_end(const struct reranker *reranker, size_t begin,
                     struct strbuf *out, struct error *err) {
    struct str text = {out->data + begin, out->size - begin};
    size_t valid = utf8_valid_prefix(text);
    if (valid == text.size)
        return true;
    if (text.size - valid >= UTF8_MAX_BYTES)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: a text that it would have to cut has tokens "
                         "whose bytes are no text; shorten it",
                         reranker->member.key);
    out->size = begin + valid;
    strbuf_add(out, STR("\xEF\xBF\xBD"));
    return strbuf_ok(out, err);
}

bool rerank_decode(struct reranker *reranker, const uint32_t *ids, size_t count,
                   struct strbuf *out, struct error *err) {
    const struct model_files *files = reranker->member.files;
    uint32_t codes[BYTES];
    size_t begin = out->size;
    if (!decodes_bytes(files) || cleans_up(files))
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: a text is longer than it takes, and only the "
                         "tokens of a ByteLevel tokenizer can be made text "
                         "again, as its authors do; shorten it",
                         reranker->member.key);
    make_alphabet(codes);
    for (size_t i = 0; i < count; i++)
        add_token(codes, tokenizer_token(reranker->engine->tokenizer, ids[i]),
                  out);
    return strbuf_ok(out, err) && mend_end(reranker, begin, out, err);
}
