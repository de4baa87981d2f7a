#include "hub/cache_list.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "hub/cache.h"
#include "hub/model_files.h"

enum { REF_BYTES_MAX = 256, REF_DEPTH_MAX = 8 };

/* A listing on its way. */
struct listing {
    struct memory *memory;
    struct arena arena;
    const char *cache;
};

static int visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* The names in a folder, sorted by bytes; 0 where there is none. */
static int names_in(const char *folder, struct dirent ***names) {
    int count = scandir(folder, names, visible, alphasort);
    if (count < 0)
        *names = NULL;
    return count < 0 ? 0 : count;
}

static void free_names(struct dirent **names, int count) {
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

/* Bytes of the blobs, and of those that are not finished. Without blobs (a
 * cache on a disk without links) the snapshots hold the files themselves. */
static void add_bytes(const char *folder, int depth, uint64_t *whole,
                      uint64_t *incomplete) {
    struct dirent **names;
    int count = names_in(folder, &names);
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        struct stat status;
        if (!path_join(path, folder, names[i]->d_name, NULL) ||
            lstat(path, &status) != 0)
            continue;
        bool part = str_ends(str_from(names[i]->d_name), STR(".incomplete"));
        if (S_ISREG(status.st_mode))
            *(part ? incomplete : whole) += (uint64_t)status.st_size;
        else if (S_ISDIR(status.st_mode) && depth > 0)
            add_bytes(path, depth - 1, whole, incomplete);
    }
    free_names(names, count);
}

static void check_ref(struct listing *l, const char *path, const char *name,
                      const char *commit, json_t *refs) {
    struct strbuf text = strbuf_make(l->memory);
    if (file_read(path, REF_BYTES_MAX, &text, NULL) &&
        str_starts(strbuf_str(&text), str_from(commit)))
        json_array_append_new(refs, json_any_text(name));
    strbuf_free(&text);
}

/* Branches and tags in FOLDER (refs/ or a folder in it) that mean COMMIT. */
static void add_refs(struct listing *l, const char *folder, const char *prefix,
                     int depth, const char *commit, json_t *refs) {
    struct dirent **names;
    int count = names_in(folder, &names);
    for (int i = 0; i < count; i++) {
        const char *own = names[i]->d_name;
        char *path = arena_printf(&l->arena, NULL, "%s/%s", folder, own);
        char *name = arena_printf(&l->arena, NULL, "%s%s", prefix, own);
        char *below = arena_printf(&l->arena, NULL, "%s%s/", prefix, own);
        if (path && name && file_exists(path))
            check_ref(l, path, name, commit, refs);
        else if (path && below && folder_exists(path) && depth > 0)
            add_refs(l, path, below, depth - 1, commit, refs);
    }
    free_names(names, count);
}

static json_t *describe_commit(struct listing *l, const char *repo,
                               const char *id, const char *commit) {
    struct hub_places places = {.cache = l->cache};
    struct error why = {0};
    struct model_files *files =
        model_files_open(l->memory, id, commit, MODEL_DENSE, &places, &why);
    const char *state = files                       ? "whole"
                        : why.code == ERROR_MISSING ? "not_whole"
                                                    : "unsupported";
    json_t *refs = json_array();
    char *folder = arena_printf(&l->arena, NULL, "%s/refs", repo);
    if (folder)
        add_refs(l, folder, "", REF_DEPTH_MAX, commit, refs);
    model_files_free(files);
    return json_pack("{s:s, s:o, s:s, s:s?}", "commit", commit, "refs", refs,
                     "state", state, "reason", files ? NULL : why.message);
}

static json_t *describe_repo(struct listing *l, const char *name,
                             struct error *err) {
    char *id = arena_copy(&l->arena, str_from(name + strlen("models--")), err);
    char *dashes = id ? strstr(id, "--") : NULL;
    if (dashes) {
        *dashes = '/';
        memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
    }
    char *repo = arena_printf(&l->arena, err, "%s/%s", l->cache, name);
    char *snapshots =
        arena_printf(&l->arena, err, "%s/%s/snapshots", l->cache, name);
    if (!id || !repo || !snapshots)
        return NULL;
    uint64_t bytes = 0, incomplete = 0;
    add_bytes(repo, REF_DEPTH_MAX, &bytes, &incomplete);
    json_t *commits = json_array();
    struct dirent **names;
    int count = names_in(snapshots, &names);
    for (int i = 0; i < count; i++)
        if (commit_valid(names[i]->d_name))
            json_array_append_new(
                commits, describe_commit(l, repo, id, names[i]->d_name));
    free_names(names, count);
    return json_pack("{s:o, s:I, s:I, s:o}", "id", json_any_text(id), "bytes",
                     (json_int_t)bytes, "incomplete_bytes",
                     (json_int_t)incomplete, "commits", commits);
}

json_t *cache_list(struct memory *memory, const char *cache,
                   struct error *err) {
    struct listing listing = {
        .memory = memory, .arena = arena_make(memory), .cache = cache};
    json_t *list = json_array();
    struct dirent **names;
    int count = names_in(cache, &names);
    bool fine = true;
    for (int i = 0; fine && i < count; i++) {
        if (strncmp(names[i]->d_name, "models--", 8) != 0)
            continue;
        json_t *repo = describe_repo(&listing, names[i]->d_name, err);
        fine = repo && json_array_append_new(list, repo) == 0;
    }
    free_names(names, count);
    arena_free(&listing.arena);
    if (fine)
        return list;
    json_decref(list);
    return NULL;
}
