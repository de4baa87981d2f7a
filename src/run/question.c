#include "run/question.h"

#include <stdlib.h>
#include <string.h>

#include "hub/tensors.h"
#include "model/multi_rows.h"
#include "model/sparse_rows.h"
#include "text/bm25.h"

/* The question's ids, and how many of them are its own: what it is filled up
 * with comes behind. */
struct asked {
    struct tokens tokens;
    size_t own;
};

/* A table of weights reads a question by a limit of its own, in which special
 * tokens do not count. */
static size_t question_limit(const struct engine *engine, bool by_ids) {
    size_t own = engine->member->files->sparse.static_max_length;
    if (!by_ids)
        return engine->member->spec.max_length;
    return own ? own + tokenizer_special_count(engine->tokenizer) : 0;
}

static bool read_text(struct engine *engine, struct str text, size_t limit,
                      struct asked *asked, struct error *err) {
    struct strbuf whole = strbuf_make(&engine->session->memory);
    struct tokenized what;
    if (engine->member->prompt)
        strbuf_add(&whole, str_from(engine->member->prompt));
    strbuf_add(&whole, text);
    bool fine = strbuf_ok(&whole, err) &&
                tokenizer_encode(engine->tokenizer, engine->scratch[0],
                                 strbuf_str(&whole), limit, TOKENIZER_CUT,
                                 &asked->tokens, &what, err);
    strbuf_free(&whole);
    asked->own = asked->tokens.count;
    return fine && (asked->own > 0 ||
                    error_set(err, ERROR_INPUT, "an empty text has no vector"));
}

/* The token that queries are filled up with: what the files say, else the mask,
 * else the end of the text. */
static bool fill_token(const struct engine *engine, uint32_t *id,
                       struct error *err) {
    const char *named = engine->member->files->multi.expand_token;
    if (named)
        return tokenizer_id(engine->tokenizer, str_from(named), id) ||
               error_set(err, ERROR_INPUT,
                         "%s: queries are filled up with %s, which its "
                         "tokenizer does not have",
                         engine->member->files->folder, named);
    return tokenizer_fill_id(engine->tokenizer, id) ||
           error_set(err, ERROR_INPUT,
                     "%s: queries are filled up, and its tokenizer's files "
                     "name neither a mask token nor one for a text's end",
                     engine->member->files->folder);
}

/* Refused where upstream fills up otherwise than behind the question, or masks
 * what is added as a reader too (DeBERTa) and not only as a key. */
static bool can_fill(const struct engine *engine, struct error *err) {
    const struct member *member = engine->member;
    const struct multi_files *multi = &member->files->multi;
    const char *folder = member->files->folder;
    if (multi->expand_length > member->spec.max_length)
        return error_set(err, ERROR_INPUT,
                         "%s: queries are filled up to %zu tokens, more than "
                         "the model's %zu",
                         folder, multi->expand_length, member->spec.max_length);
    bool left = multi->fills_left ||
                (!multi->fills_right && tokenizer_pads_left(engine->tokenizer));
    if (multi->expand_cuts && left)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: its queries are filled up in front (its "
                         "tokenizer pads on the left), which is not "
                         "supported: search by another of the run's models",
                         folder);
    if (!multi->expand_attends && member->spec.relative_reach)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: its queries are filled up with tokens that "
                         "nobody attends to (\"attend\": false), which is not "
                         "supported for DeBERTa: search by another of the "
                         "run's models",
                         folder);
    return true;
}

static bool fill_up(struct engine *engine, struct asked *asked,
                    struct error *err) {
    struct tokens *tokens = &asked->tokens;
    const struct member *member = engine->member;
    size_t length = member->files->multi.expand_length;
    uint32_t id;
    if (member->request->use != MODEL_MULTI || tokens->count >= length)
        return true;
    if (!can_fill(engine, err))
        return false;
    if (!fill_token(engine, &id, err))
        return false;
    uint32_t *more =
        memory_resize(tokens->memory, tokens->ids, length, sizeof *more, err);
    if (!more)
        return false;
    tokens->ids = more;
    tokens->capacity = length;
    while (tokens->count < length)
        tokens->ids[tokens->count++] = id;
    return true;
}

/* ---- what the encoder gives --------------------------------------------- */

