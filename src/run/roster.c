/* roster.c - the members together: names that must differ, widths that must
 * go together. */

#include "run/roster.h"

#include <stdio.h>
#include <string.h>

#include "data/fuse.h"
#include "run/requests.h"

enum { KEY_MAX = 200 }; /* bytes: KEY.npy.part is a file's name */

/* KEY names files and folders beside others of ours, and vectors. */
static bool check_key(const struct member *member, struct error *err) {
    static const char *const taken[] = {
        "embeddings",     "fused",         "scratch",
        "lock",           "complete.json", "points.offsets",
        "points.digests", "chunk-terms",   "origin.json"};
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

/* Is there a vector, or a file, that both would have: "m" with a sparse head
 * beside a dense model called "m-sparse"? */
static bool clash(const struct member *a, const struct member *b) {
    char multi[VECTOR_NAME_MAX];
    snprintf(multi, sizeof multi, "%s.multi", a->key);
    if (member_has(a, ROW_MULTI) && member_has(b, ROW_DENSE) &&
        (!strcmp(multi, b->key) ||
         (!strncmp(multi, b->key, strlen(multi)) &&
          !strcmp(b->key + strlen(multi), ".offsets"))))
        return true;
    for (enum row_kind h = 0; h < ROW_KINDS; h++)
        for (enum row_kind k = 0; k < ROW_KINDS; k++) {
            char one[VECTOR_NAME_MAX], other[VECTOR_NAME_MAX];
            member_vector_name(a, h, one);
            member_vector_name(b, k, other);
            if (member_has(a, h) && member_has(b, k) && !strcmp(one, other))
                return true;
        }
    return false;
}

static bool check_keys(const struct roster *roster, struct error *err) {
    for (size_t i = 0; i < roster->count; i++)
        for (size_t j = 0; j < i; j++) {
            const struct member *a = &roster->members[i];
            const struct member *b = &roster->members[j];
            if (!strcmp(a->key, b->key))
                return error_set(err, ERROR_USAGE,
                                 "two models are called %s; give one another "
                                 "name: %s:name=OTHER",
                                 a->key, a->request->reference);
            if (clash(a, b) || clash(b, a))
                return error_set(err, ERROR_USAGE,
                                 "outputs of %s and of %s would have the same "
                                 "name; give one another name: %s:name=OTHER",
                                 b->key, a->key, a->request->reference);
        }
    return true;
}

/* Without a width that was asked for, wider models are cut to the narrowest
 * one only if they declare that width. */
static bool common_width(const struct roster *roster, size_t *common,
                         struct error *err) {
    const struct member *narrow = NULL;
    for (size_t i = 0; i < roster->dense; i++)
        if (!narrow || roster->members[i].width < narrow->width)
            narrow = &roster->members[i];
    *common = narrow->width;
    for (size_t i = 0; i < roster->dense; i++) {
        const struct member *member = &roster->members[i];
        if (member->width > *common && !member_declares(member, *common))
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
    size_t count = roster->dense;
    for (size_t i = 0; i < count; i++)
        if (roster->members[i].error.code)
            return true;
    if (count < 2)
        return true;
    struct memory *memory = roster->memory;
    struct fuse_member *members =
        memory_zalloc(memory, count, sizeof *members, err);
    const char **names = memory_zalloc(memory, count, sizeof *names, err);
    bool fine = members && names;
    for (size_t i = 0; fine && i < count; i++) {
        members[i] = (struct fuse_member){roster->members[i].width,
                                          roster->members[i].request->weight};
        names[i] = roster->members[i].key;
    }
    enum fuse_method method = session->options->fuse;
    size_t dim = 0;
    fine = fine && (method != FUSE_MEAN || common_width(roster, &dim, err)) &&
           fuse_check(members, names, count, method, dim, err);
    if (fine)
        roster->fused_width = fuse_width(members, count, method, dim);
    memory_free(memory, members);
    memory_free(memory, names);
    return fine;
}

/* A task that no model has would change nothing and say nothing. */
static bool check_task(const struct roster *roster,
                       const struct run_options *options, struct error *err) {
    bool known = !options->task;
    for (size_t i = 0; i < roster->count; i++)
        known = known || roster->members[i].error.code ||
                (roster->members[i].files &&
                 roster->members[i].files->tasks_count > 0);
    return known || error_set(err, ERROR_USAGE,
                              "--task %s: none of the models knows tasks",
                              options->task);
}

static bool open_members(struct roster *roster, struct session *session,
                         const char *what, bool digests, struct error *err) {
    roster->members = memory_zalloc(roster->memory, roster->count,
                                    sizeof *roster->members, err);
    bool fine = roster->members != NULL;
    for (size_t i = 0; fine && i < roster->count; i++) {
        struct member *member = &roster->members[i];
        fine = member_open(member, &roster->requests[i], session, what, digests,
                           err);
        roster->usable += member->error.code == ERROR_NONE;
    }
    return fine;
}

/* It is used by `search` only: here it is found and described. */
static bool open_reranker(struct roster *roster, struct session *session,
                          bool digests, struct error *err) {
    const struct model_request *request = session->options->rerank;
    if (!request)
        return true;
    roster->reranker =
        memory_zalloc(roster->memory, 1, sizeof *roster->reranker, err);
    roster->rerank = *request;
    request_set_rerank(&roster->rerank);
    struct member *member = roster->reranker;
    if (!member || !member_open(member, &roster->rerank, session, "document",
                                digests, err))
        return false;
    if (!member->error.code && member->spec.labels > 1)
        error_set(&member->error, ERROR_UNSUPPORTED,
                  "%s gives %zu scores a pair, and a reranker gives one",
                  member->key, member->spec.labels);
    return true;
}

bool roster_open(struct roster *roster, struct session *session,
                 const char *what, bool digests, struct error *err) {
    const struct run_options *options = session->options;
    *roster = (struct roster){.memory = &session->memory,
                              .dense = options->models_count};
    if (requests_merge(options, roster->memory, &roster->requests,
                       &roster->count, err) &&
        open_members(roster, session, what, digests, err) &&
        open_reranker(roster, session, digests, err) &&
        (!digests || check_each_key(roster, err)) && check_keys(roster, err) &&
        check_task(roster, options, err) && plan_fusion(roster, session, err))
        return true;
    roster_free(roster);
    return false;
}

size_t roster_models(const struct roster *roster) {
    size_t count = 0;
    for (size_t i = 0; i < roster->count; i++)
        count += !roster->members[i].error.code && !roster->members[i].bm25;
    return count;
}

void roster_free(struct roster *roster) {
    for (size_t i = 0; roster->members && i < roster->count; i++)
        member_close(&roster->members[i], roster->memory);
    if (roster->reranker)
        member_close(roster->reranker, roster->memory);
    memory_free(roster->memory, roster->reranker);
    memory_free(roster->memory, roster->members);
    memory_free(roster->memory, roster->requests);
    *roster = (struct roster){.memory = roster->memory};
}
