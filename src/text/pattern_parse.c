/* pattern_parse.c - see pattern_parse.h. */

#include "text/pattern_parse.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "text/unicode_sets.h"

struct parser {
    struct parsed *parsed;
    struct str regex;
    size_t at;
    const char *name;
    struct error *err;
    bool caseless[PATTERN_DEPTH]; /* of each group that is open */
    size_t depth;
    uint32_t before; /* letter that stands before, if case is ignored */
    bool quantified; /* what stands before can be repeated */
};

static bool refuse(struct parser *parser, const char *what) {
    size_t left = parser->regex.size - parser->at;
    return error_set(
        parser->err, ERROR_UNSUPPORTED,
        "%s: the pattern \"%.*s\" has %s at \"%.*s\", which is not "
        "supported: use another model",
        parser->name, STR_ARG(parser->regex), what,
        (int)(left < 20 ? left : 20), parser->regex.data + parser->at);
}

static bool at_end(const struct parser *parser) {
    return parser->at >= parser->regex.size;
}

static bool starts(const struct parser *parser, const char *text) {
    struct str rest = {parser->regex.data + parser->at,
                       parser->regex.size - parser->at};
    return str_starts(rest, str_from(text));
}

static bool skip(struct parser *parser, const char *text) {
    if (!starts(parser, text))
        return false;
    parser->at += strlen(text);
    return true;
}

static bool put_marks(struct parser *parser, const char *marks) {
    struct parsed *parsed = parser->parsed;
    if (parsed->item_count == PATTERN_ITEMS_MAX)
        return refuse(parser, "too many parts");
    struct pattern_item *item = &parsed->items[parsed->item_count++];
    item->set = -1;
    snprintf(item->marks, sizeof item->marks, "%s", marks);
    return true;
}

/* A new set, to be filled by the caller. */
static struct code_set *put_set(struct parser *parser) {
    struct parsed *parsed = parser->parsed;
    if (parsed->item_count == PATTERN_ITEMS_MAX ||
        parsed->set_count == PATTERN_SETS_MAX) {
        refuse(parser, "too many parts");
        return NULL;
    }
    parsed->items[parsed->item_count++] =
        (struct pattern_item){.set = (int)parsed->set_count};
    struct code_set *set = &parsed->sets[parsed->set_count++];
    *set = (struct code_set){.memory = parsed->memory};
    return set;
}

/* The general categories that NAME ("L", "Lu") stands for; 0: none. */
static uint32_t kinds_named(struct str name) {
    static const char all[] = "LuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZl"
                              "ZpCcCfCsCoCn";
    uint32_t kinds = 0;
    for (unsigned i = 0; i < KINDS && (name.size == 1 || name.size == 2); i++)
        if (memcmp(all + 2 * i, name.data, name.size) == 0)
            kinds |= 1u << i;
    return kinds;
}

/* {..} of \p. */
static bool add_property(struct parser *parser, struct code_set *set,
                         bool negated) {
    const char *open = parser->regex.data + parser->at;
    const char *close = starts(parser, "{")
                            ? memchr(open, '}', parser->regex.size - parser->at)
                            : NULL;
    if (!close)
        return refuse(parser, "\\p without {..}");
    struct str name = {open + 1, (size_t)(close - open) - 1};
    if (name.size && name.data[0] == '^') {
        negated = !negated;
        name = (struct str){name.data + 1, name.size - 1};
    }
    bool han = str_equal(name, STR("Han"));
    uint32_t kinds = kinds_named(name);
    if (!kinds && !han)
        return refuse(parser, "this property");
    code_set_add_kind(set, kinds, han ? SET_HAN : 0, negated);
    parser->at += name.size + (size_t)(name.data - open) + 1;
    return true;
}

static bool hex(struct parser *parser, size_t least, size_t most,
                uint32_t *code) {
    size_t count = 0;
    *code = 0;
    while (count < most && !at_end(parser)) {
        char c = parser->regex.data[parser->at];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            break;
        *code = *code * 16 + (uint32_t)digit;
        parser->at++;
        count++;
    }
    if (count < least || *code >= CODES_END || *code - 0xD800 < 0x800)
        return refuse(parser, "a number that is no character");
    return true;
}

/* The code point of an escape (behind the backslash), or *IS_SET and a set's
 * members in SET. WORD: what \w is here. */
