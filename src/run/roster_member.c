/* roster_member.c - one model of the roster: found, described, fingerprinted.
 */

#include "run/roster.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "model/weights.h"
#include "run/dtype.h"
#include "run/requests.h"
#include "text/bm25.h"

static const char *const pooling_names[] = {
    [POOLING_CLS] = "cls",
    [POOLING_LAST] = "lasttoken",
    [POOLING_MEAN] = "mean",
    [POOLING_MEAN_SQRT] = "mean_sqrt_len_tokens",
    [POOLING_WEIGHTED_MEAN] = "weightedmean",
    [POOLING_MAX] = "max",
};

static char *copy_key(struct memory *memory, const char *text,
                      struct error *err) {
    char *key = memory_alloc(memory, strlen(text) + 1, 1, err);
    if (key)
        strcpy(key, text);
    for (char *c = key; c && *c; c++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                    "0123456789._-",
                    *c))
            *c = '-';
    return key;
}

/* What has a file of adapters was never meant to go without (upstream refuses
 * as well, and there is none that all would mean). */
static bool must_choose(const struct model_files *files, struct error *err) {
    char list[256];
    model_files_task_names(files, list, sizeof list);
    return error_set(err, ERROR_USAGE,
                     "%s gives other vectors for each task: choose one of %s "
                     "with --task",
                     files->key, list);
}

/* Questions to what "retrieval.passage" made are asked as "retrieval.query",
 * where the model has that. */
static const char *task_for(const struct model_files *files, const char *name,
                            const char *what) {
    static const char passage[] = ".passage", query[] = ".query";
    size_t size = name ? strlen(name) : 0, end = sizeof passage - 1;
    if (size < end || strcmp(what, "query") != 0 ||
        strcmp(name + size - end, passage) != 0)
        return name;
    for (size_t i = 0; i < files->tasks_count; i++) {
        const char *other = files->tasks[i].name;
        if (strncmp(other, name, size - end) == 0 &&
            strcmp(other + size - end, query) == 0)
            return other;
    }
    return name;
}

/* A task that only this model was given must be one of its own; the run's is
 * for those that have tasks. *PROMPT: what belongs to the task, or NULL. */
static bool choose_task(struct member *member,
                        const struct run_options *options, const char *what,
                        const char **prompt, struct error *err) {
    const struct model_task *task;
    const char *name = member->request->task;
    if (!name && member->files->tasks_count)
        name = options->task;
    name = task_for(member->files, name, what);
    if (!model_files_task(member->files, name, &task, prompt, err))
        return false;
    member->task = task ? task->name : NULL;
    member->spec.task =
        task ? (size_t)(task - member->files->tasks) : TASK_NONE;
    if (!task && member->files->adapter_path)
        return must_choose(member->files, err);
    return !task || member->spec.lora_rank ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s names the task %s, but its weights have no adapters",
                     member->files->folder, task->name);
}

/* The prompt's text: what the command line says, else the task's, else what the
 * model has. */
static bool choose_prompt(struct member *member, const struct session *session,
                          const char *what, struct error *err) {
    const struct run_options *options = session->options;
    const char *of_task = NULL;
    if (member->request->use == MODEL_RERANK)
        return true;
    if (!choose_task(member, options, what, &of_task, err))
        return false;
    if (options->prompt_text) {
        member->prompt = *options->prompt_text ? options->prompt_text : NULL;
        return true;
    }
    const char *name =
        member->request->prompt ? member->request->prompt : options->prompt;
    if (!name && of_task) {
        member->prompt = of_task;
        return true;
    }
    return model_files_prompt(member->files, what, name, &member->prompt, err);
}

bool member_declares(const struct member *member, size_t width) {
    const struct model_files *files = member->files;
    if (files->truncate_dim && files->truncate_dim == width)
        return true;
    for (size_t i = 0; i < files->matryoshka_count; i++)
        if (files->matryoshka[i] == width)
            return true;
    return false;
}

