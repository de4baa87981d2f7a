/* whole.c - see whole.h. */

#include "hub/whole.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"

enum { TREE_BYTES_MAX = 64 << 20, TREE_VERSION = 1, POINTER_BYTES_MAX = 1024 };
enum { NAMED_MAX = 10 }; /* so that the remedy fits the message too */

enum state { PRESENT, ABSENT, MISSING, UNKNOWN };

/* REPO/trees/COMMIT.json. One that we cannot read is as good as none, which is
 * how its writer treats it. */
static bool read_tree(struct whole *w, struct error *err) {
    const struct snapshot *s = w->snapshot;
    char *path =
        arena_printf(w->arena, err, "%s/trees/%s.json", s->repo, s->commit);
    if (!path)
        return false;
    json_t *tree =
        file_exists(path) ? json_read_file(path, TREE_BYTES_MAX, NULL) : NULL;
    const json_t *version = json_object_get(tree, "format_version");
    json_t *files = json_object_get(tree, "files");
    if (json_integer_value(version) == TREE_VERSION && json_is_object(files))
        w->files = json_incref(files);
    json_decref(tree);
    return true;
}

static bool find_cut_off(struct whole *w, struct error *err) {
    char *path = arena_printf(w->arena, err, "%s/blobs", w->snapshot->repo);
    DIR *dir = path ? opendir(path) : NULL;
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (str_ends(str_from(entry->d_name), STR(".incomplete")))
            w->cut_off = true;
    if (dir)
        closedir(dir);
    return path != NULL;
}

bool whole_make(struct whole *w, struct arena *arena,
                const struct snapshot *snapshot, struct error *err) {
    *w = (struct whole){.arena = arena,
                        .snapshot = snapshot,
                        .list = strbuf_make(arena->memory)};
    return !snapshot->repo || (read_tree(w, err) && find_cut_off(w, err));
}

void whole_free(struct whole *w) {
    json_decref(w->files);
    if (w->list.memory)
        strbuf_free(&w->list);
    *w = (struct whole){0};
}

static void add_missing(struct whole *w, const char *path, const char *why) {
    if (++w->missing <= NAMED_MAX)
        strbuf_printf(&w->list, "%s%s%s", w->missing > 1 ? ", " : "", path,
                      why);
}

/* The size that the cache's listing gives; false if it gives none. */
static bool listed_size(const struct whole *w, const char *path,
                        uint64_t *size) {
    const json_t *file = json_object_get(w->files, path);
    const json_t *bytes = json_object_get(file, "lfs_size");
    if (!json_is_integer(bytes))
        bytes = json_object_get(file, "size");
    if (!json_is_integer(bytes) || json_integer_value(bytes) < 0)
        return false;
    *size = (uint64_t)json_integer_value(bytes);
    return true;
}

/* What git leaves in place of a large file that it did not fetch. */
static bool is_pointer(const char *path, uint64_t size) {
    struct file_map map;
    if (size > POINTER_BYTES_MAX || !file_map_open(&map, path, NULL))
        return false;
    bool pointer = str_starts((struct str){map.data, map.size},
                              STR("version https://git-lfs"));
    file_map_close(&map);
    return pointer;
}

static bool marked_absent(const struct whole *w, const char *path) {
    const struct snapshot *s = w->snapshot;
    const char *marker = arena_printf(w->arena, NULL, "%s/.no_exist/%s/%s",
                                      s->repo, s->commit, path);
    return marker && file_exists(marker);
}

static enum state judge_absent(const struct whole *w, const char *path,
                               const char **why) {
    *why = "";
    if (!w->snapshot->repo)
        return ABSENT;
    if (w->files)
        return json_object_get(w->files, path) ? MISSING : ABSENT;
    return marked_absent(w, path) ? ABSENT : UNKNOWN;
}

static enum state judge(const struct whole *w, const char *path,
                        const char **why) {
    const char *full =
        arena_printf(w->arena, NULL, "%s/%s", w->snapshot->folder, path);
    struct stat status;
    uint64_t size = 0;
    *why = "";
    if (!full)
        return judge_absent(w, path, why);
    if (lstat(full, &status) != 0)
        return file_is_absent(errno) ? judge_absent(w, path, why) : PRESENT;
    if (stat(full, &status) != 0 && (errno == EIO || errno == ENOMEM))
        return PRESENT; /* who opens it hears why */
    if (stat(full, &status) != 0) {
        *why = errno == EACCES ? " (may not be read)"
               : w->cut_off    ? " (its download was cut off)"
                               : " (a link to a blob that is not there)";
        return MISSING;
    }
    if (!S_ISREG(status.st_mode)) {
        *why = " (not a file)";
        return MISSING;
    }
    uint64_t bytes = (uint64_t)status.st_size;
    if (listed_size(w, path, &size) && size != bytes) {
        *why = arena_printf(w->arena, NULL,
                            " (%" PRIu64 " of %" PRIu64 " bytes)", bytes, size);
        *why = *why ? *why : "";
        return MISSING;
    }
    if (!is_pointer(full, bytes))
        return PRESENT;
    *why = " (a Git LFS pointer, not the file itself)";
    return MISSING;
}

bool whole_known(const struct whole *w, const char *path) {
    const char *why;
    enum state state = judge(w, path, &why);
    return state == PRESENT || state == MISSING;
}

bool whole_need(struct whole *w, const char *path) {
    const char *why;
    enum state state = judge(w, path, &why);
    if (state != PRESENT)
        add_missing(w, path, why);
    return state == PRESENT;
}

bool whole_maybe(struct whole *w, const char *path) {
    const char *why;
    enum state state = judge(w, path, &why);
    if (state == MISSING)
        add_missing(w, path, why);
    else if (state == UNKNOWN && w->cut_off)
        add_missing(w, path, " (a download was cut off)");
    return state == PRESENT;
}

/* Programs that know nothing of modules.json fetch the rest without it, and
 * without it the pooling would be a guess. Only a download of the whole
 * repository brings .gitattributes along. */
bool whole_modules(struct whole *w) {
    const char *why;
    enum state state = judge(w, "modules.json", &why);
    if (state == UNKNOWN && judge(w, ".gitattributes", &why) == PRESENT &&
        !w->cut_off)
        state = ABSENT;
    if (state == MISSING)
        add_missing(w, "modules.json", why);
    if (state == UNKNOWN)
        add_missing(w, "modules.json",
                    " (or a sign that the repository has none)");
    return state == PRESENT;
}

bool whole_check(struct whole *w, struct error *err) {
    const struct snapshot *s = w->snapshot;
    if (!w->missing)
        return true;
    if (w->missing > NAMED_MAX)
        strbuf_printf(&w->list, " and %zu more", w->missing - NAMED_MAX);
    if (!strbuf_ok(&w->list, err))
        return false;
    if (!s->repo)
        return error_set(err, ERROR_MISSING,
                         "%s: missing %.*s: put it into the folder", s->folder,
                         STR_ARG(strbuf_str(&w->list)));
    return error_set(err, ERROR_MISSING,
                     "%s at commit %s is not whole in the cache: missing %.*s "
                     "in %s: fetch it with `ensembed pull %s@%s`",
                     s->id, s->commit, STR_ARG(strbuf_str(&w->list)), s->folder,
                     s->id, s->commit);
}
