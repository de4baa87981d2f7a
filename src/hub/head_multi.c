/* head_multi.c - one vector a token, as MultiVectorEncoder of
 * sentence-transformers 6 reads a folder: its own format, PyLate's (flat keys
 * in config_sentence_transformers.json), Stanford's (artifact.metadata and
 * linear.weight beside the encoder); and bge-m3's colbert_linear.pt
 * (FlagEmbedding 1.4, M3Embedder). */

#include "hub/reading.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"

static const char BGE[] = "colbert_linear.pt", METADATA[] = "artifact.metadata";

enum { EXPAND_LENGTH = 32 };

/* Python's string.punctuation. */
static const char *const PUNCTUATION[] = {
    "!", "\"", "#", "$", "%", "&", "'", "(", ")", "*", "+",
    ",", "-",  ".", "/", ":", ";", "<", "=", ">", "?", "@",
    "[", "\\", "]", "^", "_", "`", "{", "|", "}", "~",
};

static bool is_stanford(const struct reading *r) {
    return !r->has_modules && reading_architecture(r, STR("HF_ColBERT"));
}

bool multi_need(struct reading *r, struct error *err) {
    struct multi_files *multi = &r->files.multi;
    if (r->files.use == MODEL_MULTI) {
        if (multi->exists)
            whole_need(&r->whole, BGE);
        else if (is_stanford(r))
            whole_maybe(&r->whole, METADATA);
        return true;
    }
    /* A dense model is whole without it. */
    const char *path = reading_path(r, "", BGE, err);
    if (path && (r->files.use != MODEL_DENSE || !file_may_exist(path)))
        multi->exists = false;
    return path != NULL;
}

static bool read_bge(struct reading *r, struct error *err) {
    struct multi_files *multi = &r->files.multi;
    struct tensor_source *dense = &multi->dense[multi->dense_count++];
    dense->weight = "weight";
    dense->bias = "bias";
    dense->activation = "Identity";
    multi->normalize = true;
    multi->drop_first = true;
    return source_set_file(r, dense, BGE, err);
}

/* Words whose rows are left out of documents. */

static void skip_punctuation(struct multi_files *multi) {
    multi->skiplist = PUNCTUATION;
    multi->skiplist_count = sizeof PUNCTUATION / sizeof *PUNCTUATION;
}

static bool read_words(struct reading *r, const json_t *list, const char *name,
                       struct error *err) {
    size_t count = json_array_size(list);
    if (count > MULTI_SKIPLIST_MAX)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: skiplist_words has %zu words, and the most that "
                         "are left out are %d: use another model, or shorten "
                         "the list",
                         name, count, MULTI_SKIPLIST_MAX);
    const char **words = arena_alloc(&r->arena, count + 1, sizeof *words, err);
    if (!words)
        return false;
    bool fine = json_is_array(list);
    for (size_t i = 0; fine && i < count; i++) {
        const char *word = json_string_value(json_array_get(list, i));
        fine = word != NULL;
        if (fine && !reading_keep(r, word, &words[i], err))
            return false;
    }
    r->files.multi.skiplist = words;
    r->files.multi.skiplist_count = count;
    return fine || error_set(err, ERROR_INPUT,
                             "%s: skiplist_words is not a list of texts", name);
}

static bool read_task(const json_t *task, const char *name,
                      struct multi_files *multi, struct error *err) {
    const char *word = json_string_value(task);
    if (!word)
        return error_set(err, ERROR_INPUT,
                         "%s: skiplist_tasks is not a list of texts", name);
    multi->skip_in_documents |= strcmp(word, "document") == 0;
    multi->skip_in_queries |= strcmp(word, "query") == 0;
    return true;
}

static bool read_tasks(const json_t *tasks, const char *name,
                       struct multi_files *multi, struct error *err) {
    if (!tasks || json_is_null(tasks))
        return true;
    multi->skip_in_documents = false;
    if (!json_is_array(tasks))
        return read_task(tasks, name, multi, err);
    for (size_t i = 0; i < json_array_size(tasks); i++)
        if (!read_task(json_array_get(tasks, i), name, multi, err))
            return false;
    return true;
}

