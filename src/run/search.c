/* search.c - a question to the collections of a folder: see search.h. */

#include "run/search_parts.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "run/lock.h"
#include "run/origin.h"

/* Rows that each source gives where several are joined, or a reranker looks. */
enum { DEPTH = 100 };

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

bool search_wants(const struct search_request *request, const char *source,
                  enum row_kind kind) {
    for (size_t i = 0; i < request->by_count; i++)
        if (strcmp(request->by[i], source) == 0 ||
            strcmp(request->by[i], row_kind_name(kind)) == 0)
            return true;
    return request->by_count == 0;
}

/* ---- which collections -------------------------------------------------- */

static bool is_wanted(const struct search_request *request, const char *name) {
    for (size_t i = 0; i < request->collections_count; i++)
        if (!strcmp(request->collections[i], name))
            return true;
    return request->collections_count == 0;
}

static bool stats_path(char path[PATH_MAX], const char *folder) {
    return path_join(path, folder, "stats.json", NULL);
}

/* Does a run write the files of the folder that is asked? */
static bool run_at_work(const struct searching *s) {
    char private[PATH_MAX];
    return path_join(private, s->request->folder, ".ensembed", NULL) &&
           lock_is_held(private);
}

/* Was something computed below PRIVATE, a collection's .ensembed? A run that
 * found no chunks leaves files in it, and no folder. */
static bool work_was_begun(const char *private) {
    DIR *folder = opendir(private);
    const struct dirent *entry;
    bool begun = false;
    while (folder && !begun && (entry = readdir(folder))) {
        char path[PATH_MAX];
        begun = entry->d_name[0] != '.' &&
                path_join(path, private, entry->d_name, NULL) &&
                folder_exists(path);
    }
    if (folder)
        closedir(folder);
    return begun;
}

/* FOLDER has no stats.json: is it a collection whose files are being written,
 * or were when a run was killed? */
static void tell_unfinished(const struct searching *s, const char *folder) {
    char private[PATH_MAX];
    bool inside = strcmp(folder, s->request->folder) != 0;
    if (inside && !s->request->collections_count &&
        path_join(private, folder, ".ensembed", NULL) &&
        work_was_begun(private))
        event_log(s->sink, LOG_WARNING,
                  "%s is not asked, for its files are not finished; %s", folder,
                  run_at_work(s) ? "a run is at work there: let it end"
                                 : "give the command of its run again");
}

/* SHELF behind the others, with copies of its FOLDER and of where its chunks
 * were, if they are gone. */
static bool keep_shelf(struct searching *s, struct shelf shelf,
                       const char *folder, struct error *err) {
    struct arena *arena = &s->result->arena;
    char chunks[PATH_MAX];
    struct shelf *more = memory_resize(&s->result->memory, s->shelves,
                                       s->shelves_count + 1, sizeof *more, err);
    if (!more)
        return false;
    s->shelves = more;
    shelf.folder = arena_copy(arena, str_from(folder), err);
    if (!shelf.folder)
        return false;
    if (origin_is_gone(folder, chunks)) {
        shelf.gone = arena_copy(arena, str_from(chunks), err);
        if (!shelf.gone)
            return false;
    }
    s->shelves[s->shelves_count++] = shelf;
    return true;
}

/* FOLDER, if it is a collection that was asked for. */
static bool add_shelf(struct searching *s, const char *folder,
                      struct error *err) {
    char path[PATH_MAX];
    struct shelf shelf = {0};
    if (!stats_path(path, folder) || !file_exists(path) ||
        !file_version_of(path, &shelf.version, NULL)) {
        tell_unfinished(s, folder);
        return true;
    }
    shelf.stats = json_read_file(path, SEARCH_JSON_MAX, err);
    if (shelf.stats &&
        json_member_string(shelf.stats, "collection", path, &shelf.name, err)) {
        if (!shelf.name || !is_wanted(s->request, shelf.name)) {
            json_decref(shelf.stats);
            return true;
        }
        if (keep_shelf(s, shelf, folder, err))
            return true;
    }
    json_decref(shelf.stats);
    return false;
}

/* A run takes stats.json away before the first of its files gets its name, and
 * writes it behind the last: while it is the one that was read, what is read is
 * of one run. Else rows may have met other rows' texts, and whatever was said
 * of the files, an error too, may be wrong. */
static bool still_there(const struct searching *s, struct error *err) {
    for (size_t i = 0; i < s->shelves_count; i++) {
        const struct shelf *shelf = &s->shelves[i];
        char path[PATH_MAX];
        struct file_version now;
        if (!stats_path(path, shelf->folder) ||
            !file_version_of(path, &now, NULL) ||
            !file_version_same(&now, &shelf->version))
            return error_set(err, ERROR_BUSY,
                             "a run wrote the files of %s anew while they were "
                             "searched; ask again when it is done",
                             shelf->folder);
    }
    return true;
}

/* Every collection that was asked for, or the answer would leave it out
 * without a word. */
static bool all_there(const struct searching *s, struct error *err) {
    const struct search_request *request = s->request;
    for (size_t i = 0; i < request->collections_count; i++) {
        bool there = false;
        for (size_t j = 0; j < s->shelves_count; j++)
            there |= !strcmp(s->shelves[j].name, request->collections[i]);
        if (!there && run_at_work(s))
            return error_set(err, ERROR_BUSY,
                             "%s holds no finished collection called %s; a run "
                             "is at work there: let it end",
                             request->folder, request->collections[i]);
        if (!there)
            return error_set(err, ERROR_MISSING,
                             "%s holds no finished collection called %s",
                             request->folder, request->collections[i]);
    }
    return true;
}

