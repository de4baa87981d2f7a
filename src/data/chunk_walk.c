#include "data/chunk_walk.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "data/chunk_text.h"

struct walk_folder {
    char *path, *relative; /* relative: "" for the root, else "a/b" */
    uint64_t place[2];     /* device and inode */
    bool link;             /* reached by a link: entered when all others are */
    bool done;
    bool output; /* holds .ensembed: an output folder of ours */
};

struct walk walk_make(struct memory *memory, struct arena *arena) {
    return (struct walk){
        .memory = memory, .arena = arena, .entered = map_make(memory)};
}

void walk_free(struct walk *walk) {
    memory_free(walk->memory, walk->files);
    memory_free(walk->memory, walk->folders);
    map_free(&walk->entered);
    *walk = walk_make(walk->memory, walk->arena);
}

/* Room for one more in ARRAY, which may move. */
static bool make_room(struct memory *memory, void **array, size_t count,
                      size_t *capacity, size_t size, struct error *err) {
    if (count < *capacity)
        return true;
    size_t wanted = *capacity ? *capacity * 2 : 64;
    void *moved = memory_resize(memory, *array, wanted, size, err);
    if (!moved)
        return false;
    *array = moved;
    *capacity = wanted;
    return true;
}

static bool has_end(const char *name, const char *end) {
    size_t size = strlen(name), end_size = strlen(end);
    return size >= end_size && !strcasecmp(name + size - end_size, end);
}

bool walk_is_lines(const char *name) {
    return has_end(name, ".jsonl") || has_end(name, ".ndjson");
}

static bool is_chunk_file(const char *name) {
    if (!strcmp(name, "processing_summary.json") ||
        has_end(name, "_processing_summary.json"))
        return false;
    return has_end(name, ".json") || walk_is_lines(name);
}

static bool is_left_out(const char *folder) {
    return !strcmp(folder, "__pycache__") || !strcmp(folder, ".git") ||
           !strcmp(folder, ".ensembed") || !strcmp(folder, ".") ||
           !strcmp(folder, "..");
}

bool walk_add(struct walk *walk, const char *path, const char *relative,
              size_t relative_size, bool lines, struct error *err) {
    void *files = walk->files;
    bool fine = make_room(walk->memory, &files, walk->count, &walk->capacity,
                          sizeof *walk->files, err);
    walk->files = files;
    struct strbuf clean = strbuf_make(walk->memory);
    text_clean((struct str){relative, relative_size}, &clean);
    fine = fine && strbuf_ok(&clean, err);
    struct chunk_file file = {.lines = lines};
    if (fine) {
        file.path = arena_copy(walk->arena, str_from(path), err);
        file.relative = arena_copy(walk->arena, strbuf_str(&clean), err);
        fine = file.path && file.relative;
    }
    strbuf_free(&clean);
    if (fine)
        walk->files[walk->count++] = file;
    return fine;
}

static bool add_folder(struct walk *walk, char *path, char *relative,
                       const struct stat *status, bool link,
                       struct error *err) {
    void *folders = walk->folders;
    bool fine = make_room(walk->memory, &folders, walk->folders_count,
                          &walk->folders_capacity, sizeof *walk->folders, err);
    walk->folders = folders;
    if (fine)
        walk->folders[walk->folders_count++] =
            (struct walk_folder){.path = path,
                                 .relative = relative,
                                 .place = {status->st_dev, status->st_ino},
                                 .link = link};
    return fine;
}

/* A folder that may not be read is listed as a file that cannot be, and belongs
 * to the collection of its name. Where the system fails that would be another
 * list for the moment: there is none then. */
static bool list_unreadable(struct walk *walk, const char *path,
                            const char *relative, struct error *err) {
    if (errno != EACCES && errno != EPERM && !file_is_absent(errno))
        return error_errno(err, "read folder %s", path);
    char *shown = arena_printf(walk->arena, err, "%s/", relative);
    return shown && walk_add(walk, path, shown, strlen(shown), false, err);
}

/* A name that cannot be looked at: a link to nowhere, a folder that may be
 * listed but not used. What would be input is listed, so that reading it says
 * what is wrong. */
static bool visit_unknown(struct walk *walk, const struct dirent *entry,
                          const char *path, const char *relative,
                          struct error *err) {
    if (entry->d_type == DT_DIR)
        return list_unreadable(walk, path, relative, err);
    if (!is_chunk_file(entry->d_name))
        return true;
    return walk_add(walk, path, relative, strlen(relative),
                    walk_is_lines(entry->d_name), err);
}

/* One name in the folder numbered AT. */
static bool visit(struct walk *walk, size_t at, const struct dirent *entry,
                  struct error *err) {
    const struct walk_folder *in = &walk->folders[at];
    const char *name = entry->d_name;
    if (!strcmp(name, ".ensembed"))
        walk->folders[at].output = true;
    if (is_left_out(name))
        return true;
    char *path = arena_printf(walk->arena, err, "%s/%s", in->path, name);
    char *relative = arena_printf(walk->arena, err, "%s%s%s", in->relative,
                                  *in->relative ? "/" : "", name);
    if (!path || !relative)
        return false;
    struct stat own, status;
    if (lstat(path, &own) != 0 || stat(path, &status) != 0)
        return visit_unknown(walk, entry, path, relative, err);
    if (S_ISDIR(status.st_mode))
        return add_folder(walk, path, relative, &status, S_ISLNK(own.st_mode),
                          err);
    if (S_ISREG(status.st_mode) && is_chunk_file(name))
        return walk_add(walk, path, relative, strlen(relative),
                        walk_is_lines(name), err);
    return true;
}