static bool read_mask(struct reading *r, const struct module *module,
                      struct error *err) {
    const char *name;
    json_t *config = NULL;
    if (!reading_object(r, module->path, "config.json", &config, &name, err))
        return false;
    const json_t *words = json_object_get(config, "skiplist_words");
    const json_t *keep = json_object_get(config, "keep_only_token_ids");
    bool fine =
        read_tasks(json_object_get(config, "skiplist_tasks"), name,
                   &r->files.multi, err) &&
        (!words || json_is_null(words) || read_words(r, words, name, err));
    if (fine && keep && !json_is_null(keep) &&
        !(json_is_array(keep) && json_array_size(keep) == 0))
        fine = error_set(err, ERROR_UNSUPPORTED,
                         "%s: the setting keep_only_token_ids cannot be run "
                         "here: use a model without it",
                         name);
    json_decref(config);
    return fine;
}

/* Lengths and expansion. */

static bool check_expansion(const json_t *expansion, const char *name,
                            struct error *err) {
    static const char *const KEYS[] = {"strategy", "attend", "token", "length"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)expansion, key, value) {
        bool known = false;
        for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
            known = known || strcmp(key, KEYS[i]) == 0;
        if (!known)
            return error_set(err, ERROR_INPUT,
                             "%s: query_expansion has the key %s, which is not "
                             "known",
                             name, key);
    }
    return json_is_object(expansion) ||
           error_set(err, ERROR_INPUT, "%s: query_expansion is not an object",
                     name);
}

static bool read_expansion(struct reading *r, const json_t *expansion,
                           const char *name, struct error *err) {
    struct multi_files *multi = &r->files.multi;
    const char *strategy = "", *token = NULL;
    if (!check_expansion(expansion, name, err) ||
        !json_member_string(expansion, "strategy", name, &strategy, err) ||
        !json_member_string(expansion, "token", name, &token, err) ||
        !json_member_size(expansion, "length", name, &multi->expand_length,
                          err) ||
        !json_member_bool(expansion, "attend", name, &multi->expand_attends,
                          err))
        return false;
    multi->expand_cuts = strcmp(strategy, "fixed") == 0;
    if ((!multi->expand_cuts && strcmp(strategy, "min") != 0) ||
        !multi->expand_length)
        return error_set(err, ERROR_INPUT,
                         "%s: query_expansion needs a strategy (fixed or min) "
                         "and a length",
                         name);
    return reading_keep(r, token, &multi->expand_token, err);
}

static bool is_said(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return value && !json_is_null(value);
}

/* PyLate's flat keys: any of them means that queries are expanded, unless
 * do_query_expansion says no. */
static bool read_flat_expansion(struct reading *r, struct error *err) {
    static const char *const MARKS[] = {
        "query_length",    "document_length",
        "query_expansion", "do_query_expansion",
        "query_prefix",    "attend_to_expansion_tokens",
        "document_prefix", "attend_to_mask_tokens",
        "skiplist_words",
    };
    struct multi_files *multi = &r->files.multi;
    const char *name = r->sentence_path;
    const char *attend =
        json_object_get(r->sentence, "attend_to_expansion_tokens")
            ? "attend_to_expansion_tokens"
            : "attend_to_mask_tokens";
    bool any = false;
    for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS; i++)
        any = any || json_object_get(r->sentence, MARKS[i]);
    if (!any ||
        json_is_false(json_object_get(r->sentence, "do_query_expansion")))
        return true;
    multi->expand_length = EXPAND_LENGTH;
    multi->expand_cuts = true;
    if (!json_member_size(r->sentence, "query_length", name,
                          &multi->expand_length, err) ||
        !json_member_bool(r->sentence, attend, name, &multi->expand_attends,
                          err))
        return false;
    if (!multi->expand_length)
        multi->expand_length = EXPAND_LENGTH;
    return true;
}

/* What the transformer's own file says goes before the flat keys, also null. */
static bool read_lengths(struct reading *r, struct error *err) {
    struct multi_files *multi = &r->files.multi;
    const json_t *own = json_object_get(r->limits, "query_expansion");
    const json_t *flat = json_object_get(r->sentence, "query_expansion");
    const char *name = r->limits_path;
    if (own && !json_is_null(own) && !read_expansion(r, own, name, err))
        return false;
    if (!own && flat && !json_is_null(flat) &&
        !read_expansion(r, flat, r->sentence_path, err))
        return false;
    if (!own && !flat && !read_flat_expansion(r, err))
        return false;
    bool moved = !own && !flat && multi->expand_length > 0;
    const json_t *lengths =
        json_object_get(r->limits, "document_length") ? r->limits : r->sentence;
    if (!json_member_size(lengths, "document_length", name,
                          &multi->document_length, err))
        return false;
    lengths = json_object_get(r->limits, "query_length") ? r->limits
              : moved                                    ? NULL
                                                         : r->sentence;
    if (!json_member_size(lengths, "query_length", name, &multi->query_length,
                          err))
        return false;
    return !multi->expand_length || !multi->query_length ||
           multi->query_length >= multi->expand_length ||
           error_set(err, ERROR_INPUT,
                     "%s: query_length is %zu, less than the %zu to which "
                     "queries are expanded",
                     name ? name : r->sentence_path, multi->query_length,
                     multi->expand_length);
}

