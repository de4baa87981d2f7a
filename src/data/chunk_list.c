/* chunk_list.c - which files make which collections; see chunks.h. */

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/map.h"
#include "data/chunk_text.h"
#include "data/chunk_walk.h"
#include "data/payload.h"

struct listing {
    struct chunk_listing public;
    struct memory *memory;
    struct arena arena;
    struct walk walk;
    struct collection *collections; /* what public.collections shows */
};

/* ---- names ---- */

static bool is_kept(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* NAME as a folder's name; a character of several bytes is one '_'. */
static char *folder_name(struct arena *arena, const char *name,
                         struct error *err) {
    char *folder = arena_copy(arena, str_from(name), err);
    if (!folder)
        return NULL;
    size_t size = 0;
    for (const char *at = name; *at; at++)
        if (((unsigned char)*at & 0xC0) != 0x80)
            folder[size++] = is_kept(*at) ? *at : '_';
    while (size > 0 && folder[size - 1] == '_')
        size--;
    folder[size] = '\0';
    while (*folder == '_')
        folder++;
    return *folder ? folder : arena_copy(arena, STR("collection"), err);
}

static const char *canonical_name(struct arena *arena, const char *name,
                                  struct error *err) {
    size_t capacity = strlen(name) + sizeof "sentence_transformers";
    char *canonical = arena_alloc(arena, capacity, 1, err);
    if (canonical)
        payload_canonical_collection(name, canonical, capacity);
    return canonical;
}

static char *clean_name(struct listing *list, const char *name, size_t size,
                        struct error *err) {
    struct strbuf clean = strbuf_make(list->memory);
    text_clean((struct str){name, size}, &clean);
    char *copy = strbuf_ok(&clean, err)
                     ? arena_copy(&list->arena, strbuf_str(&clean), err)
                     : NULL;
    strbuf_free(&clean);
    return copy;
}

/* "Docling" for "x/Docling_chunks.json". */
static size_t stem_size(const char *base) {
    static const char *const ends[] = {".json", ".jsonl", ".ndjson"};
    size_t size = strlen(base);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t end = strlen(ends[i]);
        if (size > end && !strcasecmp(base + size - end, ends[i])) {
            size -= end;
            break;
        }
    }
    const size_t suffix = strlen("_chunks");
    if (size > suffix && !strncmp(base + size - suffix, "_chunks", suffix))
        size -= suffix;
    return size;
}

/* ---- collections ---- */

static bool add_collection(struct listing *list, const char *name,
                           const struct chunk_file *files, size_t count,
                           struct error *err) {
    struct collection *c = &list->collections[list->public.count];
    char *folder = folder_name(&list->arena, name, err);
    const char *canonical = canonical_name(&list->arena, name, err);
    if (!folder || !canonical)
        return false;
    *c = (struct collection){.name = name,
                             .folder = folder,
                             .canonical = canonical,
                             .files = files,
                             .files_count = count};
    list->public.count++;
    return true;
}

/* Room for COUNT collections and those asked for that are not there. */
static bool make_room(struct listing *list, size_t count,
                      const struct chunk_options *options, struct error *err) {
    list->collections =
        arena_alloc(&list->arena, count + options->collections_count + 1,
                    sizeof *list->collections, err);
    list->public.collections = list->collections;
    return list->collections != NULL;
}

static bool one_collection(struct listing *list, const char *name,
                           const struct chunk_options *options,
                           struct error *err) {
    return make_room(list, 1, options, err) &&
           add_collection(list, name, list->walk.files, list->walk.count, err);
}

/* Is a chunk file directly in the root? */
static bool root_has_file(const struct walk *walk) {
    for (size_t i = 0; i < walk->count; i++)
        if (!strchr(walk->files[i].relative, '/'))
            return true;
    return false;
}

static size_t first_level_size(const struct chunk_file *file) {
    return (size_t)(strchr(file->relative, '/') - file->relative);
}

static bool same_first_level(const struct chunk_file *a,
                             const struct chunk_file *b) {
    size_t size = first_level_size(a);
    return size == first_level_size(b) &&
           !memcmp(a->relative, b->relative, size);
}

