/* chat_pair.c - a chat template that puts an instruction, a query and a
 * document into a text.
 *
 * Chat templates are programs in Jinja, and none is run. Those of rerankers
 * are simple: text, and places for the content of the messages "system",
 * "query" and "document", perhaps named first:
 *
 *     {%- set q = messages | selectattr("role", "eq", "query")
 *           | map(attribute="content") | first -%}
 *     <Query>: {{ q }}
 *
 * Exactly this form is understood; any other is refused. White space around
 * {% %} goes as Jinja 3 does it with trim_blocks and lstrip_blocks, which
 * transformers sets. */

#include "hub/reading.h"

#include <ctype.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

enum { TEMPLATE_BYTES_MAX = 1 << 20, NAMES_MAX = 8, ROLES = 3 };

static const char *const ROLE_NAMES[ROLES] = {"system", "query", "document"};

struct value {
    size_t role;
    struct str otherwise; /* where there is no such message */
};

struct template {
    const char *at, *end;
    struct str names[NAMES_MAX];
    struct value values[NAMES_MAX];
    size_t names_count;
    struct strbuf parts[ROLES + 1]; /* the texts before, between and behind */
    struct value places[ROLES];     /* what is between them */
    size_t places_count;
    bool trim; /* white space goes before the next text */
};

/* Words of an expression. */

static void skip_space(struct template *t) {
    while (t->at < t->end && isspace((unsigned char)*t->at))
        t->at++;
}

static bool take(struct template *t, const char *word) {
    size_t size = strlen(word);
    skip_space(t);
    if ((size_t)(t->end - t->at) < size || memcmp(t->at, word, size) != 0)
        return false;
    t->at += size;
    return true;
}

static bool take_all(struct template *t, const char *const *words) {
    while (*words && take(t, *words))
        words++;
    return !*words;
}

/* "text" or 'text', without anything that would have to be unescaped. */
static bool take_text(struct template *t, struct str *text) {
    skip_space(t);
    char quote = t->at < t->end ? *t->at : 0;
    const char *begin = t->at + 1;
    const char *end = quote == '"' || quote == '\''
                          ? memchr(begin, quote, (size_t)(t->end - begin))
                          : NULL;
    if (!end || memchr(begin, '\\', (size_t)(end - begin)))
        return false;
    *text = (struct str){begin, (size_t)(end - begin)};
    t->at = end + 1;
    return true;
}

static bool take_name(struct template *t, struct str *name) {
    skip_space(t);
    const char *begin = t->at;
    while (t->at < t->end && (isalnum((unsigned char)*t->at) || *t->at == '_'))
        t->at++;
    *name = (struct str){begin, (size_t)(t->at - begin)};
    return name->size > 0;
}

static bool take_word(struct template *t, const char *word) {
    struct str text;
    return take_text(t, &text) && str_equal(text, str_from(word));
}

/* messages | selectattr("role", "eq", ROLE) */
static bool take_role(struct template *t, size_t *role) {
    static const char *const BEGIN[] = {"messages", "|", "selectattr", "(",
                                        NULL};
    struct str name;
    if (!take_all(t, BEGIN) || !take_word(t, "role") || !take(t, ",") ||
        !take_word(t, "eq") || !take(t, ",") || !take_text(t, &name) ||
        !take(t, ")"))
        return false;
    for (*role = 0; *role < ROLES; (*role)++)
        if (str_equal(name, str_from(ROLE_NAMES[*role])))
            return true;
    return false;
}

/* ... | map(attribute="content") | first [| default("...")], or
 * (... | first).content */
static bool take_value(struct template *t, struct value *value) {
    static const char *const MAP[] = {"|", "map", "(", "attribute", "=", NULL};
    static const char *const FIRST[] = {")", "|", "first", NULL};
    static const char *const CONTENT[] = {"|", "first",   ")",
                                          ".", "content", NULL};
    *value = (struct value){.otherwise = STR("")};
    if (take(t, "("))
        return take_role(t, &value->role) && take_all(t, CONTENT);
    if (!take_role(t, &value->role) || !take_all(t, MAP) ||
        !take_word(t, "content") || !take_all(t, FIRST))
        return false;
    if (!take(t, "|"))
        return true;
    return take(t, "default") && take(t, "(") &&
           take_text(t, &value->otherwise) && take(t, ")");
}

/* What stands between the braces. */

static bool take_end(struct template *t, const char *close) {
    t->trim = take(t, "-");
    return take(t, close);
}

static bool read_set(struct template *t) {
    struct str *name = &t->names[t->names_count];
    struct value *value = &t->values[t->names_count];
    if (t->names_count == NAMES_MAX || !take(t, "set") || !take_name(t, name) ||
        !take(t, "=") || !take_value(t, value) || !take_end(t, "%}"))
        return false;
    t->names_count++;
    if (!t->trim && t->at < t->end && *t->at == '\n')
        t->at++; /* trim_blocks */
    return true;
}

static bool find_name(const struct template *t, struct str name,
                      struct value *value) {
    for (size_t i = t->names_count; i-- > 0;)
        if (str_equal(t->names[i], name)) {
            *value = t->values[i];
            return true;
        }
    return false;
}

