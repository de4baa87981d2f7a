/* normalizers.c - see normalizers.h. */

#include "text/normalizers.h"

#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "text/byte_characters.h"
#include "text/part.h"
#include "text/unicode_sets.h"

struct loading {
    struct normalizers *to;
    const char *name;
    struct arena *arena;
    struct error *err;
};

static bool load_bert(struct loading *loading, const struct part *part,
                      struct normalizer_step *step) {
    struct normalizer *bert = &step->bert;
    struct error *err = loading->err;
    if (!part_bool(part, "clean_text", &bert->clean_text, err) ||
        !part_bool(part, "handle_chinese_chars", &bert->handle_chinese_chars,
                   err) ||
        !part_bool(part, "lowercase", &bert->lowercase, err))
        return false;
    bert->strip_accents = bert->lowercase; /* what null means */
    if (!json_member_bool(part->json, "strip_accents", part->name,
                          &bert->strip_accents, err))
        return false;
    normalize_prepare(bert);
    return true;
}

static bool load_lowercase(struct loading *loading, const struct part *part,
                           struct normalizer_step *step) {
    (void)loading;
    (void)part;
    step->bert.lowercase = true;
    normalize_prepare(&step->bert);
    return true;
}

static bool load_nothing(struct loading *loading, const struct part *part,
                         struct normalizer_step *step) {
    (void)loading;
    (void)part;
    (void)step;
    return true;
}

static bool load_strip(struct loading *loading, const struct part *part,
                       struct normalizer_step *step) {
    return part_bool(part, "strip_left", &step->left, loading->err) &&
           part_bool(part, "strip_right", &step->right, loading->err);
}

static bool keep_text(struct loading *loading, const struct part *part,
                      const char *key, struct normalizer_step *step) {
    if (!part_text(part, key, &step->text, loading->err))
        return false;
    step->text.data = arena_copy(loading->arena, step->text, loading->err);
    return step->text.data;
}

static bool load_prepend(struct loading *loading, const struct part *part,
                         struct normalizer_step *step) {
    return keep_text(loading, part, "prepend", step);
}

static bool load_replace(struct loading *loading, const struct part *part,
                         struct normalizer_step *step) {
    return keep_text(loading, part, "content", step) &&
           part_pattern(part, loading->to->memory, &step->pattern,
                        loading->err);
}

static bool load_precompiled(struct loading *loading, const struct part *part,
                             struct normalizer_step *step) {
    struct str map;
    return part_text(part, "precompiled_charsmap", &map, loading->err) &&
           precompiled_load(&step->map, map, part->name, loading->arena,
                            loading->err);
}

static bool load_form(struct loading *loading, const struct part *part,
                      struct normalizer_step *step) {
    (void)loading;
    step->form = strcmp(part->type, "NFC") == 0    ? FORM_NFC
                 : strcmp(part->type, "NFD") == 0  ? FORM_NFD
                 : strcmp(part->type, "NFKC") == 0 ? FORM_NFKC
                                                   : FORM_NFKD;
    return true;
}

static const struct {
    const char *type;
    enum normalizer_kind kind;
    bool (*load)(struct loading *, const struct part *,
                 struct normalizer_step *);
} known[] = {
    {"BertNormalizer", NORMALIZER_BERT, load_bert},
    {"Lowercase", NORMALIZER_BERT, load_lowercase},
    {"StripAccents", NORMALIZER_ACCENTS, load_nothing},
    {"Strip", NORMALIZER_STRIP, load_strip},
    {"Prepend", NORMALIZER_PREPEND, load_prepend},
    {"Replace", NORMALIZER_REPLACE, load_replace},
    {"Precompiled", NORMALIZER_PRECOMPILED, load_precompiled},
    {"Nmt", NORMALIZER_NMT, load_nothing},
    {"ByteLevel", NORMALIZER_BYTE_LEVEL, load_nothing},
    {"NFC", NORMALIZER_FORM, load_form},
    {"NFD", NORMALIZER_FORM, load_form},
    {"NFKC", NORMALIZER_FORM, load_form},
    {"NFKD", NORMALIZER_FORM, load_form},
};

static struct normalizer_step *new_step(struct loading *loading,
                                        enum normalizer_kind kind) {
    struct normalizers *to = loading->to;
    if (to->count == NORMALIZERS_MAX) {
        error_set(loading->err, ERROR_UNSUPPORTED,
                  "%s: the normalizer has more than %d steps", loading->name,
                  NORMALIZERS_MAX);
        return NULL;
    }
    struct normalizer_step *step = &to->steps[to->count++];
    step->kind = kind;
    return step;
}