static bool enter(struct walk *walk, size_t at, struct error *err) {
    struct walk_folder *folder = &walk->folders[at];
    DIR *dir = opendir(folder->path);
    if (!dir && at == 0)
        return error_errno(err, "read folder %s", folder->path);
    if (!dir)
        return list_unreadable(walk, folder->path, folder->relative, err);
    bool fine = true;
    struct dirent *entry;
    while (fine && (errno = 0, entry = readdir(dir)))
        fine = visit(walk, at, entry, err);
    if (fine && errno)
        fine = error_errno(err, "read folder %s", walk->folders[at].path);
    closedir(dir);
    return fine;
}

/* Note that the folder numbered AT is entered; *AGAIN if it was before, by
 * another way. */
static bool note_entered(struct walk *walk, size_t at, bool *again,
                         struct error *err) {
    uint64_t *place =
        arena_alloc(walk->arena, 1, sizeof walk->folders[at].place, err);
    if (!place)
        return false;
    memcpy(place, walk->folders[at].place, sizeof walk->folders[at].place);
    struct str key = {(const char *)place, sizeof walk->folders[at].place};
    uint64_t value;
    *again = map_get(&walk->entered, key, &value);
    walk->folders[at].done = true;
    return map_put(&walk->entered, key, at, err);
}

/* The folder to enter next: all that are reached without a link, then the
 * linked one whose path sorts first, so that the outcome does not depend on
 * the order in which the system lists names. */
static bool next_folder(struct walk *walk, size_t *at) {
    for (; walk->next < walk->folders_count; walk->next++)
        if (!walk->folders[walk->next].link) {
            *at = walk->next++;
            return true;
        }
    bool found = false;
    for (size_t i = 0; i < walk->folders_count; i++) {
        const struct walk_folder *folder = &walk->folders[i];
        if (!folder->link || folder->done)
            continue;
        if (!found || strcmp(folder->relative, walk->folders[*at].relative) < 0)
            *at = i;
        found = true;
    }
    return found;
}

/* The folder that PATH lies in: by its bytes, of which a file's relative name
 * shows only those that are text. */
static struct str folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return (struct str){path, slash ? (size_t)(slash - path) : 0};
}

static const struct walk_folder *find_folder(const struct walk *walk,
                                             struct str path) {
    for (size_t i = 0; i < walk->folders_count; i++)
        if (str_equal(str_from(walk->folders[i].path), path))
            return &walk->folders[i];
    return NULL;
}

/* Does an output folder lie directly in FOLDER? */
static bool holds_output(const struct walk *walk, struct str folder) {
    for (size_t i = 1; i < walk->folders_count; i++) {
        const struct walk_folder *f = &walk->folders[i];
        if (f->output && str_equal(folder_of(f->path), folder))
            return true;
    }
    return false;
}

static bool is_named(const char *name, const char *const *names) {
    for (; *names; names++)
        if (!strcmp(name, *names))
            return true;
    return false;
}

/* A file that a run of ours wrote. */
static bool is_output(const struct walk *walk, const struct chunk_file *file) {
    static const char *const of_collection[] = {
        "points.jsonl", "metadata.jsonl", "texts.jsonl", "stats.json", NULL};
    static const char *const of_run[] = {"summary.json", "events.jsonl", NULL};
    struct str folder = folder_of(file->path);
    const char *name = file->path + folder.size + 1;
    const struct walk_folder *in = find_folder(walk, folder);
    bool output = in && in->output;
    if (is_named(name, of_run))
        return output || holds_output(walk, folder);
    return is_named(name, of_collection) && output;
}

static void drop_outputs(struct walk *walk) {
    size_t kept = 0;
    for (size_t i = 0; i < walk->count; i++)
        if (!is_output(walk, &walk->files[i]))
            walk->files[kept++] = walk->files[i];
    walk->count = kept;
}

static int by_path(const void *a, const void *b) {
    const struct chunk_file *left = a, *right = b;
    int order = strcmp(left->relative, right->relative);
    return order ? order : strcmp(left->path, right->path);
}

bool walk_folder(struct walk *walk, const char *path, struct error *err) {
    struct stat status;
    if (stat(path, &status) != 0)
        return error_errno(err, "read folder %s", path);
    char *copy = arena_copy(walk->arena, str_from(path), err);
    char *relative = arena_copy(walk->arena, STR(""), err);
    if (!copy || !relative ||
        !add_folder(walk, copy, relative, &status, false, err))
        return false;
    size_t at = 0;
    while (next_folder(walk, &at)) {
        bool again;
        if (!note_entered(walk, at, &again, err) ||
            (!again && !enter(walk, at, err)))
            return false;
    }
    drop_outputs(walk);
    if (walk->count)
        qsort(walk->files, walk->count, sizeof *walk->files, by_path);
    return true;
}