/* Files are sorted, so those of one first-level folder stand together. */
static bool a_collection_a_folder(struct listing *list,
                                  const struct chunk_options *options,
                                  struct error *err) {
    struct walk *walk = &list->walk;
    if (!make_room(list, walk->count, options, err))
        return false;
    for (size_t begin = 0, end; begin < walk->count; begin = end) {
        struct chunk_file *first = &walk->files[begin];
        size_t size = first_level_size(first);
        for (end = begin + 1; end < walk->count; end++)
            if (!same_first_level(first, &walk->files[end]))
                break;
        char *name =
            arena_copy(&list->arena, (struct str){first->relative, size}, err);
        if (!name || !add_collection(list, name, first, end - begin, err))
            return false;
    }
    /* From here on paths are relative to the collection's own folder. */
    for (size_t i = 0; i < walk->count; i++) {
        struct chunk_file *file = &walk->files[i];
        file->relative += first_level_size(file) + 1;
        if (!*file->relative) /* the folder itself, which may not be read */
            file->relative = ".";
    }
    return true;
}

static int by_name(const void *a, const void *b) {
    const struct collection *left = a, *right = b;
    return strcmp(left->name, right->name);
}

/* How many collections have each folder name, into USES. */
static bool count_folders(const struct listing *list, struct map *uses,
                          struct error *err) {
    for (size_t i = 0; i < list->public.count; i++) {
        struct str folder = str_from(list->collections[i].folder);
        uint64_t count = 0;
        map_get(uses, folder, &count);
        if (!map_put(uses, folder, count + 1, err))
            return false;
    }
    return true;
}

static bool mark_folder(struct listing *list, struct collection *c,
                        struct error *err) {
    uint8_t digest[SHA256_BYTES];
    char hex[9];
    hash_sha256(str_from(c->name), digest);
    hash_hex(digest, 4, hex);
    c->folder = arena_printf(&list->arena, err, "%s_%s", c->folder, hex);
    return c->folder != NULL;
}

/* Two names may come down to one folder name. The collection that is really
 * called so keeps it; others get a part of their name's digest, which does not
 * depend on what else is there. */
static bool part_folders(struct listing *list, struct error *err) {
    struct map uses = map_make(list->memory);
    struct map after = map_make(list->memory);
    bool fine = count_folders(list, &uses, err);
    for (size_t i = 0; fine && i < list->public.count; i++) {
        struct collection *c = &list->collections[i];
        uint64_t count = 0;
        map_get(&uses, str_from(c->folder), &count);
        if (count > 1 && strcmp(c->name, c->folder) != 0)
            fine = mark_folder(list, c, err);
    }
    fine = fine && count_folders(list, &after, err);
    if (fine && after.count < list->public.count)
        fine = error_set(err, ERROR_INPUT,
                         "two collections would be written to folders of the "
                         "same name; rename one of them");
    map_free(&uses);
    map_free(&after);
    return fine;
}

static bool is_selected(const struct chunk_options *options, const char *name) {
    for (size_t i = 0; i < options->collections_count; i++)
        if (!strcmp(options->collections[i], name))
            return true;
    return false;
}

static bool is_listed(const struct listing *list, const char *name) {
    for (size_t i = 0; i < list->public.count; i++)
        if (!strcmp(list->collections[i].name, name))
            return true;
    return false;
}

/* Keep what was asked for, lay the others aside, and name what is not there. */
static bool select_collections(struct listing *list,
                               const struct chunk_options *options,
                               struct error *err) {
    size_t kept = 0, left = 0, count = list->public.count;
    if (!options->collections)
        return true;
    struct collection *others =
        arena_alloc(&list->arena, count + 1, sizeof *others, err);
    if (!others)
        return false;
    for (size_t i = 0; i < count; i++)
        if (is_selected(options, list->collections[i].name))
            list->collections[kept++] = list->collections[i];
        else
            others[left++] = list->collections[i];
    list->public.count = kept;
    list->public.others = others;
    list->public.others_count = left;
    for (size_t i = 0; i < options->collections_count; i++) {
        if (is_listed(list, options->collections[i]))
            continue;
        char *name =
            arena_copy(&list->arena, str_from(options->collections[i]), err);
        if (!name || !add_collection(list, name, NULL, 0, err))
            return false;
        list->collections[list->public.count - 1].missing = true;
    }
    return true;
}

