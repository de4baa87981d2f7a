/* template.c - see template.h. */

#include "text/template.h"

#include <string.h>

#include "text/part.h"
#include "text/tokenizer.h"

enum { ITEMS_MAX = 1024 }; /* special tokens and texts of one row */

/* A row as the file lists it: special tokens, A and B. */
struct row {
    struct item {
        enum item_kind { SPECIAL, TEXT_A, TEXT_B } kind;
        uint32_t id; /* of a special token */
        json_int_t type;
    } items[ITEMS_MAX];
    size_t count;
    size_t places[3]; /* of TEXT_A and TEXT_B; SIZE_MAX: not there */
};

struct building {
    struct part part;
    const struct template_terms *terms;
    bool given; /* by a post_processor that has a template */
    struct row single, pair;
    struct error pair_error; /* why PAIR is none; empty: it is one */
    bool pair_fails;
};

static void begin_row(struct row *row) {
    row->count = 0;
    row->places[TEXT_A] = row->places[TEXT_B] = SIZE_MAX;
}

static bool add_item(const struct building *building, struct row *row,
                     struct item item, struct error *err) {
    if (row->count == ITEMS_MAX)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: the post_processor puts more than %d special "
                         "tokens around a text",
                         building->part.name, ITEMS_MAX);
    if (item.kind != SPECIAL)
        row->places[item.kind] = row->count;
    row->items[row->count++] = item;
    return true;
}

static bool add_id(const struct building *building, struct row *row,
                   const json_t *value, const char *of, json_int_t type,
                   struct error *err) {
    struct item item = {.kind = SPECIAL, .type = type};
    return part_id(value, building->terms->vocab, of, building->part.name,
                   &item.id, err) &&
           add_item(building, row, item, err);
}

static bool add_special(const struct building *building, struct row *row,
                        const char *id, json_int_t type, struct error *err) {
    const json_t *specials =
        json_object_get(building->part.json, "special_tokens");
    const json_t *ids =
        id ? json_object_get(json_object_get(specials, id), "ids") : NULL;
    struct item item = {.kind = SPECIAL, .type = type};
    if (id && !ids && building->terms->names &&
        tokenizer_id(building->terms->names, str_from(id), &item.id))
        return add_item(building, row, item, err);
    if (!json_is_array(ids))
        return error_set(err, ERROR_INPUT,
                         "%s: the post_processor names the special token "
                         "\"%.64s\" and does not say its ids",
                         building->part.name, id ? id : "");
    for (size_t i = 0; i < json_array_size(ids); i++)
        if (!add_id(building, row, json_array_get(ids, i), id, type, err))
            return false;
    return true;
}

/* One of the list KEY; B is a text only of a pair. */
static bool add_piece(const struct building *building, struct row *row,
                      const char *key, const json_t *piece, struct error *err) {
    const json_t *special = json_object_get(piece, "SpecialToken");
    const json_t *body = special ? special : json_object_get(piece, "Sequence");
    const char *id = json_string_value(json_object_get(body, "id"));
    const json_t *type = json_object_get(body, "type_id");
    if (body && !json_is_integer(type))
        return error_set(err, ERROR_INPUT,
                         "%s: a piece of the post_processor's \"%s\" has no "
                         "\"type_id\"",
                         building->part.name, key);
    if (special)
        return add_special(building, row, id, json_integer_value(type), err);
    bool pair = strcmp(key, "pair") == 0;
    enum item_kind kind = id && strcmp(id, "A") == 0           ? TEXT_A
                          : pair && id && strcmp(id, "B") == 0 ? TEXT_B
                                                               : SPECIAL;
    if (kind == SPECIAL || row->places[kind] != SIZE_MAX)
        return error_set(err, ERROR_INPUT,
                         "%s: the post_processor's \"%s\" is not special "
                         "tokens around one sequence A%s",
                         building->part.name, key, pair ? " and one B" : "");
    return add_item(
        building, row,
        (struct item){.kind = kind, .type = json_integer_value(type)}, err);
}

static bool load_row(const struct building *building, struct row *row,
                     const char *key, struct error *err) {
    const json_t *list = json_object_get(building->part.json, key);
    begin_row(row);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!add_piece(building, row, key, json_array_get(list, i), err))
            return false;
    if (row->places[TEXT_A] == SIZE_MAX)
        return error_set(err, ERROR_INPUT,
                         "%s: the post_processor's \"%s\" has no place for "
                         "the text (sequence A)",
                         building->part.name, key);
    return true;
}

static bool template_processing(struct building *building, struct error *err) {
    building->pair_fails =
        !load_row(building, &building->pair, "pair", &building->pair_error);
    return load_row(building, &building->single, "single", err);
}

/* [CLS] A [SEP] B [SEP] with B's token type 1, or, of RobertaProcessing, with
 * [SEP] twice in between and all types 0. */
static bool bert_processing(struct building *building, bool roberta,
                            struct error *err) {
    const json_t *json = building->part.json;
    const json_t *cls = json_array_get(json_object_get(json, "cls"), 1);
    const json_t *sep = json_array_get(json_object_get(json, "sep"), 1);
    struct row *single = &building->single, *pair = &building->pair;
    json_int_t second = !roberta;
    begin_row(single);
    if (!add_id(building, single, cls, "cls", 0, err) ||
        !add_item(building, single, (struct item){.kind = TEXT_A}, err) ||
        !add_id(building, single, sep, "sep", 0, err))
        return false;
    *pair = *single;
    return (!roberta || add_id(building, pair, sep, "sep", 0, err)) &&
           add_item(building, pair,
                    (struct item){.kind = TEXT_B, .type = second}, err) &&
           add_id(building, pair, sep, "sep", second, err);
}