/* Arrays for all heads that the member is for. */
static bool make_arrays(const struct member *member, size_t tokens,
                        struct memory *memory, struct encoder_output *out,
                        struct error *err) {
    const struct model_spec *spec = &member->spec;
    *out = (struct encoder_output){0};
    if (member_has(member, ROW_DENSE) &&
        !(out->dense = memory_alloc(memory, spec->width, sizeof(float), err)))
        return false;
    if (member_has(member, ROW_MULTI) &&
        !(out->multi = memory_alloc(memory, tokens * spec->multi_width,
                                    sizeof(float), err)))
        return false;
    if (!member_has(member, ROW_SPARSE) || spec->sparse == SPARSE_STATIC)
        return true;
    float **array =
        spec->sparse == SPARSE_LEXICAL ? &out->lexical : &out->splade;
    size_t count = spec->sparse == SPARSE_LEXICAL ? tokens : spec->vocab;
    return (*array = memory_alloc(memory, count, sizeof(float), err));
}

static bool encode(struct engine *engine, const struct asked *asked,
                   const struct encoder_output *out, struct error *err) {
    uint32_t starts[2] = {0, (uint32_t)asked->tokens.count};
    uint32_t keys = (uint32_t)asked->own;
    bool all = engine->member->files->multi.expand_attends;
    struct encoder_batch batch = {.ids = asked->tokens.ids,
                                  .starts = starts,
                                  .texts = 1,
                                  .prompt_tokens = engine->prompt_tokens,
                                  .keys = all ? NULL : &keys};
    return engine_check_ids(engine->member, asked->tokens.ids,
                            asked->tokens.count, err) &&
           engine_bring(engine, asked->tokens.count, err) &&
           encoder_encode(engine->resident->encoder, &batch, out, err);
}

static bool unsound(const struct member *member, const char *reason,
                    struct error *err) {
    return error_set(err, ERROR_VECTOR, "%s: the text's vector is bad: %s",
                     member->key, reason);
}

static bool take_sparse(const struct engine *engine, const struct asked *asked,
                        struct encoder_output *out, struct question *to,
                        struct error *err) {
    const struct member *member = engine->member;
    const struct head_rules *rules = &engine->rules;
    size_t most = out->splade ? member->spec.vocab : asked->tokens.count;
    const char *reason;
    to->indices = memory_alloc(to->memory, most, sizeof *to->indices, err);
    if (!to->indices)
        return false;
    if (out->splade) {
        to->values = out->splade;
        to->pairs =
            sparse_splade(out->splade, most, member->files->sparse.active_max,
                          to->indices, to->values);
    } else {
        to->values = out->lexical;
        to->pairs = sparse_lexical(asked->tokens.ids, out->lexical, most,
                                   rules->dropped, rules->dropped_count,
                                   to->indices, to->values);
    }
    out->splade = out->lexical = NULL;
    struct row row = {to->pairs, to->indices, to->values};
    return row_is_sound(ROW_SPARSE, member->spec.vocab, &row, &reason) ||
           unsound(member, reason, err);
}

/* A query's rows: all of them, but for what the files leave out. */
static bool take_multi(const struct engine *engine, const struct asked *asked,
                       struct encoder_output *out, struct question *to,
                       struct error *err) {
    const struct member *member = engine->member;
    const char *reason;
    to->width = member->spec.multi_width;
    to->vectors = out->multi;
    out->multi = NULL;
    to->vectors_count = multi_keep(&engine->rules.query_rule, asked->tokens.ids,
                                   asked->tokens.count, to->vectors, to->width);
    struct row row = {to->vectors_count, NULL, to->vectors};
    return row_is_sound(ROW_MULTI, to->width, &row, &reason) ||
           unsound(member, reason, err);
}

static bool take_dense(const struct engine *engine, struct encoder_output *out,
                       struct question *to, struct error *err) {
    const char *reason;
    to->dense = out->dense;
    out->dense = NULL;
    if (!vector_is_sound(engine->member, to->dense, &reason))
        return unsound(engine->member, reason, err);
    member_cut(engine->member, to->dense);
    return true;
}

static bool by_model(struct engine *engine, const struct asked *asked,
                     struct question *to, struct error *err) {
    const struct member *member = engine->member;
    struct encoder_output out;
    bool fine =
        make_arrays(member, asked->tokens.count, to->memory, &out, err) &&
        encode(engine, asked, &out, err) &&
        (!out.dense || take_dense(engine, &out, to, err)) &&
        (!(out.splade || out.lexical) ||
         take_sparse(engine, asked, &out, to, err)) &&
        (!out.multi || take_multi(engine, asked, &out, to, err));
    memory_free(to->memory, out.dense);
    memory_free(to->memory, out.splade);
    memory_free(to->memory, out.lexical);
    memory_free(to->memory, out.multi);
    return fine;
}