static bool escape(struct parser *parser, struct code_set *set, uint32_t word,
                   uint32_t *code, bool *is_set) {
    static const char *const controls = "ntrfvae";
    static const char meant[] = "\n\t\r\f\v\a\x1b";
    static const char sets[] = "sdwSDW";
    const uint32_t flags[] = {SET_S, SET_D, word};
    *is_set = false;
    if (at_end(parser))
        return refuse(parser, "a backslash at the end");
    char c = parser->regex.data[parser->at];
    const char *found = strchr(controls, c);
    if (c && found) {
        parser->at++;
        *code = (uint8_t)meant[found - controls];
        return true;
    }
    found = c ? strchr(sets, c) : NULL;
    *is_set = found || c == 'p' || c == 'P';
    if (found) {
        parser->at++;
        code_set_add_kind(set, 0, flags[(found - sets) % 3], found - sets > 2);
        return true;
    }
    if (*is_set) {
        parser->at++;
        return add_property(parser, set, c == 'P');
    }
    if (skip(parser, "x{"))
        return hex(parser, 1, 8, code) &&
               (skip(parser, "}") || refuse(parser, "an open \\x{"));
    if (skip(parser, "u"))
        return hex(parser, 4, 4, code);
    if (starts(parser, "x") && skip(parser, "x"))
        return hex(parser, 2, 2, code) &&
               (*code < 0x80 || refuse(parser, "a byte of a character"));
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
        (c >= 'a' && c <= 'z') || (uint8_t)c >= 0x80)
        return refuse(parser, "this escape");
    *code = (uint8_t)c;
    parser->at++;
    return true;
}

/* CODE where case is ignored: Oniguruma's folding of ASCII letters. */
static void add_other_case(struct code_set *set, uint32_t code) {
    uint32_t lower = code | 0x20;
    if (lower < 'a' || lower > 'z' || code > 'z')
        return;
    code_set_add(set, code ^ 0x20, code ^ 0x20);
    if (lower == 's')
        code_set_add(set, 0x17F, 0x17F);
    if (lower == 'k')
        code_set_add(set, 0x212A, 0x212A);
}

static bool caseless(const struct parser *parser) {
    return parser->caseless[parser->depth];
}

static bool add_range(struct parser *parser, struct code_set *set,
                      uint32_t first, uint32_t last) {
    if (first > last)
        return refuse(parser, "a range that ends before it begins");
    code_set_add(set, first, last);
    if (!caseless(parser))
        return true;
    if (last >= 0x80)
        return refuse(parser, "a character beyond ASCII where case is ignored");
    for (uint32_t code = first; code <= last; code++)
        add_other_case(set, code);
    return true;
}

/* One member of a [..]; *IS_SET: it cannot begin a range. */
static bool class_member(struct parser *parser, struct code_set *set,
                         uint32_t *code, bool *is_set) {
    *is_set = false;
    if (skip(parser, "\\"))
        return escape(parser, set, SET_C, code, is_set) &&
               (!*is_set || !caseless(parser) ||
                refuse(parser, "a set where case is ignored"));
    if (starts(parser, "[") || starts(parser, "&&"))
        return refuse(parser, "a set of sets");
    *code = utf8_next(parser->regex, &parser->at);
    return true;
}

static bool class_range(struct parser *parser, struct code_set *set) {
    uint32_t first = 0, last = 0; /* a set has no code */
    bool is_set;
    if (!class_member(parser, set, &first, &is_set))
        return false;
    bool range = starts(parser, "-") && !starts(parser, "-]");
    if (range && is_set)
        return refuse(parser, "a range that begins with a set");
    if (is_set)
        return true;
    if (!range)
        return add_range(parser, set, first, first);
    parser->at++;
    if (at_end(parser))
        return refuse(parser, "an open [");
    if (!class_member(parser, set, &last, &is_set))
        return false;
    return is_set ? refuse(parser, "a range that ends with a set")
                  : add_range(parser, set, first, last);
}

