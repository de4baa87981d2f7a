#include "run/artefact_set.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "run/artefact_ragged.h"

enum { COMPLETE_VERSION = 1, COMPLETE_MAX_BYTES = 1 << 20 };

/* ---- names -------------------------------------------------------------- */

bool artefact_path(char path[PATH_MAX], const struct artefacts *a,
                   const char *name, struct error *err) {
    return path_join(path, a->folder, name, err);
}

unsigned artefact_exports(const struct artefacts *a) {
    unsigned exports = a->session->options->exports;
    return exports ? exports : EXPORT_ALL;
}

/* A run with one dense model has only embeddings.npy. */
static bool alone(const struct artefacts *a) {
    return a->roster->dense == 1;
}

void artefact_array_name(const struct artefacts *a, const struct member *member,
                         char name[NAME_MAX + 1]) {
    if (alone(a))
        snprintf(name, NAME_MAX + 1, "embeddings.npy");
    else
        snprintf(name, NAME_MAX + 1, "%.200s.npy", member->key);
}

static bool note_file(struct artefacts *a, const char *name,
                      struct error *err) {
    char path[PATH_MAX];
    if (!artefact_path(path, a, name, err))
        return false;
    json_object_set_new(a->files, name, json_any_text(path));
    return true;
}

static bool is_wanted(const struct artefacts *a, size_t member,
                      enum row_kind head) {
    return a->stores ? a->stores[member].of[head] != NULL
                     : member_has(&a->roster->members[member], head);
}

static bool note_arrays(struct artefacts *a, size_t member, struct error *err) {
    const struct member *of = &a->roster->members[member];
    char dense[NAME_MAX + 1], names[RAGGED_FILES_MAX][NAME_MAX + 1];
    artefact_array_name(a, of, dense);
    if (is_wanted(a, member, ROW_DENSE) && !note_file(a, dense, err))
        return false;
    for (enum row_kind h = ROW_SPARSE; h < ROW_KINDS; h++) {
        size_t count =
            is_wanted(a, member, h) ? ragged_file_names(of->key, h, names) : 0;
        for (size_t n = 0; n < count; n++)
            if (!note_file(a, names[n], err))
                return false;
    }
    return true;
}

/* The files that this roster and these options give. */
bool artefact_set_list(struct artefacts *a, struct error *err) {
    json_decref(a->files);
    a->files = json_object();
    unsigned exports = artefact_exports(a);
    bool fine = true;
    for (size_t i = 0; fine && i < a->roster->count; i++)
        if (exports & EXPORT_NPY)
            fine = note_arrays(a, i, err);
    if (fine && (exports & EXPORT_NPY) && (exports & EXPORT_TERMS))
        fine = note_file(a, TERMS_KEY ".sparse.npz", err);
    if (fine && (exports & EXPORT_NPY) && a->roster->fused_width)
        fine = note_file(a, "embeddings.npy", err);
    if (fine && (exports & EXPORT_POINTS))
        fine = note_file(a, "points.jsonl", err);
    if (fine && (exports & EXPORT_TEXTS))
        fine = note_file(a, "texts.jsonl", err);
    if (fine && (exports & EXPORT_METADATA))
        fine = note_file(a, "metadata.jsonl", err);
    return fine && note_file(a, "stats.json", err);
}

/* ---- complete.json ------------------------------------------------------ */

static bool complete_path(char path[PATH_MAX], const char *folder,
                          struct error *err) {
    return path_join(path, folder, ".ensembed/complete.json", err);
}

static void hex_of(const uint8_t digest[SHA256_BYTES], char hex[65]) {
    hash_hex(digest, SHA256_BYTES, hex);
}

static void digest_json(const json_t *json, char hex[65]) {
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    uint8_t digest[SHA256_BYTES];
    hash_sha256(str_from(text ? text : ""), digest);
    hex_of(digest, hex);
    free(text);
}

/* What is known of the files before a chunk is read: models and options. */
static json_t *describe_making(const struct artefacts *a) {
    const struct run_options *options = a->session->options;
    json_t *models = json_array();
    for (size_t i = 0; i < a->roster->count; i++) {
        const struct member *member = &a->roster->members[i];
        json_t *model = member_describe(member);
        json_object_del(model, "cache");
        for (enum row_kind h = 0; h < ROW_KINDS; h++)
            if (member->fingerprints[h])
                json_object_set(model, row_kind_name(h),
                                member->fingerprints[h]);
        json_array_append_new(models, model);
    }
    return json_pack("{s:o, s:i, s:i, s:s, s:I}", "models", models, "exports",
                     (int)artefact_exports(a), "fuse", (int)options->fuse,
                     "text_field",
                     options->text_field ? options->text_field : "text",
                     "fused_width", (json_int_t)a->roster->fused_width);
}