/* ---- the three kinds of PATH ---- */

static const char *name_or(struct listing *list, const char *as,
                           const char *otherwise, size_t size,
                           struct error *err) {
    return as ? clean_name(list, as, strlen(as), err)
              : clean_name(list, otherwise, size, err);
}

static bool list_one_file(struct listing *list, const char *path,
                          const char *relative, const char *name, bool lines,
                          const struct chunk_options *options,
                          struct error *err) {
    return name &&
           walk_add(&list->walk, path, relative, strlen(relative), lines,
                    err) &&
           one_collection(list, name, options, err);
}

static bool list_file(struct listing *list, const char *path,
                      const struct chunk_options *options, struct error *err) {
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    const char *name = name_or(list, options->as, base, stem_size(base), err);
    return list_one_file(list, path, base, name, walk_is_lines(base), options,
                         err);
}

/* The last part of the real path: "." and "x/" have names too. */
static const char *root_name(struct listing *list, const char *path,
                             const char *as, struct error *err) {
    char real[PATH_MAX];
    if (!as && !realpath(path, real)) {
        error_errno(err, "find the real path of %s", path);
        return NULL;
    }
    const char *base = as ? "" : strrchr(real, '/') + 1;
    if (!*base)
        base = "collection";
    return name_or(list, as, base, strlen(base), err);
}

static bool list_folder(struct listing *list, const char *path,
                        const struct chunk_options *options,
                        struct error *err) {
    if (!walk_folder(&list->walk, path, err))
        return false;
    if (list->walk.count == 0)
        return make_room(list, 0, options, err);
    if (!options->as && !root_has_file(&list->walk))
        return a_collection_a_folder(list, options, err);
    const char *name = root_name(list, path, options->as, err);
    return name && one_collection(list, name, options, err);
}

static bool list_path(struct listing *list, const char *path,
                      const struct chunk_options *options, struct error *err) {
    if (!strcmp(path, "-"))
        return list_one_file(list, "-", "-",
                             name_or(list, options->as, "chunks", 6, err), true,
                             options, err);
    struct stat status;
    if (stat(path, &status) != 0)
        return error_errno(err, "read the chunks in %s", path);
    if (S_ISDIR(status.st_mode))
        return list_folder(list, path, options, err);
    if (S_ISREG(status.st_mode))
        return list_file(list, path, options, err);
    return error_set(err, ERROR_INPUT,
                     "%s is neither a file nor a folder; chunks from a pipe "
                     "are read with - from standard input",
                     path);
}

struct chunk_listing *chunks_list(struct memory *memory, const char *path,
                                  const struct chunk_options *options,
                                  struct error *err) {
    struct listing *list = memory_zalloc(memory, 1, sizeof *list, err);
    if (!list)
        return NULL;
    list->memory = memory;
    list->arena = arena_make(memory);
    list->walk = walk_make(memory, &list->arena);
    bool fine = list_path(list, path, options, err);
    if (fine && list->public.count)
        qsort(list->collections, list->public.count, sizeof *list->collections,
              by_name);
    fine = fine && part_folders(list, err) &&
           select_collections(list, options, err);
    if (!fine) {
        chunks_free(&list->public);
        return NULL;
    }
    if (list->public.count)
        qsort(list->collections, list->public.count, sizeof *list->collections,
              by_name);
    return &list->public;
}

void chunks_free(struct chunk_listing *listing) {
    struct listing *list = (struct listing *)(void *)listing;
    if (!list)
        return;
    walk_free(&list->walk);
    arena_free(&list->arena);
    memory_free(list->memory, list);
}

bool chunks_set_path(struct chunk_listing *listing, size_t collection,
                     const char *path, struct error *err) {
    struct listing *list = (struct listing *)(void *)listing;
    if (collection >= list->public.count ||
        list->collections[collection].files_count != 1)
        return error_set(err, ERROR_USAGE,
                         "collection %zu does not consist of one file",
                         collection);
    char *copy = arena_copy(&list->arena, str_from(path), err);
    if (copy)
        list->walk.files[0].path = copy;
    return copy != NULL;
}
