#include "data/derive.h"

#include <string.h>

#include "base/utf8.h"
#include "data/chunk_text.h"

enum { LOOK_CHARACTERS = 400 };

void derive_note(const struct json_item *item, struct derive_input *input) {
    struct {
        const char *name;
        struct json_item *item;
    } wanted[] = {
        {"modal_hint", &input->modal_hint},
        {"content_flags", &input->content_flags},
        {"hierarchy_path", &input->hierarchy_path},
        {"section_path", &input->section_path},
        {"heading_text", &input->heading_text},
        {"sparse_features", &input->sparse_features},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (json_key_is(item->key, wanted[i].name))
            *wanted[i].item = *item;
}

void derive_read(struct str metadata, struct derive_input *input) {
    struct json_iter iter;
    struct json_item item;
    *input = (struct derive_input){0};
    json_iter_begin(&iter, metadata);
    while (json_iter_next(&iter, &item))
        derive_note(&item, input);
}

/* A string with something in it. */
static bool has_words(const struct json_item *item, struct memory *memory) {
    if (item->kind != SCAN_STRING)
        return false;
    struct strbuf plain = strbuf_make(memory);
    json_decode_add(item->value, &plain);
    bool blank = text_is_blank(strbuf_str(&plain));
    strbuf_free(&plain);
    return !blank;
}

void derive_add_string(struct str value, bool quotes, struct strbuf *out) {
    struct strbuf plain = strbuf_make(out->memory);
    json_decode_add(value, &plain);
    out->failed |= plain.failed;
    size_t begin = out->size;
    strbuf_add_json(out, strbuf_str(&plain));
    strbuf_free(&plain);
    if (quotes || out->failed)
        return;
    memmove(out->data + begin, out->data + begin + 1, out->size - begin - 2);
    out->size -= 2;
    out->data[out->size] = '\0';
}

/* ---- modal hint ---- */

static const char *hint_of_flags(const struct json_item *flags) {
    static const char *const order[][2] = {{"has_table", "table"},
                                           {"has_code_block", "code"},
                                           {"has_list", "list"},
                                           {"has_json", "json"}};
    struct json_item flag;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (flags->kind == SCAN_OBJECT &&
            json_find(flags->value, order[i][0], &flag) &&
            flag.kind == SCAN_TRUE)
            return order[i][1];
    return NULL;
}

/* WORD is in lower case, TEXT may be in any. */
static bool contains(struct str text, const char *word) {
    size_t size = strlen(word);
    for (size_t at = 0; at + size <= text.size; at++) {
        size_t i = 0;
        while (i < size) {
            char c = text.data[at + i];
            if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != word[i])
                break;
            i++;
        }
        if (i == size)
            return true;
    }
    return false;
}

/* The line of TEXT at *AT, and *AT moved behind its LF. */
static struct str next_line(struct str text, size_t *at) {
    const char *begin = text.data + *at;
    size_t left = text.size - *at;
    const char *stop = memchr(begin, '\n', left);
    size_t size = stop ? (size_t)(stop - begin) : left;
    *at += stop ? size + 1 : size;
    return (struct str){begin, size};
}

/* Dashes and pipes, nothing else but colons and spaces. */
static bool is_rule(struct str line) {
    bool dash = false, pipe = false;
    for (size_t i = 0; i < line.size; i++) {
        char c = line.data[i];
        dash |= c == '-';
        pipe |= c == '|';
        if (!strchr("-|: \t\r", c) || c == '\0')
            return false;
    }
    return dash && pipe;
}

static bool has_pipe_table(struct str text) {
    bool row_before = false;
    for (size_t at = 0; at < text.size;) {
        struct str line = next_line(text, &at);
        if (row_before && is_rule(line))
            return true;
        row_before = line.size && memchr(line.data, '|', line.size);
    }
    return false;
}

static const char *hint_of_text(struct str text) {
    size_t at = 0, characters = 0;
    while (at < text.size && characters++ < LOOK_CHARACTERS)
        utf8_next(text, &at);
    text.size = at;
    if (contains(text, "```") || contains(text, "def ") ||
        contains(text, "class "))
        return "code";
    if (has_pipe_table(text))
        return "table";
    size_t first = 0;
    while (first < text.size && strchr(" \t\r\n", text.data[first]) &&
           text.data[first])
        first++;
    if (first < text.size &&
        (text.data[first] == '{' || text.data[first] == '['))
        return "json";
    return "prose";
}

void derive_modal_hint(const struct derive_input *input, struct str text,
                       struct strbuf *out) {
    if (has_words(&input->modal_hint, out->memory)) {
        derive_add_string(input->modal_hint.value, true, out);
        return;
    }
    const char *hint = hint_of_flags(&input->content_flags);
    strbuf_add_json(out, str_from(hint ? hint : hint_of_text(text)));
}

/* ---- hierarchy path ---- */

/* The strings of a list joined with " > "; false if there are none. */
static bool add_joined(const struct json_item *list, struct strbuf *out) {
    struct json_iter iter;
    struct json_item item;
    size_t before = out->size;
    if (list->kind != SCAN_ARRAY)
        return false;
    json_iter_begin(&iter, list->value);
    while (json_iter_next(&iter, &item)) {
        if (!has_words(&item, out->memory))
            continue;
        strbuf_add(out, out->size == before ? STR("\"") : STR(" > "));
        derive_add_string(item.value, false, out);
    }
    if (out->size == before)
        return false;
    strbuf_add_char(out, '"');
    return true;
}

void derive_hierarchy_path(const struct derive_input *input,
                           struct strbuf *out) {
    const struct json_item *order[] = {
        &input->hierarchy_path, &input->section_path, &input->heading_text};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        if (has_words(order[i], out->memory)) {
            derive_add_string(order[i]->value, true, out);
            return;
        }
        if (add_joined(order[i], out))
            return;
    }
    strbuf_add(out, STR("null"));
}
