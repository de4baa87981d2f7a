#include "run/origin.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/map.h"
#include "base/utf8.h"

enum {
    ORIGIN_VERSION = 1,
    ORIGIN_MAX_BYTES = 64 * 1024,
    STATS_MAX_BYTES = 16 << 20,
};

/* ---- places ------------------------------------------------------------- */

/* The part of PATH before its last '/', "/" at least. PATH is absolute. */
static void parent_of(const char *path, char parent[PATH_MAX]) {
    size_t size = (size_t)(strrchr(path, '/') - path);
    snprintf(parent, PATH_MAX, "%.*s", size ? (int)size : 1, path);
}

/* PATH with a real folder, but itself as it is called: a link that is renamed
 * is another place, wherever it leads. */
static bool place_of(const char *path, char place[PATH_MAX]) {
    char folder[PATH_MAX], real[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    return snprintf(folder, PATH_MAX, "%s", path) < PATH_MAX &&
           realpath(dirname(folder), real) &&
           path_join(place, strcmp(real, "/") ? real : "", name, NULL);
}

/* What this run reads, and how. */
struct root {
    char path[PATH_MAX];
    bool folder;  /* or a file */
    bool several; /* a collection a folder in it */
};

/* The folder below which COLLECTION's files are, by any name. */
static bool folder_of(const struct collection *collection,
                      char folder[PATH_MAX]) {
    const struct chunk_file *file = &collection->files[0];
    size_t all = strlen(file->path), own = strlen(file->relative);
    if (all < own + 2 || file->path[all - own - 1] != '/' ||
        strcmp(file->path + all - own, file->relative) != 0)
        return false;
    return snprintf(folder, PATH_MAX, "%.*s", (int)(all - own - 1),
                    file->path) < PATH_MAX;
}

/* Where COLLECTION's chunks are; false: that says nothing. ROOT is told on the
 * way. */
static bool find_origin(const struct run_options *options,
                        const struct collection *collection, struct root *root,
                        char origin[PATH_MAX]) {
    char folder[PATH_MAX], real[PATH_MAX];
    if (options->chunk.as || !strcmp(options->chunks, "-") ||
        !collection->files_count)
        return false;
    root->folder = folder_exists(options->chunks);
    root->several = false;
    if (!root->folder) {
        if (!place_of(options->chunks, root->path))
            return false;
    } else if (!realpath(options->chunks, root->path) ||
               !folder_of(collection, folder) || !realpath(folder, real)) {
        return false;
    } else if (strcmp(real, root->path) != 0) {
        root->several = true;
        return place_of(folder, origin);
    }
    strcpy(origin, root->path);
    return true;
}

static bool is_there(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* ---- the note ----------------------------------------------------------- */

static bool note_path(char path[PATH_MAX], const char *folder) {
    return path_join(path, folder, ".ensembed/origin.json", NULL);
}

static bool write_note(const char *path, const char *origin, bool gone,
                       struct memory *memory, struct error *err) {
    json_t *note = json_pack("{s:i, s:s, s:b}", "version", ORIGIN_VERSION,
                             "chunks", origin, "gone", gone);
    bool fine = json_write_file(path, note, 0, memory, err);
    json_decref(note);
    return fine;
}

/* What the note at PATH says; false: nothing that can be understood. */
static bool read_note(const char *path, char origin[PATH_MAX], bool *gone) {
    if (!file_exists(path))
        return false;
    json_t *note = json_read_file(path, ORIGIN_MAX_BYTES, NULL);
    const char *chunks = json_string_value(json_object_get(note, "chunks"));
    bool fine = chunks && chunks[0] == '/' &&
                snprintf(origin, PATH_MAX, "%s", chunks) < PATH_MAX;
    *gone = json_is_true(json_object_get(note, "gone"));
    json_decref(note);
    return fine;
}

bool origin_note(const char *private, const struct run_options *options,
                 const struct collection *collection, struct memory *memory,
                 struct error *err) {
    char path[PATH_MAX], origin[PATH_MAX], before[PATH_MAX];
    struct root root;
    bool gone;
    if (!path_join(path, private, "origin.json", err))
        return false;
    /* A path that is not UTF-8 has no place in JSON. */
    if (!find_origin(options, collection, &root, origin) ||
        utf8_valid_prefix(str_from(origin)) != strlen(origin))
        return file_remove(path, err);
    if (read_note(path, before, &gone) && !gone && !strcmp(before, origin))
        return true;
    return write_note(path, origin, false, memory, err);
}

bool origin_is_gone(const char *folder, char chunks[PATH_MAX]) {
    char path[PATH_MAX];
    bool gone;
    return note_path(path, folder) && read_note(path, chunks, &gone) && gone;
}

/* ---- what is gone ------------------------------------------------------- */

enum verdict { UNRELATED, THERE, GONE };

struct judging {
    const struct run_options *options;
    const struct chunk_listing *list;
    struct root root;
    char beside[PATH_MAX]; /* the folder in which this run's collections lie */
    struct map origins;    /* of all collections there: enum verdict */
    struct arena arena;    /* owner of the map's keys */
};

/* Where COUNT collections have their chunks, with what that says of a folder
 * of another name in OUT. */
static bool add_origins(struct judging *j, const struct collection *collections,
                        size_t count, enum verdict verdict) {
    for (size_t i = 0; i < count; i++) {
        char origin[PATH_MAX];
        if (!find_origin(j->options, &collections[i], &j->root, origin))
            continue;
        parent_of(origin, j->beside);
        const char *key = arena_copy(&j->arena, str_from(origin), NULL);
        if (!key || !map_put(&j->origins, str_from(key), verdict, NULL))
            return false;
    }
    return true;
}

static enum verdict judge(const struct judging *j, const char *origin) {
    const struct root *root = &j->root;
    char parent[PATH_MAX];
    uint64_t verdict;
    if (map_get(&j->origins, str_from(origin), &verdict))
        return (enum verdict)verdict;
    parent_of(origin, parent);
    bool inside = root->folder && !strcmp(parent, root->path);
    /* A file that was named need not be one that is looked for in a folder. */
    if (inside && file_exists(origin))
        return THERE;
    /* A collection a folder was one of all, or the other way round; or it is
     * none of those that were found. */
    if (inside || (root->several && !strcmp(origin, root->path)))
        return GONE;
    if (strcmp(parent, j->beside) != 0)
        return UNRELATED;
    return is_there(origin) ? THERE : GONE;
}

static bool is_of_this_run(const struct judging *j, const char *folder) {
    for (size_t i = 0; i < j->list->count; i++)
        if (!j->list->collections[i].missing &&
            !strcmp(j->list->collections[i].folder, folder))
            return true;
    return false;
}

/* NULL: there is no finished collection in FOLDER, and nobody asks it. */
static json_t *describe(const char *folder, const char *origin) {
    char path[PATH_MAX];
    if (!path_join(path, folder, "stats.json", NULL) || !file_exists(path))
        return NULL;
    json_t *stats = json_read_file(path, STATS_MAX_BYTES, NULL);
    const char *name = json_string_value(json_object_get(stats, "collection"));
    json_t *entry = json_object();
    json_object_set_new(entry, "collection",
                        json_any_text(name ? name : strrchr(folder, '/') + 1));
    json_object_set_new(entry, "folder", json_any_text(folder));
    json_object_set_new(entry, "chunks", json_any_text(origin));
    json_decref(stats);
    return entry;
}

static void look_at(const struct judging *j, const char *name, json_t *found,
                    struct memory *memory) {
    char folder[PATH_MAX], origin[PATH_MAX], note[PATH_MAX];
    bool marked;
    if (is_of_this_run(j, name) ||
        !path_join(folder, j->options->out, name, NULL) ||
        !note_path(note, folder) || !read_note(note, origin, &marked))
        return;
    enum verdict verdict = judge(j, origin);
    json_t *entry = verdict == GONE ? describe(folder, origin) : NULL;
    if (entry)
        json_array_append_new(found, entry);
    if (verdict != UNRELATED && marked != (verdict == GONE))
        write_note(note, origin, !marked, memory, NULL);
}

json_t *origin_find_gone(const struct run_options *options,
                         const struct chunk_listing *list,
                         struct memory *memory) {
    struct judging j = {.options = options,
                        .list = list,
                        .origins = map_make(memory),
                        .arena = arena_make(memory)};
    struct dirent **entries = NULL;
    json_t *found = json_array();
    /* What this run makes has its folder, and another with the same chunks is
     * an older one of it. */
    bool known = add_origins(&j, list->collections, list->count, GONE) &&
                 add_origins(&j, list->others, list->others_count, THERE) &&
                 j.origins.count;
    int count = known ? scandir(options->out, &entries, NULL, alphasort) : 0;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.')
            look_at(&j, entries[i]->d_name, found, memory);
        free(entries[i]);
    }
    free(entries);
    map_free(&j.origins);
    arena_free(&j.arena);
    return found;
}