static bool choose_width(struct member *member, const struct session *session,
                         struct error *err) {
    size_t own = member->spec.width, dim = member->request->dim;
    if (!member_has(member, ROW_DENSE))
        return true;
    if (!dim)
        dim = session->options->dim;
    if (dim > own)
        return error_set(err, ERROR_USAGE,
                         "%s gives vectors of %zu numbers; --dim %zu is more",
                         member->key, own, dim);
    if (!dim && member->files->truncate_dim &&
        member->files->truncate_dim < own)
        dim = member->files->truncate_dim;
    member->width = dim ? dim : own;
    member->undeclared_cut =
        member->width < own && !member_declares(member, member->width);
    return true;
}

static json_t *pooling_list(const struct model_spec *spec) {
    json_t *list = json_array();
    for (size_t i = 0; i < spec->pooling_count; i++)
        json_array_append_new(list,
                              json_string(pooling_names[spec->pooling[i]]));
    return list;
}

static void pooling_text(const struct model_spec *spec, char *text,
                         size_t capacity) {
    text[0] = '\0';
    for (size_t i = 0; i < spec->pooling_count; i++)
        snprintf(text + strlen(text), capacity - strlen(text), "%s%s",
                 i ? "+" : "", pooling_names[spec->pooling[i]]);
}

/* What all heads' rows depend on, with the digest of the head's WEIGHTS. NULL:
 * the prompt is not valid UTF-8. */
static json_t *common_fingerprint(const struct member *member,
                                  const char *weights) {
    const char *commit = member->files->commit;
    json_t *made = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "commit",
                             commit ? commit : "", "weights_sha256", weights,
                             "tokenizer_sha256", member->tokenizer_sha256,
                             "prompt", member->prompt ? member->prompt : "",
                             "dtype", dtype_name(member_type(member)),
                             "max_length", (json_int_t)member->spec.max_length);
    /* Only where they were asked for, so that older stores stay valid. */
    if (made && member->long_texts.windows)
        json_object_set_new(
            made, "long_overlap",
            json_integer((json_int_t)member->long_texts.overlap));
    if (made && member->task)
        json_object_set_new(made, "task", json_string(member->task));
    return made;
}

static void add_dense_fingerprint(const struct member *member, json_t *to) {
    char pooling[128];
    pooling_text(&member->spec, pooling, sizeof pooling);
    json_object_update_new(
        to, json_pack("{s:s, s:b, s:b, s:I}", "pooling", pooling,
                      "include_prompt", member->spec.pooling_include_prompt,
                      "normalize", member->spec.normalize, "width",
                      (json_int_t)member->spec.width));
}

static const char *sparse_name(const struct member *member) {
    return member->spec.sparse == SPARSE_LEXICAL ? "lexical" : "splade";
}

static void add_sparse_fingerprint(const struct member *member, json_t *to) {
    const struct model_spec *spec = &member->spec;
    json_object_update_new(
        to, json_pack("{s:s, s:I, s:I, s:I}", "sparse", sparse_name(member),
                      "vocab", (json_int_t)spec->vocab, "active_max",
                      (json_int_t)member->files->sparse.active_max, "pooling",
                      (json_int_t)spec->splade + 4 * spec->splade_log +
                          8 * spec->splade_log_twice));
}

static void add_multi_fingerprint(const struct member *member, json_t *to) {
    const struct multi_files *multi = &member->files->multi;
    json_object_update_new(
        to,
        json_pack("{s:b, s:I, s:b, s:I}", "normalize",
                  member->spec.token_normalize, "width",
                  (json_int_t)member->spec.multi_width, "drop_first",
                  multi->drop_first, "skipped",
                  (json_int_t)(multi->skip_in_documents ? multi->skiplist_count
                                                        : 0)));
}

/* The same rows whether the head shares a pass or has it alone: its digest is
 * of the files that it would have alone. */
static bool head_weights(const struct member *member, enum row_kind head,
                         char weights[65], struct error *err) {
    static const enum model_use uses[] = {MODEL_DENSE, MODEL_SPARSE,
                                          MODEL_MULTI};
    memcpy(weights, member->weights_sha256, sizeof member->weights_sha256);
    return uses[head] == member->files->use ||
           model_files_digest_weights(member->files, uses[head], weights, err);
}

