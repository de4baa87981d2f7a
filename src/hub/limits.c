/* limits.c - how long a text may be, and whether it is lower-cased first.
 *
 * sentence-transformers gives the tokenizer the limit of
 * sentence_bert_config.json; without one the tokenizer's own, but not more
 * than the model has positions. The limit inside tokenizer.json counts for
 * nothing. */

#include "hub/reading.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

enum { TOKENIZER_CONFIG_BYTES_MAX = 64 << 20 };

/* From here on transformers takes a limit for "none". */
static const double NO_LIMIT = 1e20;

/* The library looks for them in this order; the first that says anything is
 * read. */
static const char *const NAMES[] = {
    "sentence_bert_config.json",       "sentence_roberta_config.json",
    "sentence_distilbert_config.json", "sentence_camembert_config.json",
    "sentence_albert_config.json",     "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
};
enum { NAMES_COUNT = sizeof NAMES / sizeof *NAMES };

bool limits_need(struct reading *r, struct error *err) {
    const char *limits = reading_join(r, modules_transformer(r), NAMES[0], err);
    if (limits && r->has_modules && !modules_table(r))
        whole_maybe(&r->whole, limits);
    return limits;
}

/* Settings of version 6 that change what a model does in ways that have no
 * code here. Null, false and empty ones are as good as missing. */
static bool is_empty(const json_t *value) {
    return !value || json_is_null(value) || json_is_false(value) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

static bool refuse_setting(const char *name, const char *key,
                           struct error *err) {
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: the setting %s cannot be run here: use a model "
                     "without it",
                     name, key);
}

/* What the file may hand to the constructors: keys that change no vector. */
static bool check_arguments(const json_t *config, const char *key,
                            const char *name, struct error *err) {
    static const char *const HARMLESS[] = {
        "trust_remote_code", "dtype",        "torch_dtype",
        "use_safetensors",   "use_fast",     "attn_implementation",
        "add_pooling_layer", "padding_side", "model_max_length",
        "low_cpu_mem_usage", "default_task",
    };
    const char *argument;
    json_t *value;
    json_object_foreach(json_object_get(config, key), argument, value) {
        bool harmless = is_empty(value);
        for (size_t i = 0; i < sizeof HARMLESS / sizeof *HARMLESS; i++)
            harmless = harmless || strcmp(argument, HARMLESS[i]) == 0;
        if (!harmless)
            return refuse_setting(name, argument, err);
    }
    return true;
}

/* Those of late interaction are read in head_multi.c. */
static bool refuse_settings(const struct reading *r, const char *name,
                            struct error *err) {
    static const char *const REFUSED[] = {
        "processing_kwargs", "tokenizer_name_or_path", "query_length",
        "document_length",   "query_expansion",
    };
    static const char *const ARGUMENTS[] = {
        "model_args",       "model_kwargs", "tokenizer_args",
        "processor_kwargs", "config_args",  "config_kwargs",
    };
    size_t count = r->files.use == MODEL_MULTI ? 2 : 5;
    for (size_t i = 0; i < count; i++)
        if (!is_empty(json_object_get(r->limits, REFUSED[i])))
            return refuse_setting(name, REFUSED[i], err);
    for (size_t i = 0; i < sizeof ARGUMENTS / sizeof *ARGUMENTS; i++)
        if (!check_arguments(r->limits, ARGUMENTS[i], name, err))
            return false;
    return true;
}

static bool string_is(const json_t *value, const char *text) {
    return !value || json_is_null(value) ||
           (json_is_string(value) &&
            strcmp(json_string_value(value), text) == 0);
}

/* What a transformer is asked for in each use, and what comes out. */
static const struct {
    const char *tasks[2];
    const char *output;
} TASKS[] = {
    [MODEL_DENSE] = {{"feature-extraction", NULL}, "last_hidden_state"},
    [MODEL_SPARSE] = {{"fill-mask", NULL}, "logits"},
    [MODEL_MULTI] = {{"feature-extraction", NULL}, "last_hidden_state"},
    [MODEL_RERANK] = {{"sequence-classification", "text-generation"}, "logits"},
};

static bool check_task(const struct reading *r, const char *name,
                       struct error *err) {
    const json_t *task = json_object_get(r->limits, "transformer_task");
    const char *const *tasks = TASKS[r->files.use].tasks;
    return string_is(task, tasks[0]) ||
           (tasks[1] && string_is(task, tasks[1])) ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: transformer_task is not %s, and nothing else can be "
                     "run here",
                     name, tasks[0]);
}