static bool find_shelves(struct searching *s, struct error *err) {
    const char *folder = s->request->folder;
    if (!folder_exists(folder))
        return error_set(err, ERROR_MISSING, "%s is not a folder", folder);
    if (!add_shelf(s, folder, err))
        return false;
    struct dirent **entries = NULL;
    int count =
        s->shelves_count ? 0 : scandir(folder, &entries, NULL, alphasort);
    bool fine = true;
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        bool inside = entries[i]->d_name[0] != '.' &&
                      path_join(path, folder, entries[i]->d_name, NULL);
        fine = fine && (!inside || add_shelf(s, path, err));
        free(entries[i]);
    }
    free(entries);
    if (!fine || s->shelves_count)
        return fine && all_there(s, err);
    const char *named = s->request->collections_count ? " of that name" : "";
    if (run_at_work(s))
        return error_set(err, ERROR_BUSY,
                         "%s holds no finished collection%s; a run is at work "
                         "there: let it end",
                         folder, named);
    return error_set(err, ERROR_MISSING,
                     "%s holds no finished collection%s (no stats.json); make "
                     "one with `ensembed run --out %s`",
                     folder, named, folder);
}

/* Collections of an earlier run, whose chunks are gone, answer as well: who did
 * not ask for them by name hears of it. */
static bool tell_earlier(struct searching *s, struct error *err) {
    struct search_result *result = s->result;
    result->earlier = arena_alloc(&result->arena, s->shelves_count + 1,
                                  sizeof *result->earlier, err);
    for (size_t i = 0; result->earlier && i < s->shelves_count; i++) {
        const struct shelf *shelf = &s->shelves[i];
        if (!shelf->gone)
            continue;
        const char *name =
            arena_copy(&result->arena, str_from(shelf->name), err);
        if (!name)
            return false;
        result->earlier[result->earlier_count++] = name;
        if (!s->request->collections_count &&
            strcmp(shelf->folder, s->request->folder) != 0)
            event_log(s->sink, LOG_WARNING,
                      "%s is of an earlier run and answers too: when the last "
                      "run looked, its chunks were not in %s any more, or were "
                      "another collection's; name the collections that are "
                      "meant (--collection), or remove that folder if nobody "
                      "needs it",
                      shelf->folder, shelf->gone);
    }
    return result->earlier != NULL;
}

/* ---- all of it ---------------------------------------------------------- */

/* Each source that was named gave something to look at. */
static bool all_found(const struct searching *s, struct error *err) {
    const struct search_request *request = s->request;
    for (size_t i = 0; i < request->by_count; i++) {
        bool found = false;
        for (size_t r = 0; r < s->rankings_count; r++)
            found |=
                !strcmp(request->by[i], s->rankings[r].source) ||
                !strcmp(request->by[i], row_kind_name(s->rankings[r].kind));
        if (!found)
            return error_set(err, ERROR_MISSING,
                             "%s has no vectors called %s; stats.json lists "
                             "them under \"vectors\", and --by knows dense, "
                             "sparse, multi and the names of the last two",
                             request->folder, request->by[i]);
    }
    return true;
}

static bool search_shelves(struct searching *s, struct error *err) {
    for (size_t i = 0; i < s->shelves_count; i++)
        if (!search_ask(s, &s->shelves[i], err) || !search_scan(s, i, err))
            return false;
    return all_found(s, err);
}

static const struct shelf *shelf_of(const struct searching *s,
                                    const char *name) {
    for (size_t i = 0; i < s->shelves_count; i++)
        if (s->shelves[i].name == name)
            return &s->shelves[i];
    return NULL;
}

/* Names of collections outlive the shelves. */
static bool keep_names(struct searching *s, struct error *err) {
    struct search_result *result = s->result;
    for (size_t i = 0; i < result->count; i++) {
        struct search_hit *hit = &result->hits[i];
        hit->collection =
            arena_copy(&result->arena, str_from(hit->collection), err);
        if (!hit->collection)
            return false;
    }
    return true;
}

static bool search_all(struct searching *s, struct error *err) {
    struct search_result *result = s->result;
    if (!find_shelves(s, err) || !tell_earlier(s, err))
        return false;
    if (!search_reranker(s, err))
        return false;
    s->wanted = s->request->top;
    if (s->reranks)
        s->wanted = larger(
            s->wanted, s->request->candidates ? s->request->candidates : DEPTH);
    s->depth = larger(s->wanted, DEPTH);
    s->options = *s->request->machine;
    s->options.one_device = true;
    s->options.models_count = 0; /* each collection's own come later */
    if (!session_open(&s->session, &s->options, s->sink, err) ||
        !search_shelves(s, err) || !search_join(s, err))
        return false;
    for (size_t i = 0; i < result->count; i++) {
        struct search_hit *hit = &result->hits[i];
        if (!search_describe(s, shelf_of(s, hit->collection), hit, err))
            return false;
    }
    return search_rerank(s, err) && keep_names(s, err);
}

bool search_run(const struct search_request *request, const struct sink *sink,
                struct search_result *result, struct error *err) {
    *result = (struct search_result){0};
    result->arena = arena_make(&result->memory);
    struct searching *s = memory_zalloc(&result->memory, 1, sizeof *s, err);
    if (!s)
        return false;
    s->request = request;
    s->result = result;
    s->sink = sink;
    bool fine = search_all(s, err);
    fine = still_there(s, err) && fine;
    search_forget(s);
    for (size_t i = 0; i < s->shelves_count; i++)
        json_decref(s->shelves[i].stats);
    memory_free(&result->memory, s->shelves);
    session_close(&s->session);
    memory_free(&result->memory, s);
    if (!fine)
        search_result_free(result);
    return fine;
}

void search_result_free(struct search_result *result) {
    arena_free(&result->arena);
    result->hits = NULL;
    result->count = 0;
}
