/* search_question.c - the question as the models of a collection see it. */

#include "run/search_parts.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "data/fuse.h"
#include "run/engine.h"

/* ---- which models made the rows ----------------------------------------- */

/* Where the model was when the run used it: a folder that was named by a
 * relative path is found from anywhere. NULL: not known. */
static const char *model_folder(const struct shelf *shelf, const char *key,
                                struct arena *arena) {
    char path[PATH_MAX];
    if (!path_join(path, shelf->folder, ".ensembed/complete.json", NULL) ||
        !file_exists(path))
        return NULL;
    json_t *complete = json_read_file(path, SEARCH_JSON_MAX, NULL);
    const char *folder = json_string_value(
        json_object_get(json_object_get(complete, "model_folders"), key));
    char *copy = folder ? arena_copy(arena, str_from(folder), NULL) : NULL;
    json_decref(complete);
    return copy;
}

static bool read_model(struct searching *s, const struct shelf *shelf,
                       const json_t *model, struct model_request *request,
                       struct error *err) {
    const char *reference = NULL, *key = NULL, *commit = NULL, *id = NULL;
    const char *task = NULL, *name = shelf->folder;
    double weight = 1;
    size_t width = 0;
    if (!json_member_string(model, "reference", name, &reference, err) ||
        !json_member_string(model, "key", name, &key, err) ||
        !json_member_string(model, "commit", name, &commit, err) ||
        !json_member_string(model, "id", name, &id, err) ||
        !json_member_string(model, "task", name, &task, err) ||
        !json_member_real(model, "weight", name, &weight, err) ||
        !json_member_size(model, "width", name, &width, err))
        return false;
    if (!reference || !key)
        return error_set(err, ERROR_INPUT,
                         "%s/stats.json does not say which model made it",
                         shelf->folder);
    *request = (struct model_request){.reference = reference,
                                      .name = key,
                                      .task = task,
                                      .weight = weight,
                                      .dim = width};
    if (id)
        request->revision = commit;
    if (!id && !folder_exists(reference)) {
        const char *folder = model_folder(shelf, key, &s->result->arena);
        if (folder)
            request->reference = folder;
    }
    return true;
}

/* Runs before there were other heads do not list them. */
bool search_model_gives(const json_t *model, enum row_kind head) {
    const json_t *heads = json_object_get(model, "heads");
    for (size_t i = 0; i < json_array_size(heads); i++) {
        const char *name = json_string_value(json_array_get(heads, i));
        if (name && strcmp(name, row_kind_name(head)) == 0)
            return true;
    }
    return !heads && head == ROW_DENSE;
}

bool search_head_wanted(const struct searching *s, const char *key,
                        enum row_kind head) {
    char name[VECTOR_NAME_MAX];
    snprintf(name, sizeof name, "%.200s-%s", key, row_kind_name(head));
    return search_wants(s->request, head == ROW_DENSE ? "dense" : name, head);
}

static void add_request(struct searching *s,
                        const struct model_request *request,
                        enum row_kind head) {
    struct run_options *options = &s->options;
    struct model_request *lists[] = {s->dense, s->sparse, s->multi};
    size_t *counts[] = {&options->models_count, &options->sparse_count,
                        &options->multi_count};
    struct model_request *to = &lists[head][(*counts[head])++];
    *to = *request;
    if (head != ROW_DENSE) {
        to->weight = 1;
        to->dim = 0;
    }
}

/* Is any of the model's vectors asked for? */
static bool model_wanted(const struct searching *s, const json_t *model,
                         const char *key) {
    for (enum row_kind h = 0; h < ROW_KINDS; h++)
        if (search_model_gives(model, h) && search_head_wanted(s, key, h))
            return true;
    return false;
}

/* *LANGUAGE is NULL for what is a model. */
static bool read_formula(const json_t *model, const char *folder,
                         const char **language, struct error *err) {
    const char *family = NULL, *said = "english";
    *language = NULL;
    if (!json_member_string(model, "family", folder, &family, err) ||
        !json_member_string(model, "language", folder, &said, err))
        return false;
    if (family && strcmp(family, "bm25") == 0)
        *language = said;
    return true;
}

