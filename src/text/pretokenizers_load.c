/* pretokenizers_load.c - the steps as tokenizer.json says them: see
 * pretokenizers.h. */

#include "text/pretokenizers.h"

#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "text/part.h"

/* What ByteLevel splits at: GPT-2's pattern. */
static const char BYTE_LEVEL[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|"
                                 " ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

struct loading {
    struct pretokenizers *to;
    const char *name;
    struct arena *arena;
    struct error *err;
};

static bool load_nothing(struct loading *loading, const struct part *part,
                         struct pretokenizer_step *step) {
    (void)loading;
    (void)part;
    pretokenize_prepare(&step->bert);
    return true;
}

static bool load_behavior(struct loading *loading, const struct part *part,
                          struct pretokenizer_step *step) {
    struct str name;
    step->behavior = SPLIT_ISOLATED;
    if (!part_text_or_none(part, "behavior", &name, loading->err))
        return false;
    if (!name.data || behavior_named(name, &step->behavior))
        return true;
    return error_set(loading->err, ERROR_UNSUPPORTED,
                     "%s: the behavior \"%.64s\" of the pre_tokenizer is not "
                     "known",
                     part->name, name.data);
}

static bool load_digits(struct loading *loading, const struct part *part,
                        struct pretokenizer_step *step) {
    bool individual = false;
    if (!part_bool(part, "individual_digits", &individual, loading->err))
        return false;
    step->behavior = individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
    return true;
}

static bool load_split(struct loading *loading, const struct part *part,
                       struct pretokenizer_step *step) {
    return load_behavior(loading, part, step) &&
           part_bool(part, "invert", &step->invert, loading->err) &&
           part_pattern(part, loading->to->memory, &step->pattern,
                        loading->err);
}

static bool is_one_character(struct str text) {
    size_t end = 0;
    if (text.size)
        utf8_next(text, &end);
    return end && end == text.size;
}

/* One character, where each piece ends. */
static bool load_delimiter(struct loading *loading, const struct part *part,
                           struct pretokenizer_step *step) {
    struct str delimiter;
    if (!part_text(part, "delimiter", &delimiter, loading->err))
        return false;
    if (!is_one_character(delimiter))
        return error_set(loading->err, ERROR_INPUT,
                         "%s: CharDelimiterSplit's \"delimiter\" is not one "
                         "character",
                         part->name);
    step->behavior = SPLIT_REMOVED;
    step->pattern =
        pattern_string(loading->to->memory, delimiter, loading->err);
    return step->pattern;
}

static bool load_length(struct loading *loading, const struct part *part,
                        struct pretokenizer_step *step) {
    step->length = 5;
    if (!json_member_size(part->json, "length", part->name, &step->length,
                          loading->err))
        return false;
    return step->length ||
           error_set(loading->err, ERROR_INPUT,
                     "%s: FixedLength's \"length\" is 0", part->name);
}

static bool load_byte_level(struct loading *loading, const struct part *part,
                            struct pretokenizer_step *step) {
    bool use_regex = true;
    step->behavior = SPLIT_ISOLATED;
    if (!part_bool(part, "add_prefix_space", &step->prefix_space,
                   loading->err) ||
        !json_member_bool(part->json, "use_regex", part->name, &use_regex,
                          loading->err))
        return false;
    if (use_regex)
        step->pattern = pattern_regex(loading->to->memory, str_from(BYTE_LEVEL),
                                      part->name, loading->err);
    return !use_regex || step->pattern;
}

static bool load_scheme(struct loading *loading, const struct part *part,
                        struct pretokenizer_step *step) {
    static const char *const names[] = {"always", "first", "never"};
    struct str scheme;
    bool prefix = true;
    size_t i = 0;
    if (!part_text_or_none(part, "prepend_scheme", &scheme, loading->err) ||
        !json_member_bool(part->json, "add_prefix_space", part->name, &prefix,
                          loading->err))
        return false;
    while (scheme.data && i < 3 && !str_equal(scheme, str_from(names[i])))
        i++;
    if (i == 3 || (!prefix && i != PREPEND_NEVER))
        return error_set(loading->err, ERROR_INPUT,
                         "%s: Metaspace's \"prepend_scheme\" is none, or not "
                         "that of its \"add_prefix_space\"",
                         part->name);
    step->prepend = i == 0   ? PREPEND_ALWAYS
                    : i == 1 ? PREPEND_FIRST
                             : PREPEND_NEVER;
    return true;
}

static bool load_metaspace(struct loading *loading, const struct part *part,
                           struct pretokenizer_step *step) {
    step->split = true;
    if (!part_text(part, "replacement", &step->replacement, loading->err) ||
        !json_member_bool(part->json, "split", part->name, &step->split,
                          loading->err) ||
        !load_scheme(loading, part, step))
        return false;
    if (!is_one_character(step->replacement))
        return error_set(loading->err, ERROR_INPUT,
                         "%s: Metaspace's \"replacement\" is not one character",
                         part->name);
    step->replacement.data =
        arena_copy(loading->arena, step->replacement, loading->err);
    return step->replacement.data;
}

static const struct {
    const char *type;
    enum pretokenizer_kind kind;
    bool (*load)(struct loading *, const struct part *,
                 struct pretokenizer_step *);
} known[] = {
    {"BertPreTokenizer", PRETOKENIZER_BERT, load_nothing},
    {"Whitespace", PRETOKENIZER_WHITESPACE, load_nothing},
    {"WhitespaceSplit", PRETOKENIZER_WHITESPACE_SPLIT, load_nothing},
    {"Punctuation", PRETOKENIZER_PUNCTUATION, load_behavior},
    {"Digits", PRETOKENIZER_DIGITS, load_digits},
    {"Metaspace", PRETOKENIZER_METASPACE, load_metaspace},
    {"ByteLevel", PRETOKENIZER_BYTE_LEVEL, load_byte_level},
    {"Split", PRETOKENIZER_SPLIT, load_split},
    {"CharDelimiterSplit", PRETOKENIZER_SPLIT, load_delimiter},
    {"FixedLength", PRETOKENIZER_FIXED_LENGTH, load_length},
    {"UnicodeScripts", PRETOKENIZER_UNICODE_SCRIPTS, load_nothing},
};

static struct pretokenizer_step *new_step(struct loading *loading,
                                          enum pretokenizer_kind kind) {
    struct pretokenizers *to = loading->to;
    if (to->count == PRETOKENIZERS_MAX) {
        error_set(loading->err, ERROR_UNSUPPORTED,
                  "%s: the pre_tokenizer has more than %d steps", loading->name,
                  PRETOKENIZERS_MAX);
        return NULL;
    }
    struct pretokenizer_step *step = &to->steps[to->count++];
    step->kind = kind;
    return step;
}

static bool load_step(void *context, const struct part *part,
                      struct error *err) {
    struct loading *loading = context;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(part->type, known[i].type) != 0)
            continue;
        struct pretokenizer_step *step = new_step(loading, known[i].kind);
        return step && known[i].load(loading, part, step);
    }
    return part_unsupported(part,
                            "BertPreTokenizer, Whitespace, WhitespaceSplit, "
                            "Punctuation, Digits, Metaspace, ByteLevel, Split, "
                            "CharDelimiterSplit, FixedLength and "
                            "UnicodeScripts are",
                            err);
}

bool pretokenizers_load(struct pretokenizers *pretokenizers, const json_t *json,
                        const char *name, struct memory *memory,
                        struct arena *arena, struct error *err) {
    struct loading loading = {pretokenizers, name, arena, err};
    struct part_steps steps = {"pre_tokenizer", "pretokenizers", name,
                               load_step, &loading};
    pretokenizers->memory = memory;
    pretokenizers->steps = arena_alloc(arena, PRETOKENIZERS_MAX,
                                       sizeof *pretokenizers->steps, err);
    return pretokenizers->steps &&
           (!json || json_is_null(json) || part_each(&steps, json, err));
}

void pretokenizers_free(struct pretokenizers *pretokenizers) {
    for (size_t i = 0; i < pretokenizers->count; i++)
        pattern_free(pretokenizers->steps[i].pattern);
    pretokenizers->count = 0;
}