/* Flat objects: store_open compares them member by member and shows both
 * values of one that differs. */
static bool make_fingerprints(struct member *member, struct error *err) {
    if (!model_files_digest(member->files, member->weights_sha256,
                            member->tokenizer_sha256, err))
        return false;
    for (enum row_kind h = 0; h < ROW_KINDS; h++) {
        if (!member_has(member, h))
            continue;
        char weights[65];
        if (!head_weights(member, h, weights, err))
            return false;
        json_t *made = common_fingerprint(member, weights);
        if (!made)
            return error_set(err, ERROR_INPUT,
                             "%s: its prompt is not valid UTF-8", member->key);
        if (h == ROW_DENSE)
            add_dense_fingerprint(member, made);
        else if (h == ROW_SPARSE)
            add_sparse_fingerprint(member, made);
        else
            add_multi_fingerprint(member, made);
        member->fingerprints[h] = made;
    }
    return true;
}

/* What a model that is not there is called: a path's last part. */
static const char *stand_in(const char *reference) {
    const char *slash = strrchr(reference, '/');
    bool path = *reference == '/' || *reference == '.';
    return path && slash && slash[1] ? slash + 1 : reference;
}

/* What a simulated card counts for the model. A file that is named wrongly is
 * the request's fault, not the model's. */
static bool read_charged(struct member *member, struct memory *memory,
                         struct error *err) {
    if (member->request->account)
        return shape_read(memory, member->request->account, &member->charged,
                          err);
    shape_of_spec(&member->spec, &member->charged);
    return true;
}

/* What is asked for besides the model's own use must be in its files: nothing
 * is made up. */
static bool add_heads(struct member *member, struct error *err) {
    static const enum head heads[] = {HEAD_DENSE, HEAD_SPARSE, HEAD_MULTI};
    for (enum row_kind h = 0; h < ROW_KINDS; h++)
        if (member_has(member, h) && !(member->spec.gives & heads[h]) &&
            !model_spec_add_head(member->files, heads[h], &member->spec, err))
            return false;
    return true;
}

/* ColBERT models cut documents and queries at lengths of their own, which go
 * before the model's limit: past it too, as far as there are positions. 0: at
 * the limit. */
static size_t own_length(const struct multi_files *multi, const char *what) {
    if (!strcmp(what, "document"))
        return multi->document_length;
    if (strcmp(what, "query") != 0)
        return 0;
    return multi->expand_length && multi->expand_cuts ? multi->expand_length
                                                      : multi->query_length;
}

static bool read_spec(struct member *member, const char *what,
                      struct error *err) {
    struct model_spec *spec = &member->spec;
    if (!model_spec_read(member->files, spec, err) || !add_heads(member, err))
        return false;
    size_t length = own_length(&member->files->multi, what);
    size_t positions = spec->positions ? spec->positions - spec->position_first
                                       : MODEL_LENGTH_MAX;
    if (member->request->use == MODEL_MULTI && length)
        spec->max_length = length < positions ? length : positions;
    return true;
}

/* What decides a row of BM25's, and what a report says of it. */
static json_t *describe_formula(const struct member *member) {
    const struct bm25_options *o = &member->formula;
    json_t *made = json_pack("{s:s, s:f, s:f, s:f}", "language", o->language,
                             "k", o->k, "b", o->b, "avg_len", o->avg_len);
    if (made && o->stopwords.data) {
        uint8_t digest[SHA256_BYTES];
        char hex[2 * SHA256_BYTES + 1];
        hash_sha256(o->stopwords, digest);
        hash_hex(digest, sizeof digest, hex);
        json_object_set_new(made, "stopwords_sha256", json_string(hex));
    }
    return made;
}