/* A model that was named by its folder is where the run found it. */
static bool is_there(const struct shelf *shelf, const json_t *model,
                     const struct model_request *request, struct error *err) {
    return json_is_string(json_object_get(model, "id")) ||
           folder_exists(request->reference) ||
           error_set(err, ERROR_MISSING,
                     "%s was made by the model in the folder %s, which is not "
                     "there any more: put it back, or run again with --model "
                     "FOLDER:name=%s where it is now, which keeps the rows",
                     shelf->folder, request->reference, request->name);
}

/* The requests that make the run's roster again, with all heads of each model
 * that is wanted: what a model is asked for is part of its digest. */
static bool list_models(struct searching *s, const struct shelf *shelf,
                        const json_t *models, struct error *err) {
    s->options.models_count = s->options.sparse_count = s->options.multi_count =
        0;
    s->models_count = 0;
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *model = json_array_get(models, i);
        struct model_request request;
        if (!read_model(s, shelf, model, &request, err))
            return false;
        if (!model_wanted(s, model, request.name))
            continue;
        struct asked_model *asked = &s->models[s->models_count++];
        *asked = (struct asked_model){.model = model, .key = request.name};
        if (!read_formula(model, shelf->folder, &asked->bm25, err) ||
            (!asked->bm25 && !is_there(shelf, model, &request, err)))
            return false;
        for (enum row_kind h = 0; h < ROW_KINDS && !asked->bm25; h++)
            if (search_model_gives(model, h))
                add_request(s, &request, h);
    }
    s->options.models = s->dense;
    s->options.sparse = s->sparse;
    s->options.multi = s->multi;
    return true;
}

/* ---- what they say ------------------------------------------------------ */

/* The question is asked to what made the rows, or the answer would mean
 * nothing. */
static bool check_same(const struct member *member, const json_t *model,
                       const struct shelf *shelf, struct error *err) {
    static const struct {
        const char *key, *part;
    } parts[] = {{"weights_sha256", "weights"},
                 {"tokenizer_sha256", "tokenizer"},
                 {"pooling", "pooling"},
                 {"normalized", "normalisation"},
                 {"sparse", "head of sparse vectors"}};
    if (member->error.code) {
        *err = member->error;
        return false;
    }
    json_t *now = member_describe(member);
    const char *changed = NULL;
    for (size_t i = 0; !changed && i < sizeof parts / sizeof *parts; i++) {
        const json_t *then = json_object_get(model, parts[i].key);
        if (then && !json_equal(then, json_object_get(now, parts[i].key)))
            changed = parts[i].part;
    }
    json_decref(now);
    return !changed ||
           error_set(err, ERROR_CONFLICT,
                     "%s was made by the model %s, whose %s changed since; put "
                     "its files back, or run again with --restart",
                     shelf->folder, member->key, changed);
}

static bool ask_member(struct searching *s, const struct member *member,
                       struct question *question, struct error *err) {
    struct str text = str_from(s->request->question);
    if (member->error.code) {
        *err = member->error;
        return false;
    }
    int64_t begin = clock_now_ns();
    struct engine *engine = engine_load(&s->session, member, 0, err);
    if (!engine)
        return false;
    int64_t loaded = clock_now_ns();
    bool fine = question_ask(engine, text, question, err);
    s->result->load_ms += (double)(loaded - begin) / 1e6;
    s->result->encode_ms += (double)(clock_now_ns() - loaded) / 1e6;
    engine_free(engine);
    return fine;
}

static const struct member *member_of(const struct roster *roster,
                                      const char *key) {
    for (size_t i = 0; i < roster->count; i++)
        if (strcmp(roster->members[i].key, key) == 0)
            return &roster->members[i];
    return NULL;
}

