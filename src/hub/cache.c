/* cache.c - see cache.h. */

#include "hub/cache.h"

#include <string.h>

#include "base/file.h"
#include "base/str.h"

enum { ID_BYTES_MAX = 96, REF_BYTES_MAX = 256, REVISION_BYTES_MAX = 255 };

static bool id_char(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool hub_id_valid(const char *id) {
    size_t size = strlen(id), slashes = 0;
    for (size_t i = 0; i < size; i++) {
        if (id[i] == '/')
            slashes++;
        else if (!id_char(id[i]))
            return false;
    }
    return size > 0 && size <= ID_BYTES_MAX && slashes <= 1 && id[0] != '/' &&
           id[0] != '.' && id[size - 1] != '/' && !strstr(id, "..") &&
           !strstr(id, "--") && !strstr(id, "/.");
}

bool commit_valid(const char *text) {
    return strspn(text, "0123456789abcdef") == COMMIT_DIGITS &&
           text[COMMIT_DIGITS] == '\0';
}

bool revision_valid(const char *revision) {
    size_t size = strlen(revision);
    if (size == 0 || size > REVISION_BYTES_MAX || revision[0] == '/' ||
        revision[0] == '.' || revision[size - 1] == '/')
        return false;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)revision[i] <= ' ' || revision[i] == '\\' ||
            revision[i] == 0x7F)
            return false;
    return !strstr(revision, "..") && !strstr(revision, "//") &&
           !strstr(revision, "/.");
}

const char *hub_repo_path(struct arena *arena, const char *cache,
                          const char *id, struct error *err) {
    const char *slash = strchr(id, '/');
    if (!slash)
        return arena_printf(arena, err, "%s/models--%s", cache, id);
    return arena_printf(arena, err, "%s/models--%.*s--%s", cache,
                        (int)(slash - id), id, slash + 1);
}

static bool find_repo(struct arena *arena, const char *cache, const char *id,
                      struct snapshot *s, struct error *err) {
    s->id = id;
    s->repo = hub_repo_path(arena, cache, id, err);
    if (!s->repo || folder_exists(s->repo))
        return s->repo != NULL;
    if (!strchr(id, '/')) {
        struct snapshot other = {0};
        other.id = arena_printf(arena, err, "sentence-transformers/%s", id);
        if (other.id)
            other.repo = hub_repo_path(arena, cache, other.id, err);
        if (!other.repo)
            return false;
        if (folder_exists(other.repo)) {
            *s = other;
            return true;
        }
    }
    return error_set(err, ERROR_MISSING,
                     "%s is not in the cache %s: fetch it there with "
                     "`ensembed pull %s`, or name a folder that holds it",
                     id, cache, id);
}

/* The commit that refs/REVISION names. */
static bool read_ref(struct arena *arena, const char *revision,
                     struct snapshot *s, struct error *err) {
    char *path = arena_printf(arena, err, "%s/refs/%s", s->repo, revision);
    if (!path)
        return false;
    if (!file_exists(path))
        return error_set(err, ERROR_MISSING,
                         "%s: the cache has no revision %s (there is no %s): "
                         "fetch it with `ensembed pull %s@%s`",
                         s->id, revision, path, s->id, revision);
    struct strbuf text = strbuf_make(arena->memory);
    bool fine = file_read(path, REF_BYTES_MAX, &text, err);
    while (fine && text.size > 0 && strchr(" \r\n\t", text.data[text.size - 1]))
        text.size--;
    if (fine) {
        s->commit = arena_copy(arena, strbuf_str(&text), err);
        fine = s->commit != NULL;
    }
    if (fine && !commit_valid(s->commit))
        fine = error_set(err, ERROR_INPUT,
                         "%s: expected a commit of 40 hex digits: remove the "
                         "file and fetch %s again",
                         path, s->id);
    strbuf_free(&text);
    return fine;
}

bool snapshot_find(struct arena *arena, const char *cache, const char *id,
                   const char *revision, struct snapshot *s,
                   struct error *err) {
    *s = (struct snapshot){0};
    if (!revision_valid(revision))
        return error_set(err, ERROR_USAGE,
                         "%s is not a revision: expected a commit, a branch "
                         "or a tag",
                         revision);
    if (!cache || !folder_exists(cache))
        return error_set(err, ERROR_MISSING,
                         "%s: there is no cache%s%s to find it in: fetch it "
                         "with `ensembed pull %s`, or name a folder that "
                         "holds it",
                         id, cache ? " " : "", cache ? cache : "", id);
    if (!find_repo(arena, cache, id, s, err))
        return false;
    if (commit_valid(revision))
        s->commit = arena_copy(arena, str_from(revision), err);
    else if (!read_ref(arena, revision, s, err))
        return false;
    if (s->commit)
        s->folder =
            arena_printf(arena, err, "%s/snapshots/%s", s->repo, s->commit);
    if (!s->folder || folder_exists(s->folder))
        return s->folder != NULL;
    return error_set(err, ERROR_MISSING,
                     "%s: the cache has no files of commit %s (there is no "
                     "%s): fetch them with `ensembed pull %s@%s`",
                     s->id, s->commit, s->folder, s->id, revision);
}

/* TEXT's last path component, and TEXT cut before it. */
static struct str last_word(struct str *text) {
    size_t at = text->size;
    while (at > 0 && text->data[at - 1] != '/')
        at--;
    struct str word = {text->data + at, text->size - at};
    text->size = at > 0 ? at - 1 : 0;
    return word;
}

static const char *id_of_folder(struct arena *arena, struct str name,
                                struct error *err) {
    char *id = arena_copy(arena, name, err);
    char *dashes = id ? strstr(id, "--") : NULL;
    if (dashes) {
        *dashes = '/';
        memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
    }
    return id;
}

bool snapshot_recognise(struct arena *arena, const char *folder,
                        struct snapshot *s, struct error *err) {
    *s = (struct snapshot){.folder = folder};
    struct str rest = str_from(folder), prefix = STR("models--");
    struct str commit = last_word(&rest), snapshots = last_word(&rest);
    struct str repo = rest, name = last_word(&rest);
    if (!str_equal(snapshots, STR("snapshots")) || !str_starts(name, prefix) ||
        commit.size != COMMIT_DIGITS || !commit_valid(commit.data))
        return true;
    name = (struct str){name.data + prefix.size, name.size - prefix.size};
    const char *id = id_of_folder(arena, name, err);
    if (!id)
        return false;
    if (!hub_id_valid(id))
        return true;
    s->id = id;
    s->commit = commit.data;
    s->repo = arena_copy(arena, repo, err);
    return s->repo != NULL;
}