/* The same, however the models are spelled; what made them is in their
 * fingerprints. */
static void made_with(const struct artefacts *a, char hex[65]) {
    json_t *making = describe_making(a), *model;
    size_t i;
    json_array_foreach(json_object_get(making, "models"), i, model) {
        json_object_del(model, "reference");
        if (!a->roster->fused_width)
            json_object_del(model, "weight");
    }
    digest_json(making, hex);
    json_decref(making);
}

/* Everything that the bytes of the files depend on, as one digest. */
static void made_from(const struct artefacts *a, char hex[65]) {
    char intake[65];
    hex_of(a->intake->digest, intake);
    json_t *all =
        json_pack("{s:s, s:s, s:I, s:I, s:s}", "program", ENS_VERSION, "intake",
                  intake, "found", (json_int_t)a->intake->counts.found, "blank",
                  (json_int_t)a->intake->counts.blank, "collection",
                  a->intake->collection->name);
    json_object_update_new(all, describe_making(a));
    digest_json(all, hex);
    json_decref(all);
}

/* Every model's vectors of every point, of all that was asked for? */
static bool is_whole(const struct artefacts *a) {
    for (size_t i = 0; i < a->roster->count; i++) {
        const struct member *member = &a->roster->members[i];
        if (member->error.code)
            return false;
        for (enum row_kind h = 0; h < ROW_KINDS; h++)
            if (member_has(member, h) && !a->stores[i].of[h])
                return false;
    }
    return a->left_out == 0;
}

static json_t *read_complete(const char *folder) {
    char path[PATH_MAX];
    if (!complete_path(path, folder, NULL) || !file_may_exist(path))
        return NULL;
    return json_read_file(path, COMPLETE_MAX_BYTES, NULL);
}

static bool has_time(const char *path, const json_t *when) {
    int64_t ns;
    return file_modified(path, &ns, NULL) && ns == json_integer_value(when);
}

/* Do the files that COMPLETE names have the sizes that it says? Into *TOUCHED
 * how many have not the times that it says, into *COUNT how many there are. */
static bool files_stand(const char *folder, const json_t *complete,
                        size_t *touched, size_t *count) {
    const char *name;
    json_t *size, *files = json_object_get(complete, "files");
    const json_t *times = json_object_get(complete, "modified_ns");
    *touched = *count = 0;
    if (!json_is_object(files))
        return false;
    json_object_foreach(files, name, size) {
        char path[PATH_MAX];
        uint64_t bytes;
        if (!path_join(path, folder, name, NULL) ||
            !file_size(path, &bytes, NULL) ||
            bytes != (uint64_t)json_integer_value(size))
            return false;
        *touched += !has_time(path, json_object_get(times, name));
        ++*count;
    }
    return true;
}

/* A set that lacks a model or rows is recorded, so that the next one knows its
 * files; but the same command has something to do there. */
static bool says_whole(const json_t *complete) {
    return json_is_true(json_object_get(complete, "whole"));
}

/* Nobody wrote to them since. A copy of the folder has other times too, and has
 * its files made again from the rows, whose checksums are known. */
static bool are_untouched(const char *folder, const json_t *complete) {
    size_t touched, count;
    return files_stand(folder, complete, &touched, &count) && !touched;
}

/* A copy of the folder may have other times, but then all files have: where
 * some have, somebody wrote to these. */
static bool are_as_written(const char *folder, const json_t *complete) {
    size_t touched, count;
    return files_stand(folder, complete, &touched, &count) &&
           (!touched || touched == count);
}

bool artefacts_exist(const char *folder) {
    json_t *complete = read_complete(folder);
    bool exist = says_whole(complete) && are_as_written(folder, complete);
    json_decref(complete);
    return exist;
}

bool artefacts_made_otherwise(const struct artefacts *a) {
    json_t *complete = read_complete(a->folder);
    char want[65];
    made_with(a, want);
    const char *have =
        json_string_value(json_object_get(complete, "made_with"));
    bool otherwise = have && strcmp(have, want) != 0;
    json_decref(complete);
    return otherwise;
}

bool artefacts_better_stay(const struct artefacts *a) {
    json_t *complete = is_whole(a) ? NULL : read_complete(a->folder);
    bool better = says_whole(complete) && are_as_written(a->folder, complete);
    json_decref(complete);
    return better;
}