static bool load_step(void *context, const struct part *part,
                      struct error *err) {
    struct loading *loading = context;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(part->type, known[i].type) != 0)
            continue;
        struct normalizer_step *step = new_step(loading, known[i].kind);
        return step && known[i].load(loading, part, step);
    }
    return part_unsupported(part,
                            "BertNormalizer, Lowercase, StripAccents, Strip, "
                            "Prepend, Replace, Precompiled, Nmt, ByteLevel and "
                            "NF(K)C/D are",
                            err);
}

bool normalizers_load(struct normalizers *normalizers, const json_t *json,
                      bool lower, const char *name, struct memory *memory,
                      struct arena *arena, struct error *err) {
    struct loading loading = {normalizers, name, arena, err};
    struct part_steps steps = {"normalizer", "normalizers", name, load_step,
                               &loading};
    normalizers->memory = memory;
    normalizers->steps =
        arena_alloc(arena, NORMALIZERS_MAX, sizeof *normalizers->steps, err);
    if (!normalizers->steps)
        return false;
    if (lower)
        load_lowercase(&loading, NULL, new_step(&loading, NORMALIZER_BERT));
    return !json || json_is_null(json) || part_each(&steps, json, err);
}

void normalizers_free(struct normalizers *normalizers) {
    for (size_t i = 0; i < normalizers->count; i++)
        pattern_free(normalizers->steps[i].pattern);
    normalizers->count = 0;
}

struct normalizers_scratch normalizers_scratch_make(struct memory *memory) {
    return (struct normalizers_scratch){
        .memory = memory,
        .buffers = {strbuf_make(memory), strbuf_make(memory)},
        .codes.memory = memory,
        .marks.memory = memory,
        .pattern.memory = memory};
}

void normalizers_scratch_free(struct normalizers_scratch *scratch) {
    strbuf_free(&scratch->buffers[0]);
    strbuf_free(&scratch->buffers[1]);
    memory_free(scratch->memory, scratch->codes.list);
    memory_free(scratch->memory, scratch->marks.codes);
    pattern_scratch_free(&scratch->pattern);
}

static bool has(struct str text, size_t at, size_t *next, uint32_t flag) {
    *next = at;
    return unicode_set(utf8_next(text, next)) & flag;
}

static struct str strip(const struct normalizer_step *step, struct str text) {
    size_t begin = 0, end = text.size, next;
    while (step->left && begin < end && has(text, begin, &next, SET_WHITE))
        begin = next;
    while (step->right && end > begin) {
        size_t at = end - 1;
        while (at > begin && (text.data[at] & 0xC0) == 0x80)
            at--;
        if (!has(text, at, &next, SET_WHITE))
            break;
        end = at;
    }
    return (struct str){text.data + begin, end - begin};
}

static void put_without_marks(struct str text, struct strbuf *out) {
    for (size_t at = 0, next; at < text.size; at = next)
        if (!has(text, at, &next, SET_MARK))
            strbuf_add(out, (struct str){text.data + at, next - at});
}

/* What Nmt drops. */
static bool nmt_drops(uint32_t code) {
    return (code >= 0x01 && code <= 0x08) || code == 0x0B ||
           (code >= 0x0E && code <= 0x1F) || code == 0x7F || code == 0x8F ||
           code == 0x9F;
}

/* What it takes for a space. */
static bool nmt_spaces(uint32_t code) {
    switch (code) {
    case 0x09:
    case 0x0A:
    case 0x0C:
    case 0x0D:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x2581:
    case 0xFEFF:
    case 0xFFFD:
        return true;
    default:
        return code >= 0x200B && code <= 0x200F;
    }
}

static void put_nmt(struct str text, struct strbuf *out) {
    for (size_t at = 0, next = 0; at < text.size; at = next) {
        uint32_t code = utf8_next(text, &next);
        if (nmt_drops(code))
            continue;
        if (nmt_spaces(code))
            strbuf_add_char(out, ' ');
        else
            strbuf_add(out, (struct str){text.data + at, next - at});
    }
}

static void put_bytes(struct str text, struct strbuf *out) {
    if (strbuf_reserve(out, text.size * 2 + 1))
        byte_characters_put(text, out);
}

struct replacing {
    struct str text, content;
    struct strbuf *out;
    size_t was_at_zero, at_zero; /* bytes of TEXT, of OUT */
};