/* Does it go through forward(), and give that? */
static bool is_forward(const json_t *way, const char *output) {
    return string_is(json_object_get(way, "method"), "forward") &&
           string_is(json_object_get(way, "method_output_name"), output);
}

/* Under which name the modules behind the transformer look for what it gives.
 */
static const char *output_name(const struct reading *r) {
    const json_t *task = json_object_get(r->limits, "transformer_task");
    if (r->files.use != MODEL_RERANK)
        return "token_embeddings";
    return task && string_is(task, "text-generation") ? "causal_logits"
                                                      : "scores";
}

/* Text in, what the task gives out. The head beside a dense model (bge-m3)
 * takes what that gives. */
static bool check_modality(const struct reading *r, const char *name,
                           struct error *err) {
    const json_t *modalities = json_object_get(r->limits, "modality_config");
    const json_t *text = json_object_get(modalities, "text");
    const json_t *message = json_object_get(modalities, "message");
    const char *output = TASKS[r->files.use].output;
    if (r->files.sparse.kind == SPARSE_LEXICAL)
        return true;
    if (!check_task(r, name, err))
        return false;
    bool fine = !modalities || json_is_null(modalities) ||
                (text && is_forward(text, output));
    fine = fine && (!message ||
                    (is_forward(message, output) &&
                     string_is(json_object_get(message, "format"), "flat")));
    fine = fine && string_is(json_object_get(r->limits, "module_output_name"),
                             output_name(r));
    return fine || error_set(err, ERROR_UNSUPPORTED,
                             "%s: modality_config is not plain text in, token "
                             "vectors out, and nothing else can be run here",
                             name);
}

/* The limit in OBJECT's KEY: a number, integer or not; null says nothing. */
static bool read_limit(const json_t *object, const char *key, const char *name,
                       double *limit, struct error *err) {
    const json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value))
        return true;
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= 1))
        return error_set(err, ERROR_INPUT, "%s: %s is not a number of tokens",
                         name, key);
    *limit = number;
    return true;
}

/* Which side it would give it to fill up questions on, before what the
 * tokenizer's own files say. */
static bool explicit_side(struct reading *r, const json_t *kwargs,
                          const char *name, struct error *err) {
    const char *side = NULL;
    if (!json_member_string(kwargs, "padding_side", name, &side, err))
        return false;
    if (side && strcmp(side, "left") != 0 && strcmp(side, "right") != 0)
        return error_set(err, ERROR_INPUT,
                         "%s: padding_side is %s, expected left or right", name,
                         side);
    r->files.multi.fills_left = side && strcmp(side, "left") == 0;
    r->files.multi.fills_right = side && strcmp(side, "right") == 0;
    return true;
}

/* What the library would give the tokenizer's constructor. A null there is no
 * limit at all, whatever else is said. */
static bool explicit_kwargs(struct reading *r, const char *name, double *limit,
                            struct error *err) {
    const json_t *kwargs = json_object_get(r->limits, "tokenizer_args");
    if (!kwargs)
        kwargs = json_object_get(r->limits, "processor_kwargs");
    if (json_is_null(json_object_get(kwargs, "model_max_length")))
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: the setting model_max_length null (texts of any "
                         "length) is not supported: give a number",
                         name);
    return read_limit(r->limits, "max_seq_length", name, limit, err) &&
           read_limit(kwargs, "model_max_length", name, limit, err) &&
           explicit_side(r, kwargs, name, err);
}

static bool read_sentence_config(struct reading *r, double *limit,
                                 struct error *err) {
    const char *name = NULL;
    for (size_t i = 0; i < NAMES_COUNT && json_object_size(r->limits) == 0;
         i++) {
        json_decref(r->limits);
        if (!reading_object(r, modules_transformer(r), NAMES[i], &r->limits,
                            &name, err))
            return false;
    }
    r->limits_path = name;
    return explicit_kwargs(r, name, limit, err) &&
           json_member_bool(r->limits, "do_lower_case", name,
                            &r->files.do_lower_case, err) &&
           refuse_settings(r, name, err) && check_modality(r, name, err);
}

/* The usual value for "no limit" is 1e30 written as an integer, which is too
 * large for one: all numbers are read as real ones. */
