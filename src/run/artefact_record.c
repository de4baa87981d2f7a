#include "run/artefact_record.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "run/artefact_set.h"

enum { RECORD_VERSION = 1, RECORD_MAX_BYTES = 1 << 20 };

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

json_t *artefact_record_read(const char *folder) {
    char path[PATH_MAX];
    if (!complete_path(path, folder, NULL) || !file_may_exist(path))
        return NULL;
    return json_read_file(path, RECORD_MAX_BYTES, NULL);
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
    json_t *complete = artefact_record_read(folder);
    bool exist = says_whole(complete) && are_as_written(folder, complete);
    json_decref(complete);
    return exist;
}

bool artefacts_made_otherwise(const struct artefacts *a) {
    json_t *complete = artefact_record_read(a->folder);
    char want[65];
    made_with(a, want);
    const char *have =
        json_string_value(json_object_get(complete, "made_with"));
    bool otherwise = have && strcmp(have, want) != 0;
    json_decref(complete);
    return otherwise;
}

bool artefacts_better_stay(const struct artefacts *a) {
    json_t *complete = is_whole(a) ? NULL : artefact_record_read(a->folder);
    bool better = says_whole(complete) && are_as_written(a->folder, complete);
    json_decref(complete);
    return better;
}

bool artefacts_complete(struct artefacts *a) {
    json_t *complete = artefact_record_read(a->folder);
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
        json_pack("{s:i, s:s, s:I, s:O, s:o}", "version", RECORD_VERSION,
                  "intake", intake, "points", (json_int_t)a->points, "kept",
                  a->kept, "model_folders", model_folders(a));
    json_object_update_new(record, fields);
    bool fine = complete_path(path, a->folder, err) &&
                json_write_file(path, record, 0, &a->session->memory, err);
    json_decref(record);
    return fine;
}

bool artefact_record_begin(const struct artefacts *a, struct error *err) {
    json_t *files = json_object(), *path;
    const char *name;
    json_object_foreach(a->files, name, path) {
        json_object_set_new(files, name, json_null());
    }
    return write_record(
        a, json_pack("{s:b, s:o}", "whole", false, "files", files), err);
}

bool artefact_record_complete(const struct artefacts *a, struct error *err) {
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

bool artefact_record_same_rows(const struct artefacts *a,
                               const json_t *record) {
    const char *intake = json_string_value(json_object_get(record, "intake"));
    uint64_t all = a->intake->counts.points;
    char hex[65];
    hex_of(a->intake->digest, hex);
    return intake && !strcmp(intake, hex) && a->points == all &&
           (uint64_t)json_integer_value(json_object_get(record, "points")) ==
               all;
}
