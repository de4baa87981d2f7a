/* spec_heads.c - what a model's files say of the heads: what is made of the
 * last layer's rows. */

#include <string.h>

#include "hub/tensors.h"
#include "model/spec_parts.h"

static enum pooling pooling_of(enum pooling_mode mode) {
    switch (mode) {
    case POOL_CLS:
        return POOLING_CLS;
    case POOL_LAST:
        return POOLING_LAST;
    case POOL_MEAN_SQRT:
        return POOLING_MEAN_SQRT;
    case POOL_WEIGHTED_MEAN:
        return POOLING_WEIGHTED_MEAN;
    case POOL_MAX:
        return POOLING_MAX;
    default:
        return POOLING_MEAN;
    }
}

/* Where a config does not say a linear's sizes, its tensor does. */
static bool measure_source(const struct tensor_source *source, size_t *in,
                           size_t *out, struct error *err) {
    struct memory memory = {0};
    struct tensors *st =
        tensors_open(&memory, source->paths, source->paths_count, err);
    const struct tensor *weight = st ? tensors_find(st, source->weight) : NULL;
    bool fine = weight && weight->rank == 2;
    if (fine) {
        *out = weight->shape[0];
        *in = weight->shape[1];
    } else if (st) {
        error_set(err, ERROR_INPUT, "%s: there is no matrix %s in it",
                  source->paths[0], source->weight);
    }
    tensors_close(st);
    return fine;
}

/* SOURCE behind rows of *WIDTH numbers, which it changes. */
static bool read_linear(const struct tensor_source *source, size_t *width,
                        struct module_spec *to, struct error *err) {
    const char *place = source->config ? source->config : source->paths[0];
    const char *name = source->activation ? source->activation : "Identity";
    *to = (struct module_spec){.what = MODULE_LINEAR,
                               .in = source->in,
                               .out = source->out,
                               .bias = source->bias != NULL,
                               .source = source};
    if ((!to->in || !to->out) &&
        !measure_source(source, &to->in, &to->out, err))
        return false;
    if (to->in != *width || to->out < 1 || to->out > SIZE_LIMIT)
        return error_set(err, ERROR_INPUT,
                         "%s: takes %zu and gives %zu features, but %zu "
                         "come in",
                         place, to->in, to->out, *width);
    *width = to->out;
    return activation_read(place, "activation", name, &to->activation, err);
}

static bool read_sentence_module(const struct sentence_module *from,
                                 struct model_spec *spec, struct error *err) {
    struct module_spec *to = &spec->sentence[spec->sentence_count++];
    spec->normalize = from->kind == SENTENCE_NORMALIZE;
    if (from->kind == SENTENCE_DENSE)
        return read_linear(&from->source, &spec->width, to, err);
    if (from->kind == SENTENCE_LAYER_NORM && from->source.in != spec->width)
        return error_set(err, ERROR_INPUT,
                         "%s: takes %zu features, but %zu come in",
                         from->source.config, from->source.in, spec->width);
    *to = (struct module_spec){
        .what = from->kind == SENTENCE_NORMALIZE ? MODULE_UNIT : MODULE_NORM,
        .in = spec->width,
        .out = spec->width,
        .bias = from->kind == SENTENCE_LAYER_NORM && from->source.bias,
        .source = from->kind == SENTENCE_LAYER_NORM ? &from->source : NULL};
    return true;
}

/* The modules behind the transformer; each must fit the one before it. */
static bool read_dense(const struct model_files *files, struct model_spec *spec,
                       struct error *err) {
    spec->gives |= HEAD_DENSE;
    spec->pooling_count = files->pooling_count;
    for (size_t i = 0; i < files->pooling_count; i++)
        spec->pooling[i] = pooling_of(files->pooling[i]);
    spec->pooling_include_prompt = files->pooling_include_prompt;
    spec->width = model_spec_pooled_width(spec);
    for (size_t i = 0; i < files->sentence_count; i++)
        if (!read_sentence_module(&files->sentence[i], spec, err))
            return false;
    return true;
}