/* One vector of all dense models, as the run fused its rows. */
static bool fuse_query(struct searching *s, const struct roster *roster,
                       struct error *err) {
    struct fuse_member members[SEARCH_MODELS_MAX];
    const float *vectors[SEARCH_MODELS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < s->models_count; i++) {
        const struct member *member = member_of(roster, s->models[i].key);
        if (!s->models[i].question.dense)
            continue;
        members[count] =
            (struct fuse_member){member->width, member->request->weight};
        vectors[count++] = s->models[i].question.dense;
    }
    if (!count)
        return true;
    s->query_width = count > 1 ? roster->fused_width : members[0].width;
    s->query =
        memory_alloc(&s->result->memory, s->query_width, sizeof *s->query, err);
    if (s->query && count == 1)
        memcpy(s->query, vectors[0], s->query_width * sizeof *s->query);
    if (!s->query || count == 1)
        return s->query != NULL;
    enum fuse_method method = s->options.fuse;
    return fuse_vectors(members, count, method,
                        method == FUSE_MEAN ? s->query_width : 0, vectors,
                        s->query) ||
           error_set(err, ERROR_VECTOR,
                     "the models' vectors of the question cancel each other "
                     "out");
}

/* MADE: the roster as the run had it, which of a model with a Router has other
 * files than ROSTER. */
static bool ask_all(struct searching *s, const struct shelf *shelf,
                    const struct roster *roster, const struct roster *made,
                    struct error *err) {
    for (size_t i = 0; i < s->models_count; i++) {
        struct asked_model *asked = &s->models[i];
        const struct member *member = member_of(roster, asked->key);
        asked->question.memory = &s->result->memory;
        if (asked->bm25) {
            if (!question_terms(asked->bm25, str_from(s->request->question),
                                &asked->question, err))
                return false;
            continue;
        }
        if (!member)
            return error_set(err, ERROR_INPUT,
                             "%s/stats.json names the model %s in a way that "
                             "cannot be",
                             shelf->folder, asked->key);
        if (!ask_member(s, member, &asked->question, err) ||
            !check_same(member_of(made, asked->key), asked->model, shelf, err))
            return false;
    }
    return fuse_query(s, roster, err);
}

static bool is_routed(const struct roster *roster) {
    for (size_t i = 0; i < roster->count; i++) {
        const struct model_files *files = roster->members[i].files;
        if (files && files->routed)
            return true;
    }
    return false;
}

void search_forget(struct searching *s) {
    for (size_t i = 0; i < s->models_count; i++)
        question_free(&s->models[i].question);
    memory_free(&s->result->memory, s->query);
    s->query = NULL;
    s->query_width = 0;
    s->models_count = 0;
    s->answered = NULL;
}

bool search_ask(struct searching *s, const struct shelf *shelf,
                struct error *err) {
    json_t *models = json_object_get(shelf->stats, "models");
    size_t count = json_array_size(models);
    if (s->answered && json_equal(s->answered, models))
        return true;
    search_forget(s);
    if (!count || count > SEARCH_MODELS_MAX)
        return error_set(err, ERROR_INPUT, "%s/stats.json names %zu models",
                         shelf->folder, count);
    if (!list_models(s, shelf, models, err) || !s->models_count)
        return s->models_count || err->code == ERROR_NONE;
    const char *fuse = json_string_value(json_object_get(shelf->stats, "fuse"));
    s->options.fuse = fuse && !strcmp(fuse, "concat") ? FUSE_CONCAT : FUSE_MEAN;
    struct roster roster = {0}, documents = {0};
    bool models_asked = s->options.models_count || s->options.sparse_count ||
                        s->options.multi_count;
    if (models_asked && !roster_open(&roster, &s->session, "query", true, err))
        return false;
    bool routed = is_routed(&roster);
    bool fine =
        !routed || roster_open(&documents, &s->session, "document", true, err);
    fine =
        fine && ask_all(s, shelf, &roster, routed ? &documents : &roster, err);
    if (routed)
        roster_free(&documents);
    if (models_asked)
        roster_free(&roster);
    s->answered = fine ? models : NULL;
    return fine;
}