/* Markers. */

static struct model_prompt *prompt_of(struct reading *r, const char *name) {
    for (size_t i = 0; i < r->files.prompts_count; i++)
        if (strcmp(r->files.prompts[i].name, name) == 0)
            return (struct model_prompt *)(uintptr_t)&r->files.prompts[i];
    return NULL; /* "query" and "document" are always there */
}

/* MARKER before what the prompt has behind it. */
static bool mark(struct reading *r, const char *name, const char *marker,
                 const char **kept, struct error *err) {
    struct model_prompt *prompt = prompt_of(r, name);
    struct str text = str_from(prompt->text), begin = str_from(marker);
    if (str_starts(text, begin))
        text = (struct str){text.data + begin.size, text.size - begin.size};
    prompt->text =
        arena_printf(&r->arena, err, "%s%.*s", marker, STR_ARG(text));
    return prompt->text && reading_keep(r, *marker ? marker : NULL, kept, err);
}

static bool read_markers(struct reading *r, struct error *err) {
    struct multi_files *multi = &r->files.multi;
    const char *query = "", *document = "";
    if (!json_member_string(r->sentence, "query_prefix", r->sentence_path,
                            &query, err) ||
        !json_member_string(r->sentence, "document_prefix", r->sentence_path,
                            &document, err))
        return false;
    return mark(r, "query", query, &multi->query_marker, err) &&
           mark(r, "document", document, &multi->document_marker, err);
}

/* Stanford's. */

static bool set_projection(struct reading *r, struct error *err) {
    struct tensor_source *dense =
        &r->files.multi.dense[r->files.multi.dense_count++];
    dense->paths = r->files.weights;
    dense->paths_count = r->files.weights_count;
    dense->weight = "linear.weight";
    dense->activation = "Identity";
    (void)err;
    return true;
}

static bool read_metadata(struct reading *r, const json_t *data,
                          const char *name, struct error *err) {
    struct multi_files *multi = &r->files.multi;
    const char *query = "[unused0]", *document = "[unused1]";
    bool punctuation = true;
    if (!json_member_string(data, "query_token_id", name, &query, err) ||
        !json_member_string(data, "doc_token_id", name, &document, err) ||
        !json_member_size(data, "doc_maxlen", name, &multi->document_length,
                          err) ||
        !json_member_size(data, "query_maxlen", name, &multi->expand_length,
                          err) ||
        !json_member_bool(data, "attend_to_mask_tokens", name,
                          &multi->expand_attends, err) ||
        !json_member_bool(data, "mask_punctuation", name, &punctuation, err))
        return false;
    if (!multi->expand_length)
        multi->expand_length = EXPAND_LENGTH;
    multi->expand_cuts = true;
    if (punctuation)
        skip_punctuation(multi);
    query = arena_printf(&r->arena, err, "%s ", *query ? query : "[unused0]");
    document =
        arena_printf(&r->arena, err, "%s ", *document ? document : "[unused1]");
    return query && document &&
           mark(r, "query", query, &multi->query_marker, err) &&
           mark(r, "document", document, &multi->document_marker, err);
}

static bool read_stanford(struct reading *r, struct error *err) {
    json_t *data = NULL;
    const char *name;
    if (!reading_object(r, "", METADATA, &data, &name, err))
        return false;
    r->files.multi.normalize = true;
    bool fine = set_projection(r, err) && read_metadata(r, data, name, err);
    json_decref(data);
    return fine;
}

/* modules.json. */