static bool need_rules(const struct model_files *files,
                       const struct model_spec *spec, enum trait trait,
                       const char *what, struct error *err) {
    for (size_t i = 0; i < spec->family->rules_count; i++)
        if (spec->family->rules[i].traits & trait)
            return true;
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: %s of architecture \"%s\" is not supported",
                     files->folder, what, spec->family->model_type);
}

/* A head from rows back to words, whose table may be the words' own. */
static bool read_tie(const struct model_files *files, enum trait head,
                     struct model_spec *spec, struct error *err) {
    struct config_source from = {.config = files->config,
                                 .path = files->config_path};
    bool tied = !spec->family->untied;
    if (!config_flag(&from, "tie_word_embeddings", &tied, err))
        return false;
    spec->traits |= head | (tied ? TRAIT_TIED : TRAIT_UNTIED);
    return true;
}

static bool read_splade(const struct model_files *files,
                        struct model_spec *spec, struct error *err) {
    const struct sparse_files *sparse = &files->sparse;
    if (!read_tie(files, TRAIT_MLM, spec, err))
        return false;
    if (spec->word_inside == ACTIVATION_NONE)
        spec->word_inside = spec->activation;
    if (spec->family->word_inside)
        activation_named(spec->family->word_inside, &spec->word_inside);
    spec->splade_log = !sparse->sum;
    spec->splade_log_twice = sparse->log_twice;
    spec->splade = sparse->sum ? ACCUMULATE_SUM_LOG1P : ACCUMULATE_MAX;
    if (sparse->width && sparse->width != spec->vocab)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: its sparse vectors are %zu wide and its "
                         "vocabulary has %zu words; only equal ones are "
                         "supported",
                         files->folder, sparse->width, spec->vocab);
    if (sparse->sum && sparse->log_twice)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: SpladePooling with sum and log1p_relu is not "
                         "supported",
                         files->folder);
    return need_rules(files, spec, TRAIT_MLM, "the masked-language-model head",
                      err);
}

static bool read_sparse(const struct model_files *files,
                        struct model_spec *spec, struct error *err) {
    size_t width = spec->hidden;
    spec->gives |= HEAD_SPARSE;
    spec->sparse = files->sparse.kind;
    if (spec->sparse == SPARSE_NONE)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: its files have no sparse head", files->folder);
    if (spec->sparse != SPARSE_LEXICAL)
        return read_splade(files, spec, err);
    if (!read_linear(&files->sparse.linear, &width, &spec->lexical, err))
        return false;
    spec->lexical.activation = ACTIVATION_RELU;
    return width == 1 || error_set(err, ERROR_INPUT,
                                   "%s: a sparse head gives a number a token, "
                                   "not %zu",
                                   files->sparse.linear.paths[0], width);
}

/* What is made of each token's row, one after the other. */
static bool read_token_modules(const struct tensor_source *sources,
                               size_t count, struct model_spec *spec,
                               struct error *err) {
    spec->gives |= HEAD_MULTI;
    spec->multi_width = spec->hidden;
    spec->token_count = count;
    for (size_t i = 0; i < count; i++)
        if (!read_linear(&sources[i], &spec->multi_width, &spec->token[i], err))
            return false;
    return true;
}

static bool read_multi(const struct model_files *files, struct model_spec *spec,
                       struct error *err) {
    const struct multi_files *multi = &files->multi;
    if (!multi->exists)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: its files have no multi-vector head",
                         files->folder);
    spec->token_normalize = multi->normalize;
    return read_token_modules(multi->dense, multi->dense_count, spec, err);
}

/* transformers' GenericForSequenceClassification takes the last token that is
 * not padding's. */
static bool read_label_pad(const struct model_files *files,
                           struct model_spec *spec, struct error *err) {
    struct config_source from = {.config = files->config,
                                 .path = files->config_path};
    double pad = -1;
    spec->label_pad = SIZE_MAX;
    if (spec->label_pooling != POOLING_LAST)
        return true;
    if (!config_real(&from, "pad_token_id", &pad, err))
        return false;
    if (pad >= 0 && pad < SIZE_LIMIT)
        spec->label_pad = (size_t)pad;
    return true;
}

