#include "hub/fetch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "hub/blob.h"
#include "hub/choose.h"
#include "hub/repo_tree.h"

enum { PAGES_MAX = 1000, MODULES_BYTES_MAX = 1 << 20 };

/* The text that huggingface_hub writes, so that a cache is the same whoever
 * made it. */
static const char cachedir_tag[] =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This file is a cache directory tag created by huggingface_hub.\n"
    "# For information about cache directory tags, see:\n"
    "#\thttps://bford.info/cachedir/\n";

/* A fetch on its way. */
struct fetch {
    const struct fetch_request *request;
    struct fetch_report *report;
    struct memory *memory;
    const struct sink *sink;
    struct arena arena;
    struct hub hub;
    struct blob_place place;
    struct repo_tree tree;
    struct choice choice;
    json_t *modules;

    const struct repo_file *current; /* being fetched */
    uint64_t done, total;            /* bytes of the whole model */
    uint64_t done_first;             /* that were here at the beginning */
    int64_t begin_ms;
};

/* TEXT under PATH at once, while other processes may write the same: the
 * temporary name is this one's own. */
static bool write_shared(const char *path, struct str text, struct error *err) {
    struct {
        int64_t now;
        pid_t process;
    } seed;
    char part[PATH_MAX];
    memset(&seed, 0, sizeof seed);
    seed.now = clock_now_ns();
    seed.process = getpid();
    int size = snprintf(part, sizeof part, "%s.%08x.tmp", path,
                        (unsigned)hash_bytes(&seed, sizeof seed));
    if (size < 0 || (size_t)size >= sizeof part)
        return error_set(err, ERROR_USAGE, "path too long: %s", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_errno(err, "write %s", part);
    bool fine = file_pwrite(fd, text.data, text.size, 0, part, err) &&
                file_sync(fd, part, err);
    close(fd);
    fine = fine && file_rename(part, path, err);
    if (!fine)
        unlink(part);
    return fine;
}

/* ---- what the hub has ---------------------------------------------------- */

/* ENDPOINT/api/models/ID/KIND/NAME */
static const char *api_url(struct fetch *f, const char *kind, const char *name,
                           const char *query, struct error *err) {
    struct strbuf text = strbuf_make(f->memory);
    strbuf_printf(&text, "%s/api/models/%s/%s/", f->request->hub->endpoint,
                  f->request->id, kind);
    hub_quote(&text, name, "");
    strbuf_add(&text, str_from(query));
    const char *url = strbuf_ok(&text, err)
                          ? arena_copy(&f->arena, strbuf_str(&text), err)
                          : NULL;
    strbuf_free(&text);
    return url;
}

static bool ask_commit(struct fetch *f, struct error *err) {
    const char *revision = f->request->revision;
    const char *url = api_url(f, "revision", revision, "", err);
    char what[300];
    snprintf(what, sizeof what, "revision %s", revision);
    json_t *info = url ? hub_json(&f->hub, what, url, NULL, NULL, err) : NULL;
    const char *sha = json_string_value(json_object_get(info, "sha"));
    bool fine = sha && commit_valid(sha);
    if (fine)
        memcpy(f->report->commit, sha, sizeof f->report->commit);
    else if (info)
        error_set(err, ERROR_INPUT,
                  "%s: the hub's answer names no commit for %s", f->request->id,
                  revision);
    json_decref(info);
    return fine;
}

static bool find_commit(struct fetch *f, struct error *err) {
    if (!commit_valid(f->request->revision))
        return ask_commit(f, err);
    memcpy(f->report->commit, f->request->revision, COMMIT_DIGITS + 1);
    return true;
}

static bool ask_tree(struct fetch *f, struct error *err) {
    char name[256];
    const char *url = api_url(f, "tree", f->report->commit,
                              "?recursive=true&expand=false", err);
    snprintf(name, sizeof name, "%s: the hub's list of files", f->request->id);
    for (int page = 0; url; page++) {
        const char *next = NULL;
        if (page == PAGES_MAX)
            return error_set(err, ERROR_INPUT, "%s does not end", name);
        json_t *rows =
            hub_json(&f->hub, "the list of files", url, &f->arena, &next, err);
        bool fine = rows && repo_tree_add_page(&f->tree, rows, name, err);
        json_decref(rows);
        if (!fine)
            return false;
        if (!next)
            return repo_tree_finish(&f->tree, name, err);
        url = next;
    }
    return false;
}

static bool write_tree(struct fetch *f, const char *path, struct error *err) {
    char *folder = arena_printf(&f->arena, err, "%s/trees", f->place.repo);
    struct strbuf text = strbuf_make(f->memory);
    repo_tree_text(&f->tree, &text);
    bool fine = folder && strbuf_ok(&text, err) && folder_make(folder, err) &&
                write_shared(path, strbuf_str(&text), err);
    strbuf_free(&text);
    return fine;
}

static bool find_tree(struct fetch *f, struct error *err) {
    char *path = arena_printf(&f->arena, err, "%s/trees/%s.json", f->place.repo,
                              f->report->commit);
    f->tree = repo_tree_make(&f->arena);
    if (!path)
        return false;
    return repo_tree_load(&f->tree, path) ||
           (ask_tree(f, err) &&
            choose_possible(&f->tree, f->request->id, err) &&
            write_tree(f, path, err));
}

/* ---- folders and small files --------------------------------------------- */

static bool make_place(struct fetch *f, struct error *err) {
    const struct fetch_request *request = f->request;
    f->place.repo = hub_repo_path(&f->arena, request->cache, request->id, err);
    if (!f->place.repo)
        return false;
    f->place.locks =
        arena_printf(&f->arena, err, "%s/.locks/%s", request->cache,
                     strrchr(f->place.repo, '/') + 1);
    f->place.commit = f->report->commit;
    f->place.base =
        arena_printf(&f->arena, err, "%s/%s/resolve/%s/",
                     request->hub->endpoint, request->id, f->report->commit);
    return f->place.locks && f->place.base;
}

static bool make_folders(struct fetch *f, struct error *err) {
    char *blobs = arena_printf(&f->arena, err, "%s/blobs", f->place.repo);
    char *snapshot = arena_printf(&f->arena, err, "%s/snapshots/%s",
                                  f->place.repo, f->report->commit);
    char *tag =
        arena_printf(&f->arena, err, "%s/CACHEDIR.TAG", f->request->cache);
    if (!blobs || !snapshot || !tag || !folder_make(blobs, err) ||
        !folder_make(snapshot, err) || !folder_make(f->place.locks, err))
        return false;
    if (!file_exists(tag)) /* a courtesy to backups: no reason to fail */
        write_shared(tag, str_from(cachedir_tag), NULL);
    return true;
}

static bool ref_says(struct fetch *f, const char *path) {
    struct strbuf old = strbuf_make(f->memory);
    bool same = file_exists(path) && file_read(path, 256, &old, NULL) &&
                str_equal(strbuf_str(&old), str_from(f->report->commit));
    strbuf_free(&old);
    return same;
}

static bool write_ref(struct fetch *f, struct error *err) {
    const char *revision = f->request->revision;
    if (strcmp(revision, f->report->commit) == 0)
        return true;
    char *path =
        arena_printf(&f->arena, err, "%s/refs/%s", f->place.repo, revision);
    char *folder = path ? arena_copy(&f->arena, str_from(path), err) : NULL;
    if (!folder || ref_says(f, path))
        return folder != NULL;
    *strrchr(folder, '/') = '\0';
    return folder_make(folder, err) &&
           write_shared(path, str_from(f->report->commit), err);
}

/* ---- files --------------------------------------------------------------- */

static void show_progress(struct fetch *f) {
    int64_t spent = clock_now_ms() - f->begin_ms;
    uint64_t got = f->done > f->done_first ? f->done - f->done_first : 0;
    uint64_t left = f->total - f->done;
    struct progress progress = {.collection = f->request->id,
                                .stage = "pull",
                                .model = f->current->path,
                                .done = f->done,
                                .total = f->total,
                                .seconds_left = -1};
    if (got && spent > 0)
        progress.seconds_left =
            (double)left * (double)spent / 1000 / (double)got;
    event_progress(f->sink, &progress);
}

/* Bytes of the current file, as blob.c counts them. */
struct watching {
    struct fetch *fetch;
    uint64_t before; /* of all files, without the current one */
};

static void on_here(void *context, uint64_t bytes) {
    struct watching *w = context;
    w->fetch->done = w->before + bytes;
    if (w->fetch->done > w->fetch->total) /* another process fetches too */
        w->fetch->done = w->fetch->total;
    show_progress(w->fetch);
}

static bool fetch_file(struct fetch *f, const struct repo_file *file,
                       struct error *err) {
    if (blob_present(&f->arena, &f->place, file))
        return true;
    uint64_t here = blob_bytes_here(&f->arena, &f->place, file);
    struct watching watching = {f, f->done > here ? f->done - here : 0};
    struct blob_watch watch = {&watching, on_here};
    struct blob_report blob = {0};
    f->current = file;
    bool fine =
        blob_fetch(&f->hub, &f->arena, &f->place, file, &watch, &blob, err);
    f->report->bytes += blob.bytes;
    f->report->resumed = f->report->resumed || blob.resumed;
    f->report->fetched += fine;
    return fine;
}

/* modules.json says which folders count. */
static bool fetch_modules(struct fetch *f, struct error *err) {
    const struct repo_file *file = repo_tree_find(&f->tree, "modules.json");
    if (!file)
        return true;
    f->total = repo_file_bytes(file);
    f->done = f->done_first = blob_bytes_here(&f->arena, &f->place, file);
    char *path = arena_printf(&f->arena, err, "%s/snapshots/%s/modules.json",
                              f->place.repo, f->report->commit);
    if (!path || !fetch_file(f, file, err))
        return false;
    f->modules = json_read_file(path, MODULES_BYTES_MAX, err);
    return f->modules != NULL;
}

static bool check_disk(struct fetch *f, struct error *err) {
    uint64_t space = 0, missing = f->total - f->done;
    if (!missing || !disk_free(f->request->cache, &space, err))
        return !missing;
    return missing <= space ||
           error_set(err, ERROR_FULL,
                     "%s takes %" PRIu64 " more bytes, and %s has %" PRIu64
                     " left: free some, or let the cache lie on another disk "
                     "(HF_HUB_CACHE)",
                     f->request->id, missing, f->request->cache, space);
}

static bool count_bytes(struct fetch *f, struct error *err) {
    f->total = f->done = 0;
    for (size_t i = 0; i < f->choice.count; i++) {
        const struct repo_file *file = f->choice.files[i];
        if (__builtin_add_overflow(f->total, repo_file_bytes(file), &f->total))
            return error_set(err, ERROR_INPUT,
                             "%s: the sizes of its files make no sense",
                             f->request->id);
        f->done += blob_bytes_here(&f->arena, &f->place, file);
    }
    f->done_first = f->done;
    f->begin_ms = clock_now_ms();
    return true;
}

static bool fetch_files(struct fetch *f, struct error *err) {
    size_t here = 0;
    if (!fetch_modules(f, err) ||
        !choose_files(&f->arena, &f->tree, f->modules, f->request->id,
                      &f->choice, err))
        return false;
    f->report->files = f->choice.count;
    for (size_t i = 0; i < f->choice.count; i++)
        here += blob_present(&f->arena, &f->place, f->choice.files[i]);
    if (here > f->report->fetched && here < f->choice.count)
        f->report->resumed = true;
    if (!count_bytes(f, err) || !check_disk(f, err))
        return false;
    for (size_t i = 0; i < f->choice.count; i++)
        if (!fetch_file(f, f->choice.files[i], err))
            return false;
    return true;
}

static bool check_request(const struct fetch_request *request,
                          struct error *err) {
    if (!hub_id_valid(request->id))
        return error_set(err, ERROR_USAGE, "%s is no hub id (ORG/NAME)",
                         request->id);
    return revision_valid(request->revision) ||
           error_set(err, ERROR_USAGE,
                     "%s is not a revision: expected a commit, a branch or a "
                     "tag",
                     request->revision);
}

bool fetch_model(struct memory *memory, const struct fetch_request *request,
                 const struct sink *sink, struct fetch_report *report,
                 struct error *err) {
    *report = (struct fetch_report){0};
    struct fetch f = {.request = request,
                      .report = report,
                      .memory = memory,
                      .sink = sink,
                      .arena = arena_make(memory),
                      .begin_ms = clock_now_ms()};
    bool fine =
        check_request(request, err) &&
        hub_open(&f.hub, request->hub, request->id, memory, sink, err) &&
        find_commit(&f, err) && make_place(&f, err) && find_tree(&f, err) &&
        write_ref(&f, err) && make_folders(&f, err) && fetch_files(&f, err);
    report->requests = f.hub.requests;
    json_decref(f.modules);
    hub_close(&f.hub);
    arena_free(&f.arena);
    return fine;
}