/* `tokenizers` takes the parts that one processor made for two texts in the
 * next, so there is no right answer for two. */
static bool add_processor(void *context, const struct part *part,
                          struct error *err) {
    struct building *all = context;
    if (strcmp(part->type, "ByteLevel") == 0)
        return true; /* it moves offsets, and we have none */
    bool roberta = strcmp(part->type, "RobertaProcessing") == 0;
    bool bert = roberta || strcmp(part->type, "BertProcessing") == 0;
    if (!bert && strcmp(part->type, "TemplateProcessing") != 0)
        return part_unsupported(part,
                                "TemplateProcessing, BertProcessing, "
                                "RobertaProcessing and ByteLevel are",
                                err);
    if (all->given)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: two parts of the post_processor put special "
                         "tokens around a text, and only one can: use another "
                         "model",
                         all->part.name);
    all->given = true;
    all->part = *part;
    return bert ? bert_processing(all, roberta, err)
                : template_processing(all, err);
}

/* The special tokens of ROW from BEGIN up to END. */
static bool keep(const struct row *row, size_t begin, size_t end,
                 struct ids *ids, struct arena *arena, struct error *err) {
    uint32_t *list = arena_alloc(arena, end - begin + 1, sizeof *list, err);
    for (size_t i = begin; list && i < end; i++)
        list[i - begin] = row->items[i].id;
    *ids = (struct ids){list, end - begin};
    return list;
}

static bool keep_single(struct template *made, const struct building *all,
                        struct error *err) {
    struct arena *arena = all->terms->arena;
    const struct row *row = &all->single;
    size_t a = row->places[TEXT_A];
    for (size_t i = 0; i < row->count && !all->terms->no_types; i++)
        if (row->items[i].type != 0)
            return error_set(err, ERROR_UNSUPPORTED,
                             "%s: the post_processor gives a single text "
                             "other token types than 0: use another model",
                             all->part.name);
    return keep(row, 0, a, &made->before, arena, err) &&
           keep(row, a + 1, row->count, &made->after, arena, err);
}

/* Where the token types of ROW step from 0 to 1; its count where they do not;
 * false if they do anything else, or step before A or behind B. */
static bool find_step(const struct row *row, size_t *step) {
    size_t at = 0;
    while (at < row->count && row->items[at].type == 0)
        at++;
    *step = at;
    for (; at < row->count; at++)
        if (row->items[at].type != 1)
            return false;
    return *step == row->count ||
           (*step > row->places[TEXT_A] && *step <= row->places[TEXT_B]);
}

static bool refuse(struct template_pair *pair, const char *reason,
                   const struct building *all, struct error *err) {
    struct arena *arena = all->terms->arena;
    pair->refused =
        all->pair_fails
            ? arena_copy(arena, str_from(all->pair_error.message), err)
            : arena_printf(arena, err,
                           "%s: the post_processor's \"pair\" %s: use another "
                           "model for pairs of texts",
                           all->part.name, reason);
    return pair->refused;
}

static bool keep_pair(struct template_pair *pair, const struct building *all,
                      struct error *err) {
    struct arena *arena = all->terms->arena;
    bool types = !all->terms->no_types;
    const struct row *row = &all->pair;
    size_t a = row->places[TEXT_A], b = row->places[TEXT_B];
    size_t step = row->count;
    if (all->pair_fails || b == SIZE_MAX || b < a)
        return refuse(pair, "is not a sequence A and a sequence B behind it",
                      all, err);
    if (types && !find_step(row, &step))
        return refuse(pair,
                      "has token types that are not 0 up to a place behind A "
                      "and 1 from there on",
                      all, err);
    pair->types = step < row->count;
    pair->between_first = pair->types ? step - a - 1 : 0;
    return keep(row, 0, a, &pair->before, arena, err) &&
           keep(row, a + 1, b, &pair->between, arena, err) &&
           keep(row, b + 1, row->count, &pair->after, arena, err);
}

/* What `tokenizers` does without a post_processor: A and then B. */
static bool begin(struct building *all, struct error *err) {
    begin_row(&all->single);
    begin_row(&all->pair);
    struct item a = {.kind = TEXT_A}, b = {.kind = TEXT_B, .type = 1};
    return add_item(all, &all->single, a, err) &&
           add_item(all, &all->pair, a, err) &&
           add_item(all, &all->pair, b, err);
}

bool template_load(struct template *made, const json_t *root,
                   const struct template_terms *terms, struct error *err) {
    struct building all = {.terms = terms};
    if (!part_open(&all.part, root, "post_processor", NULL, terms->name, err) ||
        !begin(&all, err))
        return false;
    struct part_steps steps = {"post_processor", "processors", terms->name,
                               add_processor, &all};
    if (all.part.json && !part_each(&steps, all.part.json, err))
        return false;
    return keep_single(made, &all, err) && keep_pair(&made->pair, &all, err);
}
