/* pattern.c - see pattern.h. */

#define _GNU_SOURCE           1 /* memmem, which is linear */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern.h"

#include <pcre2.h>
#include <string.h>

#include "base/utf8.h"
#include "text/pattern_parse.h"

enum { STACK_FIRST = 32 << 10, STACK_MOST = 16 << 20 };

struct pattern {
    struct memory *memory;       /* borrowed */
    struct strbuf string;        /* looked for, if there is no code */
    pcre2_code *code;            /* owned */
    struct code_classes classes; /* that the code is written in */
};

static void *take(PCRE2_SIZE size, void *memory) {
    return memory_alloc(memory, size, 1, NULL);
}

static void give(void *block, void *memory) {
    memory_free(memory, block);
}

/* SET in the classes' bytes. */
static void write_set(struct strbuf *out, const struct code_classes *classes,
                      const struct code_set *set) {
    size_t begin = out->size, members = 0;
    strbuf_add_char(out, '[');
    for (size_t i = 0; i < classes->count; i++) {
        if (!code_set_has(set, classes->sample[i]))
            continue;
        strbuf_printf(out, "\\x%02x", (unsigned)i);
        members++;
    }
    strbuf_add_char(out, ']');
    if (members || out->failed)
        return;
    out->size = begin;
    strbuf_add(out, STR("(?:(?!))")); /* nothing */
}

static bool compile(struct pattern *pattern, struct str source,
                    struct str regex, const char *name, struct error *err) {
    struct memory *memory = pattern->memory;
    pcre2_general_context *general =
        pcre2_general_context_create(take, give, memory);
    pcre2_compile_context *context =
        general ? pcre2_compile_context_create(general) : NULL;
    int code = 0;
    PCRE2_SIZE at = 0;
    if (context)
        pattern->code = pcre2_compile((PCRE2_SPTR)source.data, source.size, 0,
                                      &code, &at, context);
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    if (!context)
        return error_set(err, ERROR_MEMORY, "%s: no memory for its pattern",
                         name);
    if (!pattern->code) {
        PCRE2_UCHAR why[128] = "";
        pcre2_get_error_message(code, why, sizeof why);
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: the pattern \"%.*s\" cannot be used: %s: use "
                         "another model",
                         name, STR_ARG(regex), (const char *)why);
    }
    /* Without JIT (a hardened system) PCRE2 interprets. */
    pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
    return true;
}

static bool build(struct pattern *pattern, const struct parsed *parsed,
                  struct str regex, const char *name, struct error *err) {
    if (!code_classes_make(&pattern->classes, pattern->memory, parsed->sets,
                           parsed->set_count, err))
        return false;
    struct strbuf source = strbuf_make(pattern->memory);
    for (size_t i = 0; i < parsed->item_count; i++) {
        const struct pattern_item *item = &parsed->items[i];
        if (item->set < 0)
            strbuf_add(&source, str_from(item->marks));
        else
            write_set(&source, &pattern->classes, &parsed->sets[item->set]);
    }
    bool fine = strbuf_ok(&source, err) &&
                compile(pattern, strbuf_str(&source), regex, name, err);
    strbuf_free(&source);
    return fine;
}

static struct pattern *make(struct memory *memory, struct error *err) {
    struct pattern *pattern = memory_zalloc(memory, 1, sizeof *pattern, err);
    if (!pattern)
        return NULL;
    pattern->memory = memory;
    pattern->string = strbuf_make(memory);
    return pattern;
}

struct pattern *pattern_regex(struct memory *memory, struct str regex,
                              const char *name, struct error *err) {
    struct pattern *pattern = make(memory, err);
    if (!pattern)
        return NULL;
    struct parsed parsed;
    bool fine = pattern_parse(&parsed, memory, regex, name, err) &&
                build(pattern, &parsed, regex, name, err);
    parsed_free(&parsed);
    if (fine)
        return pattern;
    pattern_free(pattern);
    return NULL;
}

struct pattern *pattern_string(struct memory *memory, struct str string,
                               struct error *err) {
    struct pattern *pattern = make(memory, err);
    if (!pattern)
        return NULL;
    strbuf_add(&pattern->string, string);
    if (strbuf_ok(&pattern->string, err))
        return pattern;
    pattern_free(pattern);
    return NULL;
}

void pattern_free(struct pattern *pattern) {
    if (!pattern)
        return;
    pcre2_code_free(pattern->code);
    memory_free(pattern->memory, pattern->classes.blocks);
    strbuf_free(&pattern->string);
    memory_free(pattern->memory, pattern);
}

