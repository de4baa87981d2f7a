#include "run/artefact_former.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "run/artefact_record.h"
#include "run/artefact_set.h"

enum { STORE_MAX_BYTES = 1 << 20 }; /* of a store.json */

/* The store of KEY's dense rows, and its store.json. False: there is none. */
static bool find_store(const struct artefacts *a, const char *key,
                       char folder[PATH_MAX], char record[PATH_MAX]) {
    return snprintf(folder, PATH_MAX, "%s/.ensembed/%s/dense", a->folder, key) <
               PATH_MAX &&
           path_join(record, folder, "store.json", NULL) && file_exists(record);
}

static bool take_back(struct artefacts *a, const char *key, struct error *err) {
    char folder[PATH_MAX], path[PATH_MAX];
    if (!find_store(a, key, folder, path))
        return true;
    json_t *old = json_read_file(path, STORE_MAX_BYTES, err);
    size_t width = 0;
    if (!old || !json_member_size(old, "width", path, &width, err)) {
        json_decref(old);
        return false;
    }
    struct store_request request = {.folder = folder,
                                    .fingerprint =
                                        json_object_get(old, "fingerprint"),
                                    .isa = "",
                                    .width = width,
                                    .sink = a->sink};
    struct store *store = store_open(&a->session->memory, &request, err);
    bool fine = store && store_materialise(store, err);
    store_close(store);
    json_decref(old);
    return fine;
}

/* Is KEY's store open, in this run? */
static bool is_open(const struct artefacts *a, const char *key) {
    for (size_t i = 0; i < a->roster->count; i++)
        if (a->stores[i].of[ROW_DENSE] &&
            !strcmp(a->roster->members[i].key, key))
            return true;
    return false;
}

/* Take the rows of a model that is not in this run back from an array that is
 * about to go (artefacts.c has taken back those of the others). Only a full
 * disk ends the run: they can be computed again. */
static bool keep_rows(struct artefacts *a, const char *key, struct error *err) {
    struct error lost = {0};
    if (is_open(a, key) || take_back(a, key, &lost))
        return true;
    if (lost.code == ERROR_FULL)
        return error_set(err, lost.code, "%s", lost.message);
    event_log(a->sink, LOG_WARNING,
              "the rows of %s cannot be kept and will be computed again when "
              "it is used again: %s",
              key, lost.message);
    return true;
}

/* Is NAME a model's array KEY.npy? Multivectors' files end so as well, but
 * there is no store of dense rows under such a KEY. */
static bool is_model_array(const struct artefacts *a, const char *name,
                           char key[NAME_MAX + 1]) {
    char folder[PATH_MAX], record[PATH_MAX];
    size_t length = strlen(name);
    if (length <= 4 || length > NAME_MAX ||
        strcmp(name + length - 4, ".npy") != 0 ||
        !strcmp(name, "embeddings.npy"))
        return false;
    snprintf(key, NAME_MAX + 1, "%.*s", (int)(length - 4), name);
    return find_store(a, key, folder, record);
}

static bool note_kept(struct artefacts *a, const char *name,
                      struct error *err) {
    return json_array_append_new(a->kept, json_string(name)) == 0 ||
           error_set(err, ERROR_MEMORY, "a list of files cannot grow");
}

/* A file of the former set that the new one does not have. A model's array
 * stays while its rows are those of the new files too; rows of other kinds are
 * in their stores, whatever becomes of the files. */
static bool drop_stale(struct artefacts *a, const char *name, bool same_rows,
                       struct error *err) {
    char path[PATH_MAX], key[NAME_MAX + 1];
    bool array = is_model_array(a, name, key);
    if (array && same_rows)
        return note_kept(a, name, err);
    if (!artefact_path(path, a, name, err) ||
        (array && !keep_rows(a, key, err)))
        return false;
    if (file_exists(path))
        event_log(a->sink, LOG_WARNING,
                  "%s is not part of this run's output any more: removed",
                  path);
    return file_remove(path, err);
}

/* Do the rows of KEY's store stand in embeddings.npy alone? */
static bool is_in_embeddings(const struct artefacts *a, const char *key) {
    char folder[PATH_MAX], path[PATH_MAX];
    if (!find_store(a, key, folder, path))
        return false;
    json_t *record = json_read_file(path, STORE_MAX_BYTES, NULL);
    const char *array = json_string_value(
        json_object_get(json_object_get(record, "array"), "path"));
    const char *slash = array ? strrchr(array, '/') : NULL;
    bool is = slash && !strcmp(slash + 1, "embeddings.npy");
    json_decref(record);
    return is;
}

/* embeddings.npy is about to go or to be another model's: rows of a model that
 * is not in this run, or failed in it, are taken back. */
bool artefact_former_keep(struct artefacts *a, struct error *err) {
    char folder[PATH_MAX];
    if (!artefact_path(folder, a, ".ensembed", err))
        return false;
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, alphasort);
    bool fine = count >= 0 || error_errno(err, "read folder %s", folder);
    for (int i = 0; i < count; i++) {
        const char *key = entries[i]->d_name;
        if (fine && key[0] != '.' && is_in_embeddings(a, key))
            fine = keep_rows(a, key, err);
        free(entries[i]);
    }
    free(entries);
    return fine;
}

static bool drop_other(struct artefacts *a, const char *name, bool same_rows,
                       struct error *err) {
    bool other = !strchr(name, '/') && !json_object_get(a->files, name);
    return !other || drop_stale(a, name, same_rows, err);
}

bool artefact_former_drop(struct artefacts *a, struct error *err) {
    json_t *old = artefact_record_read(a->folder);
    json_decref(a->kept);
    a->kept = json_array();
    bool same_rows = artefact_record_same_rows(a, old), fine = true;
    const char *name;
    json_t *size, *kept;
    size_t i;
    json_object_foreach(json_object_get(old, "files"), name, size) {
        bool written = json_is_integer(size); /* and not only begun */
        fine = fine && drop_other(a, name, same_rows && written, err);
    }
    json_array_foreach(json_object_get(old, "kept"), i, kept) {
        name = json_string_value(kept);
        fine = fine && (!name || drop_other(a, name, same_rows, err));
    }
    json_decref(old);
    return fine;
}