bool artefacts_complete(struct artefacts *a) {
    json_t *complete = read_complete(a->folder);
    char want[65];
    made_from(a, want);
    const char *have =
        json_string_value(json_object_get(complete, "made_from"));
    bool same = says_whole(complete) && have && !strcmp(have, want) &&
                are_untouched(a->folder, complete) &&
                artefact_set_list(a, NULL);
    if (same)
        a->points =
            (uint64_t)json_integer_value(json_object_get(complete, "points"));
    json_decref(complete);
    return same;
}

/* Where models that were named by a folder lie, for search. */
static json_t *model_folders(const struct artefacts *a) {
    json_t *folders = json_object();
    for (size_t i = 0; i < a->roster->count; i++) {
        const struct member *member = &a->roster->members[i];
        if (member->files && !member->files->id)
            json_object_set_new(folders, member->key,
                                json_any_text(member->files->folder));
    }
    return folders;
}

/* What every complete.json has, and FIELDS besides, which are taken over. */
static bool write_record(const struct artefacts *a, json_t *fields,
                         struct error *err) {
    char path[PATH_MAX], intake[65];
    hex_of(a->intake->digest, intake);
    json_t *record =
        json_pack("{s:i, s:s, s:I, s:O, s:o}", "version", COMPLETE_VERSION,
                  "intake", intake, "points", (json_int_t)a->points, "kept",
                  a->kept, "model_folders", model_folders(a));
    json_object_update_new(record, fields);
    bool fine = complete_path(path, a->folder, err) &&
                json_write_file(path, record, 0, &a->session->memory, err);
    json_decref(record);
    return fine;
}

/* Of which a file may be there, or an older one in its place, whatever becomes
 * of this run: the next one knows whose they are. */
static bool note_begun(const struct artefacts *a, struct error *err) {
    json_t *files = json_object(), *path;
    const char *name;
    json_object_foreach(a->files, name, path) {
        json_object_set_new(files, name, json_null());
    }
    return write_record(
        a, json_pack("{s:b, s:o}", "whole", false, "files", files), err);
}

bool artefact_set_complete(struct artefacts *a, struct error *err) {
    char from[65], with[65];
    made_from(a, from);
    made_with(a, with);
    json_t *sizes = json_object(), *times = json_object();
    json_t *fields = json_pack("{s:s, s:s, s:b, s:o, s:o}", "made_from", from,
                               "made_with", with, "whole", is_whole(a), "files",
                               sizes, "modified_ns", times);
    const char *name;
    json_t *value;
    json_object_foreach(a->files, name, value) {
        char file[PATH_MAX];
        uint64_t bytes = 0;
        int64_t ns = 0;
        if (!artefact_path(file, a, name, err) ||
            !file_size(file, &bytes, err) || !file_modified(file, &ns, err)) {
            json_decref(fields);
            return false;
        }
        json_object_set_new(sizes, name, json_integer((json_int_t)bytes));
        json_object_set_new(times, name, json_integer(ns));
    }
    return write_record(a, fields, err);
}

/* ---- what an earlier roster left ---------------------------------------- */

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
    json_t *old = json_read_file(path, COMPLETE_MAX_BYTES, err);
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
    json_t *record = json_read_file(path, COMPLETE_MAX_BYTES, NULL);
    const char *array = json_string_value(
        json_object_get(json_object_get(record, "array"), "path"));
    const char *slash = array ? strrchr(array, '/') : NULL;
    bool is = slash && !strcmp(slash + 1, "embeddings.npy");
    json_decref(record);
    return is;
}

/* embeddings.npy is about to go or to be another model's: rows of a model that
 * is not in this run, or failed in it, are taken back. */
bool artefact_set_keep_others(struct artefacts *a, struct error *err) {
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

/* Has OLD a row for every point, of the same chunks as here? */
static bool has_same_rows(const struct artefacts *a, const json_t *old) {
    const char *intake = json_string_value(json_object_get(old, "intake"));
    uint64_t all = a->intake->counts.points;
    char hex[65];
    hex_of(a->intake->digest, hex);
    return intake && !strcmp(intake, hex) && a->points == all &&
           (uint64_t)json_integer_value(json_object_get(old, "points")) == all;
}

static bool drop_other(struct artefacts *a, const char *name, bool same_rows,
                       struct error *err) {
    bool other = !strchr(name, '/') && !json_object_get(a->files, name);
    return !other || drop_stale(a, name, same_rows, err);
}

bool artefact_set_begin(struct artefacts *a, struct error *err) {
    json_t *old = read_complete(a->folder);
    json_decref(a->kept);
    a->kept = json_array();
    bool same_rows = has_same_rows(a, old), fine = true;
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
    return fine && note_begun(a, err);
}