static bool read_place(struct template *t) {
    struct value *value = &t->places[t->places_count];
    const char *begin = t->at;
    struct str name;
    if (t->places_count == ROLES)
        return false;
    if (!take_name(t, &name) || !find_name(t, name, value)) {
        t->at = begin;
        if (!take_value(t, value))
            return false;
    }
    t->places_count++;
    return take_end(t, "}}");
}

/* Text. */

/* The next {{, {% or {#, or the end. */
static const char *next_brace(const struct template *t) {
    for (const char *at = t->at; at + 1 < t->end; at++)
        if (at[0] == '{' && strchr("{%#", at[1]))
            return at;
    return t->end;
}

/* lstrip_blocks: spaces before {% from the begin of the line on. */
static const char *strip_line(const char *begin, const char *end,
                              const char *first) {
    const char *at = end;
    while (at > begin && (at[-1] == ' ' || at[-1] == '\t'))
        at--;
    return at == first || (at > begin && at[-1] == '\n') ? at : end;
}

static bool read_braces(struct template *t, const char *first) {
    const char *brace = next_brace(t), *end = brace;
    if (t->trim)
        skip_space(t);
    if (t->at > brace)
        t->at = brace;
    if (brace < t->end && brace + 2 < t->end && brace[2] == '-')
        while (end > t->at && isspace((unsigned char)end[-1]))
            end--;
    else if (brace < t->end && brace[1] == '%')
        end = strip_line(t->at, end, first);
    strbuf_add(&t->parts[t->places_count],
               (struct str){t->at, (size_t)(end - t->at)});
    t->trim = false;
    t->at = brace;
    if (brace == t->end)
        return true;
    t->at += brace + 2 < t->end && brace[2] == '-' ? 3 : 2;
    return brace[1] == '%' ? read_set(t) : brace[1] == '{' && read_place(t);
}

/* In the order system (or none), query, document. */
static bool in_order(const struct template *t) {
    size_t first = ROLES - t->places_count;
    if (t->places_count < 2)
        return false;
    for (size_t i = 0; i < t->places_count; i++)
        if (t->places[i].role != first + i)
            return false;
    return true;
}

static bool parse(struct template *t, struct str text) {
    const char *first = text.data;
    if (text.size && text.data[text.size - 1] == '\n')
        text.size--; /* Jinja drops one */
    t->at = text.data;
    t->end = text.data + text.size;
    do {
        if (!read_braces(t, first))
            return false;
    } while (t->at < t->end);
    return in_order(t);
}

static bool keep(struct reading *r, const struct template *t,
                 struct pair_template *pair, struct error *err) {
    size_t i = 0;
    *pair = (struct pair_template){0};
    if (t->places_count == ROLES) {
        pair->head = arena_copy(&r->arena, strbuf_str(&t->parts[i++]), err);
        pair->instruction = arena_copy(&r->arena, t->places[0].otherwise, err);
        if (!pair->head || !pair->instruction)
            return false;
    }
    pair->query = arena_copy(&r->arena, strbuf_str(&t->parts[i++]), err);
    pair->document = arena_copy(&r->arena, strbuf_str(&t->parts[i++]), err);
    pair->tail = arena_copy(&r->arena, strbuf_str(&t->parts[i]), err);
    return pair->query && pair->document && pair->tail;
}

static bool read_template(struct reading *r, struct str text, const char *name,
                          struct pair_template *pair, struct error *err) {
    struct template t = {.at = text.data};
    for (size_t i = 0; i <= ROLES; i++)
        t.parts[i] = strbuf_make(r->memory);
    bool fine = parse(&t, text);
    if (!fine)
        error_set(err, ERROR_UNSUPPORTED,
                  "%s: its chat template has no plain places for a query and a "
                  "document, and templates are not run here: take the newest "
                  "revision of the reranker",
                  name);
    for (size_t i = 0; fine && i <= t.places_count; i++)
        fine = strbuf_ok(&t.parts[i], err);
    fine = fine && keep(r, &t, pair, err);
    for (size_t i = 0; i <= ROLES; i++)
        strbuf_free(&t.parts[i]);
    return fine;
}

static bool read_file(struct reading *r, const char *path,
                      struct pair_template *pair, struct error *err) {
    struct strbuf text = strbuf_make(r->memory);
    bool fine = file_read(path, TEMPLATE_BYTES_MAX, &text, err) &&
                read_template(r, strbuf_str(&text), path, pair, err);
    strbuf_free(&text);
    return fine;
}

bool chat_pair_read(struct reading *r, struct pair_template *pair,
                    struct error *err) {
    const char *dir = modules_transformer(r), *name;
    const char *path = reading_path(r, dir, "chat_template.jinja", err);
    json_t *config = NULL;
    if (!path)
        return false;
    if (file_may_exist(path))
        return read_file(r, path, pair, err);
    if (!reading_tokenizer_config(r, dir, &config, &name, err))
        return false;
    const char *text =
        json_string_value(json_object_get(config, "chat_template"));
    bool fine = read_template(r, str_from(text ? text : ""), name, pair, err);
    json_decref(config);
    return fine;
}