void pattern_scratch_free(struct pattern_scratch *scratch) {
    pcre2_match_context_free(scratch->context);
    pcre2_jit_stack_free(scratch->stack);
    pcre2_match_data_free(scratch->match);
    if (scratch->classes.memory)
        strbuf_free(&scratch->classes);
    *scratch = (struct pattern_scratch){.memory = scratch->memory};
}

static bool prepare(struct pattern_scratch *scratch, struct error *err) {
    if (scratch->context)
        return true;
    scratch->classes = strbuf_make(scratch->memory);
    pcre2_general_context *general =
        pcre2_general_context_create(take, give, scratch->memory);
    if (general) {
        scratch->match = pcre2_match_data_create(1, general);
        scratch->stack =
            pcre2_jit_stack_create(STACK_FIRST, STACK_MOST, general);
        scratch->context = pcre2_match_context_create(general);
    }
    pcre2_general_context_free(general);
    if (!scratch->match || !scratch->context) {
        pattern_scratch_free(scratch);
        return error_set(err, ERROR_MEMORY, "no memory to match patterns");
    }
    if (scratch->stack)
        pcre2_jit_stack_assign(scratch->context, NULL, scratch->stack);
    return true;
}

/* The class of each code point of TEXT. */
static bool classify(const struct code_classes *classes, struct strbuf *out,
                     struct str text, struct error *err) {
    strbuf_clear(out);
    if (!strbuf_reserve(out, text.size))
        return strbuf_ok(out, err);
    char *to = out->data;
    for (size_t at = 0; at < text.size;) {
        uint8_t byte = (uint8_t)text.data[at];
        if (byte < 0x80) {
            *to++ = (char)classes->ascii[byte];
            at++;
        } else {
            *to++ = (char)code_class(classes, utf8_next(text, &at));
        }
    }
    out->size = (size_t)(to - out->data);
    return true;
}

/* A place in the text, and the same in its classes. */
struct place {
    size_t byte, code;
};

static void move_to(struct place *place, struct str text, size_t code) {
    while (place->code < code) {
        uint8_t byte = (uint8_t)text.data[place->byte];
        place->byte += byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
        place->code++;
    }
}

static bool find_regex(const struct pattern *pattern,
                       struct pattern_scratch *scratch, struct str text,
                       pattern_put *put, void *context, struct error *err) {
    struct strbuf *classes = &scratch->classes;
    if (!prepare(scratch, err) ||
        !classify(&pattern->classes, classes, text, err))
        return false;
    struct place done = {0, 0};
    size_t last = SIZE_MAX; /* end of the last match */
    for (size_t from = 0; from <= classes->size;) {
        int found =
            pcre2_match(pattern->code, (PCRE2_SPTR)classes->data, classes->size,
                        from, 0, scratch->match, scratch->context);
        if (found == PCRE2_ERROR_NOMATCH)
            break;
        if (found < 0)
            return error_set(err, ERROR_UNSUPPORTED,
                             "the tokenizer's pattern is too costly for a text "
                             "of %zu bytes (PCRE2 error %d): cut the text",
                             text.size, found);
        const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(scratch->match);
        from = ends[1];
        /* No empty match directly behind another one. */
        if (ends[0] == ends[1] && last == ends[1]) {
            from++;
            continue;
        }
        last = ends[1];
        struct place begin = done, end;
        move_to(&begin, text, ends[0]);
        end = begin;
        move_to(&end, text, ends[1]);
        if (begin.byte > done.byte)
            put(context, done.byte, begin.byte, false);
        put(context, begin.byte, end.byte, true);
        done = end;
    }
    if (done.byte < text.size)
        put(context, done.byte, text.size, false);
    return true;
}

static void find_string(struct str wanted, struct str text, pattern_put *put,
                        void *context) {
    size_t done = 0;
    while (wanted.size && text.size - done >= wanted.size) {
        const char *found = memmem(text.data + done, text.size - done,
                                   wanted.data, wanted.size);
        if (!found)
            break;
        size_t at = (size_t)(found - text.data);
        if (at > done)
            put(context, done, at, false);
        put(context, at, at + wanted.size, true);
        done = at + wanted.size;
    }
    if (done < text.size)
        put(context, done, text.size, false);
}

bool pattern_find(const struct pattern *pattern,
                  struct pattern_scratch *scratch, struct str text,
                  pattern_put *put, void *context, struct error *err) {
    if (!text.size)
        return true;
    if (pattern->code)
        return find_regex(pattern, scratch, text, put, context, err);
    find_string(strbuf_str(&pattern->string), text, put, context);
    return true;
}