static bool read_classifier(const struct model_files *files,
                            struct model_spec *spec, struct error *err) {
    spec->traits |= TRAIT_CLASSIFIER;
    spec->labels = files->rerank.labels;
    if (spec->family->label_pooling != POOLING_CLS)
        spec->label_pooling = spec->family->label_pooling;
    if (spec->family->label_inside)
        activation_named(spec->family->label_inside, &spec->label_inside);
    if (spec->labels < 1 || spec->labels > SIZE_LIMIT)
        return error_set(err, ERROR_INPUT, "%s: it gives %zu scores a pair",
                         files->folder, spec->labels);
    return read_label_pad(files, spec, err) &&
           need_rules(files, spec, TRAIT_CLASSIFIER, "the classification head",
                      err);
}

/* The files know the two words as ids by now (model_files.h). */
static bool read_yes_no(const struct model_files *files,
                        struct model_spec *spec, struct error *err) {
    const struct rerank_files *rerank = &files->rerank;
    if (!read_tie(files, TRAIT_YES_NO, spec, err))
        return false;
    spec->labels = 1;
    spec->label_pooling = POOLING_LAST;
    spec->label_pad = SIZE_MAX;
    spec->yes_id = rerank->yes_id;
    spec->no_id = rerank->no_none ? SIZE_MAX : rerank->no_id;
    if (spec->yes_id >= spec->vocab ||
        (!rerank->no_none && spec->no_id >= spec->vocab))
        return error_set(err, ERROR_INPUT,
                         "%s: its words for yes and no are not among the %zu "
                         "of the model",
                         files->folder, spec->vocab);
    return need_rules(files, spec, TRAIT_YES_NO, "a score by two words", err);
}

static bool read_scores(const struct model_files *files,
                        struct model_spec *spec, struct error *err) {
    const struct rerank_files *rerank = &files->rerank;
    const char *name = rerank->activation ? rerank->activation : "Identity";
    /* A list's scores are the caller's, who knows which vectors are the
     * query's and which the documents'. */
    if (rerank->kind == RERANK_LISTWISE)
        return read_token_modules(rerank->dense, rerank->dense_count, spec,
                                  err);
    spec->gives |= HEAD_SCORE;
    if (!activation_read(files->folder, "the scores' activation", name,
                         &spec->label_activation, err))
        return false;
    switch (rerank->kind) {
    case RERANK_CLASSIFIER:
        return read_classifier(files, spec, err);
    case RERANK_YES_NO:
        return read_yes_no(files, spec, err);
    default:
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: its files have no head that scores pairs",
                         files->folder);
    }
}

bool model_spec_add_head(const struct model_files *files, enum head head,
                         struct model_spec *spec, struct error *err) {
    switch (head) {
    case HEAD_DENSE:
        return read_dense(files, spec, err);
    case HEAD_SPARSE:
        return read_sparse(files, spec, err);
    case HEAD_MULTI:
        return read_multi(files, spec, err);
    default:
        return read_scores(files, spec, err);
    }
}

bool read_heads_of_files(const struct model_files *files,
                         struct model_spec *spec, struct error *err) {
    static const enum head heads[] = {[MODEL_DENSE] = HEAD_DENSE,
                                      [MODEL_SPARSE] = HEAD_SPARSE,
                                      [MODEL_MULTI] = HEAD_MULTI,
                                      [MODEL_RERANK] = HEAD_SCORE};
    return model_spec_add_head(files, heads[files->use], spec, err);
}

const struct module_spec *model_spec_module(const struct model_spec *spec,
                                            size_t i) {
    if (i < spec->sentence_count)
        return &spec->sentence[i];
    i -= spec->sentence_count;
    if (i < spec->token_count)
        return &spec->token[i];
    i -= spec->token_count;
    return i == 0 && spec->sparse == SPARSE_LEXICAL ? &spec->lexical : NULL;
}

size_t model_spec_pooled_width(const struct model_spec *spec) {
    return spec->hidden * spec->pooling_count;
}

size_t model_spec_head_width(const struct model_spec *spec) {
    size_t widest = model_spec_pooled_width(spec);
    for (size_t i = 0; i < spec->sentence_count; i++)
        if (spec->sentence[i].out > widest)
            widest = spec->sentence[i].out;
    return widest;
}
