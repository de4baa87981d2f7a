#include "data/payload.h"

#include <string.h>

#include "data/derive.h"
#include "data/json_scan.h"

bool payload_has_own(struct str key) {
    static const char *const ours[] = {"chunk_id",          "collection",
                                       "qdrant_collection", "modal_hint",
                                       "hierarchy_path",    "sparse_vector"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (json_key_is(key, ours[i]))
            return true;
    return false;
}

/* In one walk: the members that are written as they came, and those that other
 * fields are derived from. */
static void add_metadata(struct strbuf *out, struct str metadata,
                         const char *text_field, struct derive_input *input) {
    struct json_iter iter;
    struct json_item item;
    json_iter_begin(&iter, metadata);
    while (json_iter_next(&iter, &item)) {
        derive_note(&item, input);
        if (payload_has_own(item.key) || json_key_is(item.key, text_field))
            continue;
        strbuf_add(out, STR(",\""));
        strbuf_add(out, item.key);
        strbuf_add(out, STR("\":"));
        json_compact(out, item.value);
    }
}

void payload_write(struct strbuf *out, const struct chunk *chunk,
                   const struct collection *collection,
                   const char *text_field) {
    struct derive_input input = {0};
    strbuf_add_char(out, '{');
    strbuf_add_json(out, str_from(text_field));
    strbuf_add_char(out, ':');
    strbuf_add_json(out, chunk->original);
    strbuf_add(out, STR(",\"chunk_id\":"));
    strbuf_add_json(out, chunk->chunk_id);
    strbuf_add(out, STR(",\"collection\":"));
    strbuf_add_json(out, str_from(collection->name));
    add_metadata(out, chunk->metadata, text_field, &input);
    strbuf_add(out, STR(",\"qdrant_collection\":"));
    strbuf_add_json(out, str_from(collection->canonical));
    strbuf_add(out, STR(",\"modal_hint\":"));
    derive_modal_hint(&input, chunk->original, out);
    strbuf_add(out, STR(",\"hierarchy_path\":"));
    derive_hierarchy_path(&input, out);
    strbuf_add(out, STR(",\"sparse_vector\":"));
    derive_sparse_vector(&input, out);
    strbuf_add_char(out, '}');
}

/* ---- the canonical collection ---- */

static char fold(char c) {
    if (c >= 'A' && c <= 'Z')
        return (char)(c + 32);
    return c == '-' || c == ' ' ? '_' : c;
}

static void set_name(char *name, size_t capacity, const char *value) {
    size_t size = strlen(value);
    if (size >= capacity)
        size = capacity - 1;
    memcpy(name, value, size);
    name[size] = '\0';
}

/* The names that the original knew, by the first word found in the folder's
 * name. */
static const char *known_name(const char *folded) {
    static const char *const words[][2] = {
        {"qdrant", "qdrant_ecosystem"},
        {"sentence_transformer", "sentence_transformers"},
        {"sentence", "sentence_transformers"},
        {"docling", "docling"},
        {"fast_docs", "fast_docs"},
        {"pydantic", "pydantic"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(folded, words[i][0]))
            return words[i][1];
    return *folded ? NULL : "qdrant_ecosystem";
}

void payload_canonical_collection(const char *folder, char *name,
                                  size_t capacity) {
    static const char ending[] = "_v4_outputs";
    if (capacity == 0)
        return;
    while (*folder && strchr(" \t\r\n", *folder))
        folder++;
    size_t size = strlen(folder);
    while (size > 0 && strchr(" \t\r\n", folder[size - 1]))
        size--;
    size_t kept = size < capacity ? size : capacity - 1;
    for (size_t i = 0; i < kept; i++)
        name[i] = fold(folder[i]);
    name[kept] = '\0';
    if (kept > sizeof ending - 1 &&
        !strcmp(name + kept - (sizeof ending - 1), ending))
        name[kept - (sizeof ending - 1)] = '\0';
    const char *known = known_name(name);
    if (known)
        set_name(name, capacity, known);
}
