#include "run/roster.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "data/fuse.h"
#include "model/weights.h"

enum { KEY_MAX = 200 }; /* bytes: KEY.npy.part is a file's name */

static const char *const pooling_names[] = {
    [POOLING_CLS] = "cls",
    [POOLING_LAST] = "lasttoken",
    [POOLING_MEAN] = "mean",
    [POOLING_MEAN_SQRT] = "mean_sqrt_len_tokens",
    [POOLING_WEIGHTED_MEAN] = "weightedmean",
    [POOLING_MAX] = "max",
};

/* ---- one member --------------------------------------------------------- */

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

/* The prompt's text: what the command line says, else what the model has. */
static bool choose_prompt(struct member *member, const struct session *session,
                          const char *what, struct error *err) {
    const struct run_options *options = session->options;
    if (options->prompt_text) {
        member->prompt = *options->prompt_text ? options->prompt_text : NULL;
        return true;
    }
    const char *name =
        member->request->prompt ? member->request->prompt : options->prompt;
    return model_files_prompt(member->files, what, name, &member->prompt, err);
}

static bool declares(const struct model_files *files, size_t width) {
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
        member->width < own && !declares(member->files, member->width);
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

/* A flat object: store_open compares it member by member and shows both
 * values of one that differs. */
static bool make_fingerprint(struct member *member, struct error *err) {
    if (!model_files_digest(member->files, member->weights_sha256,
                            member->tokenizer_sha256, err))
        return false;
    char pooling[128];
    pooling_text(&member->spec, pooling, sizeof pooling);
    const char *commit = member->files->commit;
    member->fingerprint = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:b, s:b, s:I}", "commit",
        commit ? commit : "", "weights_sha256", member->weights_sha256,
        "tokenizer_sha256", member->tokenizer_sha256, "prompt",
        member->prompt ? member->prompt : "", "dtype", "f32", "max_length",
        (json_int_t)member->spec.max_length, "pooling", pooling,
        "include_prompt", member->spec.pooling_include_prompt, "normalize",
        member->spec.normalize, "width", (json_int_t)member->spec.width);
    return member->fingerprint ||
           error_set(err, ERROR_INPUT, "%s: its prompt is not valid UTF-8",
                     member->key);
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

/* False only for what is wrong with the request; a model that cannot be used
 * leaves its reason in member->error. */
static bool open_member(struct member *member, struct session *session,
                        const char *what, bool digests, struct error *err) {
    const struct model_request *request = member->request;
    struct memory *memory = &session->memory;
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
    if (!member->files ||
        !model_spec_read(member->files, &member->spec, &member->error) ||
        !weights_check(memory, &member->spec, member->files, &member->error) ||
        !read_charged(member, memory, err) ||
        (digests && (!choose_prompt(member, session, what, err) ||
                     !make_fingerprint(member, &member->error))) ||
        (!digests && !choose_prompt(member, session, what, err)))
        return member->error.code != ERROR_NONE;
    return choose_width(member, session, err);
}

/* ---- together ----------------------------------------------------------- */

/* KEY names files and folders beside others of ours, and vectors. */
static bool check_key(const struct member *member, struct error *err) {
    static const char *const taken[] = {
        "embeddings",    "fused",          "scratch",       "lock",
        "complete.json", "points.offsets", "points.digests"};
    const char *key = member->key;
    bool fine = key[0] != '.' && strlen(key) <= KEY_MAX;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        fine = fine && strcmp(key, taken[i]) != 0;
    return fine || error_set(err, ERROR_USAGE,
                             "a model cannot be called %.210s in the output%s; "
                             "give it another name: --model %s:name=OTHER",
                             key, strlen(key) > KEY_MAX ? ": too long" : "",
                             member->request->reference);
}

static bool check_each_key(const struct roster *roster, struct error *err) {
    for (size_t i = 0; i < roster->count; i++)
        if (!check_key(&roster->members[i], err))
            return false;
    return true;
}

static bool check_keys(const struct roster *roster, struct error *err) {
    for (size_t i = 0; i < roster->count; i++)
        for (size_t j = 0; j < i; j++)
            if (!strcmp(roster->members[i].key, roster->members[j].key))
                return error_set(err, ERROR_USAGE,
                                 "two models are called %s; give one another "
                                 "name: --model %s:name=OTHER",
                                 roster->members[i].key,
                                 roster->members[i].request->reference);
    return true;
}

/* Without a width that was asked for, wider models are cut to the narrowest
 * one only if they declare that width. */