/* Behind the "[". */
static bool parse_class(struct parser *parser) {
    struct code_set *set = put_set(parser);
    if (!set)
        return false;
    bool negated = skip(parser, "^");
    if (starts(parser, "]"))
        return refuse(parser, "an empty set");
    while (!skip(parser, "]")) {
        if (at_end(parser))
            return refuse(parser, "an open [");
        if (!class_range(parser, set))
            return false;
    }
    if (negated)
        code_set_negate(set);
    else
        code_set_close(set);
    parser->before = 0;
    return true;
}

/* Two letters that Oniguruma folds into one character ("ss" is U+00DF). */
static bool folds_together(uint32_t a, uint32_t b) {
    static const char *const pairs[] = {"ff", "fi", "fl", "ss", "st"};
    for (size_t i = 0; i < 5; i++)
        if (a == (uint32_t)pairs[i][0] && b == (uint32_t)pairs[i][1])
            return true;
    return false;
}

static bool parse_letter(struct parser *parser, struct code_set *set,
                         uint32_t code) {
    if (!add_range(parser, set, code, code))
        return false;
    uint32_t lower = code >= 'A' && code <= 'Z' ? code | 0x20 : code;
    if (caseless(parser) && folds_together(parser->before, lower))
        return refuse(parser, "two letters that are one in another case");
    parser->before = caseless(parser) ? lower : 0;
    code_set_close(set);
    return true;
}

static bool parse_escape(struct parser *parser) {
    if (starts(parser, "A") || starts(parser, "z")) {
        parser->quantified = false;
        char marks[] = {'\\', parser->regex.data[parser->at++], 0};
        return put_marks(parser, marks);
    }
    struct code_set *set = put_set(parser);
    uint32_t code = 0;
    bool is_set;
    if (!set || !escape(parser, set, SET_W, &code, &is_set))
        return false;
    if (!is_set)
        return parse_letter(parser, set, code);
    if (caseless(parser))
        return refuse(parser, "a set where case is ignored");
    parser->before = 0;
    code_set_close(set);
    return true;
}

/* A set of one character between MARKS, for what stands for a line's end. */
static bool put_newline(struct parser *parser, const char *before,
                        const char *after) {
    struct code_set *set;
    if (!put_marks(parser, before) || !(set = put_set(parser)))
        return false;
    code_set_add(set, '\n', '\n');
    return put_marks(parser, after);
}

static bool open_group(struct parser *parser) {
    static const char *const kinds[] = {"?:", "?=", "?!", "?<=", "?<!", "?>"};
    if (parser->depth + 1 == PATTERN_DEPTH)
        return refuse(parser, "groups too deep");
    bool inherited = caseless(parser);
    parser->caseless[++parser->depth] = inherited;
    if (skip(parser, "?i:")) {
        parser->caseless[parser->depth] = true;
        return put_marks(parser, "(?:");
    }
    if (skip(parser, "?-i:")) {
        parser->caseless[parser->depth] = false;
        return put_marks(parser, "(?:");
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (skip(parser, kinds[i])) {
            char marks[8];
            snprintf(marks, sizeof marks, "(%s", kinds[i]);
            return put_marks(parser, marks);
        }
    }
    if (starts(parser, "?"))
        return refuse(parser, "this kind of group");
    return put_marks(parser, "(?:"); /* nothing looks at what it captures */
}

static bool close_group(struct parser *parser) {
    if (!parser->depth)
        return refuse(parser, "a ) too many");
    parser->depth--;
    parser->before = 0;
    parser->quantified = true;
    return put_marks(parser, ")");
}

/* {n}, {n,}, {,m}, {n,m} behind the "{"; *IS: it is one. */
static bool parse_times(struct parser *parser, bool *is) {
    const char *from = parser->regex.data + parser->at;
    const char *end = memchr(from, '}', parser->regex.size - parser->at);
    unsigned low = 0, high = 0;
    int used = 0;
    char text[16], marks[16];
    *is = false;
    if (!end || end - from > 12)
        return true;
    snprintf(text, sizeof text, "%.*s", (int)(end - from), from);
    if (text[0] == '+' || text[0] == '-' || strpbrk(text, " \t+-"))
        return true;
    bool to = sscanf(text, ",%u%n", &high, &used) == 1 && !text[used];
    bool exact = !to && sscanf(text, "%u%n", &low, &used) == 1 && !text[used];
    bool open = !to && !exact && sscanf(text, "%u,%n", &low, &used) == 1 &&
                used > 0 && text[used - 1] == ',' && !text[used];
    bool both = !to && !exact && !open &&
                sscanf(text, "%u,%u%n", &low, &high, &used) == 2 && !text[used];
    *is = to || exact || open || both;
    if (!*is)
        return true;
    parser->at += (size_t)(end - from) + 1;
    if (low > 1000 || high > 1000 || (both && high < low))
        return refuse(parser, "this number of times");
    if (exact)
        snprintf(marks, sizeof marks, "{%u}", low);
    else if (open)
        snprintf(marks, sizeof marks, "{%u,}", low);
    else
        snprintf(marks, sizeof marks, "{%u,%u}", low, high);
    if (starts(parser, "+") || (exact && starts(parser, "?")))
        return refuse(parser, "a repetition of a repetition");
    return put_marks(parser, marks) &&
           (!skip(parser, "?") || put_marks(parser, "?"));
}

