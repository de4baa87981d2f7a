/* template.c - see template.h. */

#include "text/template.h"

#include <string.h>

#include "text/part.h"

enum { SPECIALS_MAX = 1024 }; /* ids around one text */

struct building {
    struct part part;
    size_t vocab;
    uint32_t ids[SPECIALS_MAX];
    size_t count;
    size_t before; /* ids before the text; SIZE_MAX: it has not come yet */
};

static bool add_id(struct building *building, const json_t *value,
                   const char *of, struct error *err) {
    if (building->count == SPECIALS_MAX)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: the post_processor puts more than %d special "
                         "tokens around a text",
                         building->part.name, SPECIALS_MAX);
    return part_id(value, building->vocab, of, building->part.name,
                   &building->ids[building->count++], err);
}

static bool add_special(struct building *building, const json_t *piece,
                        struct error *err) {
    const char *id = json_string_value(json_object_get(piece, "id"));
    const json_t *specials =
        json_object_get(building->part.json, "special_tokens");
    const json_t *ids =
        id ? json_object_get(json_object_get(specials, id), "ids") : NULL;
    if (!json_is_array(ids))
        return error_set(err, ERROR_INPUT,
                         "%s: the post_processor names the special token "
                         "\"%.64s\" and does not say its ids",
                         building->part.name, id ? id : "");
    for (size_t i = 0; i < json_array_size(ids); i++)
        if (!add_id(building, json_array_get(ids, i), id, err))
            return false;
    return true;
}

static bool add_piece(struct building *building, const json_t *piece,
                      struct error *err) {
    const json_t *special = json_object_get(piece, "SpecialToken");
    const json_t *sequence = json_object_get(piece, "Sequence");
    const char *id = json_string_value(json_object_get(sequence, "id"));
    if (special)
        return add_special(building, special, err);
    if (!id || strcmp(id, "A") != 0 || building->before != SIZE_MAX)
        return error_set(err, ERROR_INPUT,
                         "%s: the post_processor's \"single\" is not special "
                         "tokens around one sequence A",
                         building->part.name);
    building->before = building->count;
    return true;
}

static bool template_processing(struct building *building, struct error *err) {
    const json_t *single = json_object_get(building->part.json, "single");
    for (size_t i = 0; i < json_array_size(single); i++)
        if (!add_piece(building, json_array_get(single, i), err))
            return false;
    if (building->before == SIZE_MAX)
        return error_set(err, ERROR_INPUT,
                         "%s: the post_processor's \"single\" has no place for "
                         "the text (sequence A)",
                         building->part.name);
    return true;
}

static bool bert_processing(struct building *building, struct error *err) {
    static const char *const keys[] = {"cls", "sep"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *pair = json_object_get(building->part.json, keys[i]);
        if (!add_id(building, json_array_get(pair, 1), keys[i], err))
            return false;
    }
    building->before = 1;
    return true;
}

static bool keep(struct template *made, const struct building *building,
                 struct arena *arena, struct error *err) {
    made->before_count = building->before;
    made->after_count = building->count - building->before;
    made->before =
        arena_alloc(arena, building->count + 1, sizeof *made->before, err);
    if (!made->before)
        return false;
    memcpy(made->before, building->ids, building->count * sizeof *made->before);
    made->after = made->before + made->before_count;
    return true;
}

/* What ONE puts around a text. `tokenizers` takes the parts that one processor
 * made for two texts in the next, so there is no right answer for two. */
static bool take(struct building *all, const struct building *one,
                 struct error *err) {
    if (all->before != SIZE_MAX)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: two parts of the post_processor put special "
                         "tokens around a text, and only one can: use another "
                         "model",
                         all->part.name);
    memcpy(all->ids, one->ids, one->count * sizeof *all->ids);
    all->count = one->count;
    all->before = one->before;
    return true;
}

static bool add_processor(void *context, const struct part *part,
                          struct error *err) {
    struct building *all = context;
    struct building one = {
        .part = *part, .vocab = all->vocab, .before = SIZE_MAX};
    if (strcmp(part->type, "ByteLevel") == 0)
        return true; /* it moves offsets, and we have none */
    if (strcmp(part->type, "TemplateProcessing") == 0)
        return template_processing(&one, err) && take(all, &one, err);
    if (strcmp(part->type, "BertProcessing") == 0 ||
        strcmp(part->type, "RobertaProcessing") == 0)
        return bert_processing(&one, err) && take(all, &one, err);
    return part_unsupported(part,
                            "TemplateProcessing, BertProcessing, "
                            "RobertaProcessing and ByteLevel are",
                            err);
}

bool template_load(struct template *made, const json_t *root, size_t vocab,
                   const char *name, struct arena *arena, struct error *err) {
    struct building all = {.vocab = vocab, .before = SIZE_MAX};
    if (!part_open(&all.part, root, "post_processor", NULL, name, err))
        return false;
    struct part_steps steps = {"post_processor", "processors", name,
                               add_processor, &all};
    if (all.part.json && !part_each(&steps, all.part.json, err))
        return false;
    if (all.before == SIZE_MAX)
        all.before = 0;
    return keep(made, &all, arena, err);
}