static bool read_stopwords(struct member *member, struct memory *memory,
                           const char *path, struct error *err) {
    enum { LIST_BYTES_MAX = 1 << 20 };
    member->stopwords = strbuf_make(memory);
    if (!path)
        return true;
    if (!file_read(path, LIST_BYTES_MAX, &member->stopwords, err))
        return false;
    member->formula.stopwords = strbuf_str(&member->stopwords);
    if (!member->formula.stopwords.data)
        member->formula.stopwords = STR(""); /* none, and that on purpose */
    return true;
}

static double said_or(struct bm25_number number, double fallback) {
    return number.said ? number.value : fallback;
}

/* As fastembed's Qdrant/bm25 but for what the request says. What cannot be is
 * the request's fault. */
static bool open_bm25(struct member *member, struct memory *memory,
                      bool digests, struct error *err) {
    const struct bm25_request *told = &member->request->bm25;
    struct bm25_options *o = &member->formula;
    member->bm25 = true;
    *o = BM25_DEFAULTS;
    if (told->language)
        o->language = told->language;
    o->k = said_or(told->k, o->k);
    o->b = said_or(told->b, o->b);
    o->avg_len = said_or(told->avg_len, o->avg_len);
    if (!read_stopwords(member, memory, told->stopwords, err))
        return false;
    struct bm25 *trial = bm25_open(memory, o, err);
    bm25_close(trial);
    if (trial && digests) {
        json_t *made = describe_formula(member);
        json_object_set_new(made, "formula", json_string("bm25"));
        member->fingerprints[ROW_SPARSE] = made;
    }
    return trial != NULL;
}

bool member_open(struct member *member, const struct model_request *request,
                 struct session *session, const char *what, bool digests,
                 struct error *err) {
    member->request = request;
    member->heads = request->heads;
    member->long_texts = session->options->long_texts;
    for (enum row_kind h = 0; h < ROW_KINDS; h++)
        member->types[h] = session->type;
    struct memory *memory = &session->memory;
    if (request_is_bm25(request)) {
        member->key =
            copy_key(memory, request->name ? request->name : BM25_KEY, err);
        return member->key && open_bm25(member, memory, digests, err);
    }
    member->files = fetching_open(memory, session->options, session->sink,
                                  request, &member->cache, &member->error);
    if (member->error.code == ERROR_INTERRUPTED) {
        *err = member->error;
        return false;
    }
    const char *name = request->name   ? request->name
                       : member->files ? member->files->key
                                       : stand_in(request->reference);
    member->key = copy_key(memory, name, err);
    if (!member->key)
        return false;
    if (!member->files || !read_spec(member, what, &member->error) ||
        !weights_check(memory, &member->spec, member->files, &member->error) ||
        !read_charged(member, memory, err) ||
        !choose_prompt(member, session, what, err) ||
        (digests && !make_fingerprints(member, &member->error)))
        return member->error.code != ERROR_NONE;
    return choose_width(member, session, err);
}

void member_close(struct member *member, struct memory *memory) {
    model_files_free(member->files);
    memory_free(memory, member->key);
    if (member->bm25)
        strbuf_free(&member->stopwords);
    for (enum row_kind h = 0; h < ROW_KINDS; h++)
        json_decref(member->fingerprints[h]);
}

void member_set_type(struct member *member, enum row_kind head,
                     enum number_type type) {
    member->types[head] = type;
    if (member->fingerprints[head] && !member->bm25)
        json_object_set_new(member->fingerprints[head], "dtype",
                            json_string(dtype_name(type)));
}

enum number_type member_type(const struct member *member) {
    enum row_kind head = 0;
    while (head + 1 < ROW_KINDS && !member_has(member, head))
        head++;
    return member->types[head];
}

void member_vector_name(const struct member *member, enum row_kind head,
                        char name[VECTOR_NAME_MAX]) {
    snprintf(name, VECTOR_NAME_MAX, "%.200s%s%s", member->key,
             head == ROW_DENSE ? "" : "-",
             head == ROW_DENSE ? "" : row_kind_name(head));
}

bool member_store_path(char path[PATH_MAX], const char *private,
                       const struct member *member, enum row_kind head,
                       const char *name, struct error *err) {
    return snprintf(path, PATH_MAX, "%s/%s/%s%s%s", private, member->key,
                    row_kind_name(head), *name ? "/" : "", name) < PATH_MAX ||
           error_set(err, ERROR_USAGE, "path too long: %s", private);
}