static bool add_dense(struct reading *r, const struct module *module,
                      bool converting, struct error *err) {
    struct multi_files *multi = &r->files.multi;
    if (multi->dense_count == DENSE_MAX)
        return error_set(err, ERROR_UNSUPPORTED, "%s: more than %d Dense",
                         r->files.folder, DENSE_MAX);
    struct tensor_source *dense = &multi->dense[multi->dense_count++];
    struct error why = {0};
    if (dense_read(r, module, "token_embeddings", dense, &why))
        return true;
    if (converting && dense_read(r, module, "sentence_embedding", dense, NULL))
        return true; /* a dense model's: the library turns it to the tokens */
    return error_set(err, why.code, "%s", why.message);
}

static bool read_normalize(struct reading *r, const struct module *module,
                           struct error *err) {
    const char *name;
    json_t *config = NULL;
    if (!module->path[0])
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: a Normalize of sentence_embedding, which a "
                         "MultiVectorEncoder does not have",
                         r->files.folder);
    if (!reading_object(r, module->path, "config.json", &config, &name, err))
        return false;
    bool fine = config &&
                reading_must_be(config, "module_input_name", "token_embeddings",
                                name, err) &&
                reading_must_be(config, "module_output_name",
                                "token_embeddings", name, err) &&
                json_object_get(config, "module_input_name");
    json_decref(config);
    r->files.multi.normalize = true;
    return fine ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: a Normalize that is not of token_embeddings", name);
}

/* Dense layers come before the mask and Normalize, which run in any order. */
static bool read_module(struct reading *r, const struct module *module,
                        bool converting, bool *masked, struct error *err) {
    switch (module->kind) {
    case MODULE_DENSE:
        if (r->files.multi.normalize)
            return error_set(err, ERROR_UNSUPPORTED,
                             "%s: a Dense behind Normalize cannot be run here",
                             r->files.folder);
        return add_dense(r, module, converting, err);
    case MODULE_MASK:
        *masked = true;
        return read_mask(r, module, err);
    case MODULE_NORMALIZE:
        return converting || read_normalize(r, module, err);
    case MODULE_POOLING:
        return converting ||
               error_set(err, ERROR_UNSUPPORTED,
                         "%s: a Pooling in a MultiVectorEncoder cannot be run "
                         "here",
                         r->files.folder);
    default:
        return true;
    }
}

static bool read_flat_skiplist(struct reading *r, bool punctuation,
                               struct error *err) {
    const json_t *words = json_object_get(r->sentence, "skiplist_words");
    if (words && !json_is_null(words))
        return read_words(r, words, r->sentence_path, err);
    if (punctuation)
        skip_punctuation(&r->files.multi);
    return true;
}

/* A dense model's modules (CONVERTING), PyLate's before version 4, which
 * named no mask and no Normalize, and the library's own. */
static bool read_modules(struct reading *r, struct error *err) {
    struct multi_files *multi = &r->files.multi;
    const char *type =
        json_string_value(json_object_get(r->sentence, "model_type"));
    bool pylate = type && strcmp(type, "ColBERT") == 0;
    bool converting = type ? strcmp(type, "SentenceTransformer") == 0
                           : !reading_architecture(r, STR("HF_ColBERT"));
    bool prefixes = is_said(r->sentence, "query_prefix") ||
                    is_said(r->sentence, "document_prefix");
    bool masked = false;
    for (size_t i = 1; i < r->modules_count; i++)
        if (!read_module(r, &r->modules[i], converting, &masked, err))
            return false;
    if (converting && !multi->dense_count)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: a dense model without a Dense layer (the library "
                         "would put an untrained one behind it): it gives no "
                         "multi-vectors",
                         r->files.folder);
    if (pylate || converting) {
        masked = true;
        multi->normalize = true;
        if (!read_flat_skiplist(r, pylate || prefixes, err))
            return false;
    }
    if (!read_lengths(r, err) || !read_markers(r, err))
        return false;
    return masked || !multi->expand_length ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: queries are expanded and no MultiVectorMask counts "
                     "the added tokens",
                     r->files.folder);
}

bool multi_read(struct reading *r, struct error *err) {
    struct multi_files *multi = &r->files.multi;
    multi->skip_in_documents = true;
    if (multi->exists)
        return read_bge(r, err);
    if (r->files.use != MODEL_MULTI)
        return true;
    multi->exists = true;
    if (is_stanford(r))
        return read_stanford(r, err);
    if (r->has_modules)
        return read_modules(r, err);
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: no late-interaction model: no modules.json, not the "
                     "architecture HF_ColBERT, and no colbert_linear.pt",
                     r->files.folder);
}