/* ---- inference-free SPLADE ---------------------------------------------- */

static int ascending(const void *a, const void *b) {
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The text's different ids without special tokens, in to->indices. */
static bool list_ids(const struct asked *asked, struct engine *engine,
                     struct question *to, struct error *err) {
    size_t before = tokenizer_special_before(engine->tokenizer);
    size_t behind = tokenizer_special_count(engine->tokenizer) - before;
    size_t count = asked->own;
    to->indices = memory_alloc(to->memory, count, sizeof *to->indices, err);
    to->values = memory_zalloc(to->memory, count, sizeof *to->values, err);
    if (!to->indices || !to->values)
        return false;
    if (count < before + behind)
        return true;
    count -= before + behind;
    memcpy(to->indices, asked->tokens.ids + before,
           count * sizeof *to->indices);
    qsort(to->indices, count, sizeof *to->indices, ascending);
    for (size_t i = 0; i < count; i++)
        if (!to->pairs || to->indices[to->pairs - 1] != to->indices[i])
            to->indices[to->pairs++] = to->indices[i];
    return true;
}

static bool weigh_by_tensor(const struct tensor_source *source,
                            struct question *to, struct error *err) {
    struct tensors *st =
        tensors_open(to->memory, source->paths, source->paths_count, err);
    const struct tensor *weight = st ? tensors_find(st, source->weight) : NULL;
    bool fine = weight && weight->dtype <= TENSOR_BF16;
    if (st && !fine)
        error_set(err, ERROR_INPUT, "%s: there are no weights %s in it",
                  source->paths[0], source->weight);
    for (size_t i = 0; fine && i < to->pairs; i++)
        if (to->indices[i] < weight->elements)
            tensor_read_f32(weight, to->indices[i], 1, &to->values[i]);
    tensors_close(st);
    return fine;
}

static bool by_weights(struct engine *engine, const struct asked *asked,
                       struct question *to, struct error *err) {
    size_t kept = 0;
    if (!list_ids(asked, engine, to, err) ||
        !weigh_by_tensor(&engine->member->files->sparse.static_weights, to,
                         err))
        return false;
    for (size_t i = 0; i < to->pairs; i++)
        if (to->values[i] != 0) {
            to->indices[kept] = to->indices[i];
            to->values[kept++] = to->values[i];
        }
    to->pairs = sparse_largest(engine->member->files->sparse.active_max,
                               to->indices, to->values, kept);
    return true;
}

/* ---- all of it ---------------------------------------------------------- */

bool question_ask(struct engine *engine, struct str text, struct question *out,
                  struct error *err) {
    const struct member *member = engine->member;
    struct asked asked = {.tokens = tokens_make(out->memory)};
    bool by_ids =
        member_has(member, ROW_SPARSE) && member->spec.sparse == SPARSE_STATIC;
    bool more = member_has(member, ROW_DENSE) || member_has(member, ROW_MULTI);
    size_t limit = question_limit(engine, by_ids && !more);
    bool fine = read_text(engine, text, limit, &asked, err) &&
                fill_up(engine, &asked, err) &&
                (!by_ids || by_weights(engine, &asked, out, err)) &&
                ((by_ids && !more) || by_model(engine, &asked, out, err));
    tokens_free(&asked.tokens);
    return fine;
}

bool question_terms(const char *language, struct str text, struct question *out,
                    struct error *err) {
    struct bm25_pairs pairs = {.memory = out->memory};
    struct bm25_options options = BM25_DEFAULTS;
    options.language = language;
    options.stopwords = STR("");
    struct bm25 *bm25 = bm25_open(out->memory, &options, err);
    bool fine = bm25 && bm25_query(bm25, text, &pairs, err);
    bm25_close(bm25);
    if (!fine) {
        bm25_pairs_free(&pairs);
        return false;
    }
    out->indices = pairs.indices;
    out->values = pairs.values;
    out->pairs = pairs.count;
    return true;
}

void question_free(struct question *question) {
    memory_free(question->memory, question->dense);
    memory_free(question->memory, question->indices);
    memory_free(question->memory, question->values);
    memory_free(question->memory, question->vectors);
    *question = (struct question){.memory = question->memory};
}