size_t member_head_width(const struct member *member, enum row_kind head) {
    if (member->bm25)
        return (size_t)BM25_COLUMNS;
    return head == ROW_DENSE    ? member->spec.width
           : head == ROW_SPARSE ? member->spec.vocab
                                : member->spec.multi_width;
}

/* ---- what a report says ------------------------------------------------- */

void member_cut(const struct member *member, float *vector) {
    if (member->width == member->spec.width || !member->spec.normalize)
        return;
    double sum = 0;
    for (size_t i = 0; i < member->width; i++)
        sum += (double)vector[i] * vector[i];
    double scale = sum > 0 ? 1 / sqrt(sum) : 0;
    for (size_t i = 0; i < member->width; i++)
        vector[i] = (float)(vector[i] * scale);
}

json_t *member_heads_list(const struct member *member) {
    json_t *list = json_array();
    for (enum row_kind h = 0; h < ROW_KINDS; h++)
        if (member_has(member, h))
            json_array_append_new(list, json_string(row_kind_name(h)));
    return list;
}

static void describe_dense(const struct member *member, json_t *object) {
    const struct model_spec *spec = &member->spec;
    json_object_update_new(
        object,
        json_pack("{s:I, s:I, s:o, s:b, s:s, s:b}", "own_width",
                  (json_int_t)spec->width, "width", (json_int_t)member->width,
                  "pooling", pooling_list(spec), "normalized", spec->normalize,
                  "similarity", member->files->similarity,
                  "truncated_without_declaring", member->undeclared_cut));
}

static void describe_model(const struct member *member, json_t *object) {
    const struct model_files *files = member->files;
    const struct model_spec *spec = &member->spec;
    json_object_update_new(
        object,
        json_pack("{s:s?, s:s?, s:s, s:s, s:I, s:s?}", "id", files->id,
                  "commit", files->commit, "family", spec->family->title,
                  "dtype", dtype_name(member_type(member)), "max_length",
                  (json_int_t)spec->max_length, "prompt", member->prompt));
    if (member_type(member) == NUMBER_FP8)
        json_object_set_new(object, "fp8_share",
                            json_real(dtype_fp8_share(spec)));
    if (member->task)
        json_object_set_new(object, "task", json_string(member->task));
    if (member->long_texts.windows)
        json_object_set_new(
            object, "long_overlap",
            json_integer((json_int_t)member->long_texts.overlap));
    if (member_has(member, ROW_DENSE))
        describe_dense(member, object);
    if (member_has(member, ROW_SPARSE))
        json_object_set_new(object, "sparse", json_string(sparse_name(member)));
    if (member_has(member, ROW_MULTI))
        json_object_set_new(object, "multi_width",
                            json_integer((json_int_t)spec->multi_width));
    if (*member->weights_sha256) {
        json_object_set_new(object, "weights_sha256",
                            json_string(member->weights_sha256));
        json_object_set_new(object, "tokenizer_sha256",
                            json_string(member->tokenizer_sha256));
    }
}

json_t *member_describe(const struct member *member) {
    json_t *object =
        json_pack("{s:s, s:o, s:f}", "key", member->key, "reference",
                  json_any_text(member->request->reference), "weight",
                  member->request->weight);
    if (member->cache.status)
        json_object_set_new(object, "cache", cache_use_json(&member->cache));
    if (member->error.code) {
        json_object_set_new(object, "error",
                            json_pack("{s:s, s:s}", "code",
                                      error_name(member->error.code), "message",
                                      member->error.message));
        return object;
    }
    json_object_set_new(object, "heads", member_heads_list(member));
    if (member->bm25) {
        json_object_update_new(object, json_pack("{s:s, s:s}", "family", "bm25",
                                                 "sparse", "bm25"));
        json_object_update_new(object, describe_formula(member));
    } else
        describe_model(member, object);
    return object;
}
