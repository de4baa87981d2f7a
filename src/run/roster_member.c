/* roster_member.c - one model of the roster: found, and its task, prompt and
 * width chosen.
 */

#include "run/roster_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "model/weights.h"
#include "run/dtype.h"
#include "run/requests.h"
#include "text/bm25.h"

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
    return trial && (!digests || member_fingerprint(member, err));
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
    member->files =
        fetching_open(memory, session->options, session->sink, request, what,
                      &member->cache, &member->error);
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
        (digests && !member_fingerprint(member, &member->error)))
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