/* What is put in the place of a match stands where the match ends. */
static void put_replaced(void *context, size_t begin, size_t end, bool match) {
    struct replacing *r = context;
    struct str part = {r->text.data + begin, end - begin};
    size_t part_at_zero =
        r->was_at_zero < end ? r->was_at_zero - begin : part.size;
    if (match && end <= r->was_at_zero)
        r->at_zero += r->content.size;
    if (!match && begin < r->was_at_zero)
        r->at_zero += part_at_zero;
    strbuf_add(r->out, match ? r->content : part);
}

static bool replace(const struct normalizer_step *step,
                    struct normalizers_scratch *scratch, struct normalized *now,
                    struct strbuf *out, struct error *err) {
    struct replacing replacing = {now->text, step->text, out, now->at_zero, 0};
    if (!pattern_find(step->pattern, &scratch->pattern, now->text, put_replaced,
                      &replacing, err))
        return false;
    now->at_zero = replacing.at_zero;
    return true;
}

/* Each character by itself: what comes of the first part is known at once. */
static void put_apart(struct normalized *now,
                      void (*put)(struct str, struct strbuf *),
                      struct strbuf *out) {
    size_t first = now->at_zero;
    put((struct str){now->text.data, first}, out);
    now->at_zero = out->size;
    put((struct str){now->text.data + first, now->text.size - first}, out);
}

static void put_whole(const struct normalizer_step *step,
                      struct normalizers_scratch *scratch, struct str text,
                      struct strbuf *out) {
    if (step->kind == NORMALIZER_PRECOMPILED) {
        precompiled_put(&step->map, text, out);
    } else if (step->kind == NORMALIZER_FORM) {
        normal_form(step->form, &scratch->codes, text, out);
    } else {
        scratch->marks.count = 0;
        normalize_add(&step->bert, &scratch->marks, text, out);
        normalize_end(&scratch->marks, out);
    }
}

static size_t count_characters(struct str text) {
    size_t count = 0;
    for (size_t at = 0; at < text.size; count++)
        utf8_next(text, &at);
    return count;
}

/* A character's neighbours count: the characters of the first part may become
 * others then, but no more and no fewer. Where a charsmap leaves nothing of
 * that part, the next character takes its place. */
static void put_together(const struct normalizer_step *step,
                         struct normalizers_scratch *scratch,
                         struct normalized *now, struct strbuf *out) {
    struct str first = {now->text.data, now->at_zero};
    put_whole(step, scratch, first, out);
    size_t count = count_characters(strbuf_str(out));
    if (step->kind == NORMALIZER_PRECOMPILED && first.size && !count)
        count = 1;
    strbuf_clear(out);
    put_whole(step, scratch, now->text, out);
    now->at_zero = 0;
    while (count-- && now->at_zero < out->size)
        utf8_next(strbuf_str(out), &now->at_zero);
}

static bool run_step(const struct normalizer_step *step,
                     struct normalizers_scratch *scratch,
                     struct normalized *now, struct strbuf *out,
                     struct error *err) {
    struct str stripped;
    size_t left;
    switch (step->kind) {
    case NORMALIZER_ACCENTS:
        put_apart(now, put_without_marks, out);
        break;
    case NORMALIZER_NMT:
        put_apart(now, put_nmt, out);
        break;
    case NORMALIZER_BYTE_LEVEL:
        put_apart(now, put_bytes, out);
        break;
    case NORMALIZER_STRIP:
        stripped = strip(step, now->text);
        left = (size_t)(stripped.data - now->text.data);
        now->at_zero -= left < now->at_zero ? left : now->at_zero;
        now->text = stripped;
        return true;
    case NORMALIZER_PREPEND:
        strbuf_add(out, step->text);
        strbuf_add(out, now->text);
        now->at_zero += now->at_zero ? step->text.size : 0;
        break;
    case NORMALIZER_REPLACE:
        if (!replace(step, scratch, now, out, err))
            return false;
        break;
    case NORMALIZER_BERT:
    case NORMALIZER_PRECOMPILED:
    case NORMALIZER_FORM:
        put_together(step, scratch, now, out);
        break;
    }
    now->text = strbuf_str(out);
    return strbuf_ok(out, err);
}

bool normalizers_run(const struct normalizers *normalizers,
                     struct normalizers_scratch *scratch, struct str text,
                     struct normalized *out, struct error *err) {
    unsigned which = 0;
    *out = (struct normalized){.text = text};
    if (text.size)
        utf8_next(text, &out->at_zero);
    for (size_t i = 0; i < normalizers->count && out->text.size; i++) {
        struct strbuf *buffer = &scratch->buffers[which];
        strbuf_clear(buffer);
        if (!run_step(&normalizers->steps[i], scratch, out, buffer, err))
            return false;
        which ^= normalizers->steps[i].kind != NORMALIZER_STRIP;
    }
    return true;
}
