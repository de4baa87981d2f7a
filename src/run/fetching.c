#include "run/fetching.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "hub/fetch.h"

/* One model that is looked for. */
struct search {
    struct memory *memory;
    const struct run_options *options;
    const struct sink *sink;
    const struct model_request *request;
    const char *revision;
    const char *task;
    struct cache_use *use;
};

json_t *cache_use_json(const struct cache_use *use) {
    return json_pack("{s:s, s:s?, s:I, s:I}", "status", use->status, "commit",
                     *use->commit ? use->commit : NULL, "bytes_downloaded",
                     (json_int_t)use->bytes, "requests",
                     (json_int_t)use->requests);
}

static void emit(const struct search *s, const char *id,
                 const struct model_files *files) {
    json_t *fields = cache_use_json(s->use);
    json_object_set_new(fields, "model", json_any_text(id));
    json_object_set_new(fields, "path",
                        json_any_text(files ? files->folder : NULL));
    event_emit(s->sink, "cache", fields);
}

static struct model_files *open_files(const struct search *s,
                                      struct error *err) {
    struct model_files *files = model_files_open_for(
        s->memory, s->request->reference, s->request->revision, s->request->use,
        s->task, &s->options->places, err);
    if (files && files->commit)
        snprintf(s->use->commit, sizeof s->use->commit, "%s", files->commit);
    return files;
}

static bool fetch_id(const struct search *s, const char *id,
                     struct fetch_report *report, struct error *err) {
    struct fetch_request request = {.cache = s->options->places.cache,
                                    .id = id,
                                    .revision = s->revision,
                                    .hub = &s->options->hub.settings};
    bool fine = fetch_model(s->memory, &request, s->sink, report, err);
    s->use->bytes += report->bytes;
    s->use->requests += report->requests;
    if (*report->commit)
        memcpy(s->use->commit, report->commit, sizeof s->use->commit);
    return fine;
}

static bool is_cached(const struct search *s, const char *id) {
    struct arena arena = arena_make(s->memory);
    const char *repo =
        hub_repo_path(&arena, s->options->places.cache, id, NULL);
    bool cached = repo && folder_exists(repo);
    arena_free(&arena);
    return cached;
}

/* A name without an organisation means sentence-transformers/NAME first, as in
 * that library, and then itself. */
static bool fetch_either(const struct search *s, const char *id,
                         struct fetch_report *report, struct error *err) {
    char whole[160];
    struct error first = {0};
    if (strchr(id, '/') || is_cached(s, id))
        return fetch_id(s, id, report, err);
    snprintf(whole, sizeof whole, "sentence-transformers/%s", id);
    if (fetch_id(s, whole, report, &first))
        return true;
    if (first.code == ERROR_MISSING)
        return fetch_id(s, id, report, err);
    return error_set(err, first.code, "%s", first.message);
}

static const char *status_of(const struct fetch_report *report,
                             const char *old_commit) {
    if (!report->fetched && strcmp(report->commit, old_commit) == 0)
        return "hit";
    if (*old_commit && strcmp(report->commit, old_commit) != 0)
        return "refreshed";
    return report->resumed ? "resumed" : "downloaded";
}

static struct model_files *not_refreshed(const struct search *s,
                                         struct model_files *files,
                                         const struct error *cause,
                                         struct error *err) {
    if (files && !s->options->hub.insist && cause->code != ERROR_INTERRUPTED) {
        event_log(s->sink, LOG_WARNING,
                  "not refreshed, going on with commit %.12s of the cache: %s",
                  files->commit, cause->message);
        s->use->status = "hit";
        memcpy(s->use->commit, files->commit, sizeof s->use->commit);
        return files;
    }
    model_files_free(files);
    s->use->status = "missing";
    if (cause->code == ERROR_INTERRUPTED)
        error_set(err, ERROR_INTERRUPTED,
                  "%s: interrupted while it was fetched; what came is kept: "
                  "run the same command again and it goes on",
                  s->request->reference);
    else
        error_set(err, cause->code, "%s", cause->message);
    return NULL;
}

/* FILES is what the cache has, or NULL; it is freed or given back. */
static struct model_files *pull(const struct search *s, const char *id,
                                struct model_files *files, struct error *err) {
    char old_commit[COMMIT_DIGITS + 1];
    struct fetch_report report;
    struct error cause = {0};
    memcpy(old_commit, s->use->commit, sizeof old_commit);
    event_log(s->sink, LOG_INFO, "%s: %s", id,
              files ? "asking the hub for the newest commit"
                    : "fetching it into the cache");
    if (!fetch_either(s, id, &report, &cause))
        return not_refreshed(s, files, &cause, err);
    s->use->status = status_of(&report, old_commit);
    model_files_free(files);
    return open_files(s, err);
}

/* Who plans online learns that a run would fetch it. */
static void not_fetched(const struct search *s, const struct error *cause,
                        struct error *err) {
    bool would = s->options->hub.settings.endpoint && !s->options->hub.pull &&
                 cause->code == ERROR_MISSING;
    error_set(err, cause->code, "%s%s", cause->message,
              would ? " (`ensembed run` does that by itself)" : "");
}

struct model_files *fetching_open(struct memory *memory,
                                  const struct run_options *options,
                                  const struct sink *sink,
                                  const struct model_request *request,
                                  const char *task, struct cache_use *use,
                                  struct error *err) {
    const char *id = model_hub_id(request->reference);
    struct search s = {.memory = memory,
                       .options = options,
                       .sink = sink,
                       .request = request,
                       .task = task,
                       .revision =
                           request->revision ? request->revision : "main",
                       .use = use};
    *use = (struct cache_use){0};
    struct error cause = {0};
    struct model_files *files = open_files(&s, &cause);
    if (!id) {
        if (!files)
            error_set(err, cause.code, "%s", cause.message);
        return files;
    }
    bool may = options->hub.pull && options->hub.settings.endpoint &&
               options->places.cache;
    bool refresh = files && options->hub.refresh && !commit_valid(s.revision);
    use->status = files ? "hit" : "missing";
    if (may && (refresh || cause.code == ERROR_MISSING))
        files = pull(&s, id, files, err);
    else if (!files)
        not_fetched(&s, &cause, err);
    emit(&s, id, files);
    return files;
}