static bool common_width(const struct roster *roster, size_t *common,
                         struct error *err) {
    const struct member *narrow = NULL;
    for (size_t i = 0; i < roster->count; i++)
        if (!narrow || roster->members[i].width < narrow->width)
            narrow = &roster->members[i];
    *common = narrow->width;
    for (size_t i = 0; i < roster->count; i++) {
        const struct member *member = &roster->members[i];
        if (member->width > *common && !declares(member->files, *common))
            return error_set(
                err, ERROR_USAGE,
                "%s has %zu numbers a vector and %s has %zu: choose a common "
                "width with --dim %zu, or keep both whole with --fuse concat",
                member->key, member->width, narrow->key, narrow->width,
                *common);
    }
    return true;
}

static bool plan_fusion(struct roster *roster, const struct session *session,
                        struct error *err) {
    if (roster->count < 2 || roster->usable < roster->count)
        return true;
    struct memory *memory = roster->memory;
    struct fuse_member *members =
        memory_zalloc(memory, roster->count, sizeof *members, err);
    const char **names =
        memory_zalloc(memory, roster->count, sizeof *names, err);
    bool fine = members && names;
    for (size_t i = 0; fine && i < roster->count; i++) {
        members[i] = (struct fuse_member){roster->members[i].width,
                                          roster->members[i].request->weight};
        names[i] = roster->members[i].key;
    }
    enum fuse_method method = session->options->fuse;
    size_t dim = 0;
    fine = fine && (method != FUSE_MEAN || common_width(roster, &dim, err)) &&
           fuse_check(members, names, roster->count, method, dim, err);
    if (fine)
        roster->fused_width = fuse_width(members, roster->count, method, dim);
    memory_free(memory, members);
    memory_free(memory, names);
    return fine;
}

bool roster_open(struct roster *roster, struct session *session,
                 const char *what, bool digests, struct error *err) {
    const struct run_options *options = session->options;
    *roster = (struct roster){.memory = &session->memory,
                              .count = options->models_count};
    if (!roster->count)
        return error_set(err, ERROR_USAGE, "no model: name one with --model");
    roster->members = memory_zalloc(roster->memory, roster->count,
                                    sizeof *roster->members, err);
    bool fine = roster->members != NULL;
    const struct sink *outer = session->sink;
    kept_events_begin(&roster->events, outer);
    session->sink = &roster->events.sink;
    for (size_t i = 0; fine && i < roster->count; i++) {
        roster->members[i].request = &options->models[i];
        fine = open_member(&roster->members[i], session, what, digests, err);
        roster->usable += roster->members[i].error.code == ERROR_NONE;
    }
    session->sink = outer;
    if (fine && (!digests || check_each_key(roster, err)) &&
        check_keys(roster, err) && plan_fusion(roster, session, err))
        return true;
    roster_free(roster);
    return false;
}

void roster_free(struct roster *roster) {
    for (size_t i = 0; roster->members && i < roster->count; i++) {
        model_files_free(roster->members[i].files);
        memory_free(roster->memory, roster->members[i].key);
        json_decref(roster->members[i].fingerprint);
    }
    kept_events_free(&roster->events);
    memory_free(roster->memory, roster->members);
    *roster = (struct roster){.memory = roster->memory};
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

json_t *member_describe(const struct member *member) {
    const struct model_files *files = member->files;
    json_t *object =
        json_pack("{s:s, s:o, s:f}", "key", member->key, "reference",
                  json_any_text(member->request->reference), "weight",
                  member->request->weight);
    if (member->cache.status)
        json_object_set_new(object, "cache", cache_use_json(&member->cache));
    if (member->error.code) {
        json_object_set_new(object, "error",
                            json_pack("{s:s, s:o}", "code",
                                      error_name(member->error.code), "message",
                                      json_any_text(member->error.message)));
        return object;
    }
    const struct model_spec *spec = &member->spec;
    json_object_update_new(
        object,
        json_pack("{s:s?, s:s?, s:s, s:s, s:I, s:I, s:o, s:b, s:I, s:s?}", "id",
                  files->id, "commit", files->commit, "family",
                  spec->family->title, "dtype", "f32", "own_width",
                  (json_int_t)spec->width, "width", (json_int_t)member->width,
                  "pooling", pooling_list(spec), "normalized", spec->normalize,
                  "max_length", (json_int_t)spec->max_length, "prompt",
                  member->prompt));
    json_object_set_new(object, "similarity", json_string(files->similarity));
    json_object_set_new(object, "truncated_without_declaring",
                        json_boolean(member->undeclared_cut));
    if (member->fingerprint) {
        json_object_set_new(object, "weights_sha256",
                            json_string(member->weights_sha256));
        json_object_set_new(object, "tokenizer_sha256",
                            json_string(member->tokenizer_sha256));
    }
    return object;
}