static json_t *read_loose(const char *path, struct error *err) {
    struct file_map map;
    if (!file_map_open(&map, path, err))
        return NULL;
    json_t *object = NULL;
    if (map.size > TOKENIZER_CONFIG_BYTES_MAX)
        error_set(err, ERROR_INPUT, "%s: %zu bytes, expected at most %d", path,
                  map.size, TOKENIZER_CONFIG_BYTES_MAX);
    else
        object =
            json_parse_as((struct str){map.data, map.size},
                          JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, path, err);
    file_map_close(&map);
    return object;
}

bool reading_tokenizer_config(struct reading *r, const char *dir,
                              json_t **object, const char **path,
                              struct error *err) {
    *object = NULL;
    *path = reading_path(r, dir, "tokenizer_config.json", err);
    if (!*path || !file_may_exist(*path))
        return *path != NULL;
    *object = read_loose(*path, err);
    return *object != NULL;
}

static bool tokenizer_limit(struct reading *r, const char *dir, double *limit,
                            struct error *err) {
    json_t *config;
    const char *path;
    if (!reading_tokenizer_config(r, dir, &config, &path, err))
        return false;
    const char *key = json_object_get(config, "model_max_length")
                          ? "model_max_length"
                          : "max_len";
    bool fine = read_limit(config, key, path, limit, err);
    json_decref(config);
    return fine;
}

static size_t tokens_of(double limit) {
    return limit < NO_LIMIT ? (size_t)fmin(limit, 0x1p53) : 0;
}

bool limits_of_tokenizer(struct reading *r, const char *dir, size_t *tokens,
                         struct error *err) {
    double limit = NO_LIMIT;
    bool fine = tokenizer_limit(r, dir, &limit, err);
    *tokens = tokens_of(limit);
    return fine;
}

/* Positions that the model has a row for, or NO_LIMIT. */
static bool read_positions(struct reading *r, double *positions,
                           struct error *err) {
    const char *key = "max_position_embeddings";
    const char *type =
        json_string_value(json_object_get(r->config, "model_type"));
    if (!json_object_get(r->config, key) &&
        json_object_get(r->config, "n_positions") &&
        !(type && strcmp(type, "t5") == 0)) /* the library does not read T5's */
        key = "n_positions";                /* GPT-2's word, and nomic-ai's */
    const json_t *value = json_object_get(r->config, key);
    r->files.positions_unsaid = !value || json_is_null(value);
    if (json_is_integer(value) && json_integer_value(value) == -1)
        return true; /* XLNet's word for none */
    return read_limit(r->config, key, r->files.config_path, positions, err);
}

/* BERT looks positions up in a table, and no library can go past its end. */
static bool positions_are_rows(const struct reading *r) {
    const json_t *kind = json_object_get(r->config, "position_embedding_type");
    return string_is(json_object_get(r->config, "model_type"), "bert") &&
           string_is(kind, "absolute");
}

/* The library puts every text into a chat where a model takes chats: by its
 * modality_config, or, without modules.json, if the tokenizer has a template
 * for them. */
static bool read_chat(struct reading *r, struct error *err) {
    const char *dir = modules_transformer(r), *name;
    const char *path = reading_path(r, dir, "chat_template.jinja", err);
    json_t *config = NULL;
    if (!path || !reading_tokenizer_config(r, dir, &config, &name, err))
        return false;
    const json_t *modalities = json_object_get(r->limits, "modality_config");
    r->chat = r->has_modules
                  ? json_object_get(modalities, "message") != NULL
                  : file_may_exist(path) ||
                        !is_empty(json_object_get(config, "chat_template"));
    json_decref(config);
    return !r->chat || r->files.use == MODEL_RERANK ||
           r->files.sparse.kind == SPARSE_LEXICAL ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: %s: it takes texts as chats (\"message\"), and chat "
                     "templates are not run here",
                     r->files.folder,
                     r->has_modules ? "modality_config" : "chat_template");
}

bool limits_read(struct reading *r, struct error *err) {
    double limit = NAN, own = NO_LIMIT, positions = NO_LIMIT;
    if ((r->has_modules && !read_sentence_config(r, &limit, err)) ||
        !read_chat(r, err) ||
        !tokenizer_limit(r, modules_transformer(r), &own, err) ||
        !read_positions(r, &positions, err))
        return false;
    r->files.positions_unsaid &= isnan(limit);
    if (isnan(limit))
        limit = fmin(own, positions);
    else if (positions_are_rows(r))
        limit = fmin(limit, positions);
    r->files.max_length = tokens_of(limit);
    return true;
}