/* What repeats the item that was just put. */
static bool parse_quantifier(struct parser *parser) {
    if (at_end(parser))
        return true;
    char c = parser->regex.data[parser->at];
    bool is = c == '*' || c == '+' || c == '?';
    if (is) {
        parser->at++;
        char marks[3] = {c, 0, 0};
        if (starts(parser, "?") || starts(parser, "+"))
            marks[1] = parser->regex.data[parser->at++];
        if (!put_marks(parser, marks))
            return false;
    } else if (c == '{') {
        parser->at++;
        if (!parse_times(parser, &is))
            return false;
        parser->at -= !is;
    }
    if (!is)
        return true;
    parser->before = 0;
    parser->quantified = false;
    if (!at_end(parser) && strchr("*+?", parser->regex.data[parser->at]) &&
        parser->regex.data[parser->at])
        return refuse(parser, "a repetition of a repetition");
    return true;
}

static bool parse_mark(struct parser *parser, char c) {
    parser->quantified = false;
    parser->at++;
    switch (c) {
    case '|':
        parser->before = 0;
        return put_marks(parser, "|");
    case '(':
        parser->before = 0;
        return open_group(parser);
    case ')':
        return close_group(parser);
    case '^':
        return put_newline(parser, "(?:\\A|(?<=", "))");
    default: /* $ */
        return put_newline(parser, "(?=\\z|", ")");
    }
}

static bool parse_one(struct parser *parser) {
    char c = parser->regex.data[parser->at];
    if (c && strchr("|()^$", c))
        return parse_mark(parser, c);
    if (c && strchr("*+?", c))
        return refuse(parser, "a repetition of nothing");
    parser->quantified = true;
    if (skip(parser, "["))
        return parse_class(parser);
    if (skip(parser, "\\"))
        return parse_escape(parser);
    struct code_set *set = put_set(parser);
    if (!set)
        return false;
    if (!skip(parser, "."))
        return parse_letter(parser, set, utf8_next(parser->regex, &parser->at));
    code_set_add(set, '\n', '\n');
    code_set_negate(set);
    parser->before = 0;
    return true;
}

bool pattern_parse(struct parsed *parsed, struct memory *memory,
                   struct str regex, const char *name, struct error *err) {
    *parsed = (struct parsed){.memory = memory};
    parsed->sets =
        memory_zalloc(memory, PATTERN_SETS_MAX, sizeof *parsed->sets, err);
    parsed->items =
        memory_zalloc(memory, PATTERN_ITEMS_MAX, sizeof *parsed->items, err);
    if (!parsed->sets || !parsed->items)
        return false;
    struct parser parser = {
        .parsed = parsed, .regex = regex, .name = name, .err = err};
    while (!at_end(&parser))
        if (!parse_one(&parser) ||
            (parser.quantified && !parse_quantifier(&parser)))
            return false;
    if (parser.depth)
        return refuse(&parser, "an open (");
    for (size_t i = 0; i < parsed->set_count; i++)
        if (parsed->sets[i].failed)
            return error_set(err, ERROR_MEMORY,
                             "%s: no memory for the sets of its patterns",
                             name);
    return true;
}

void parsed_free(struct parsed *parsed) {
    for (size_t i = 0; parsed->sets && i < parsed->set_count; i++)
        code_set_free(&parsed->sets[i]);
    memory_free(parsed->memory, parsed->sets);
    memory_free(parsed->memory, parsed->items);
}
