#include "run/artefacts.h"

#include <dirent.h>
#include <float.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "data/fuse.h"
#include "data/json_scan.h"
#include "data/npy.h"
#include "data/points.h"
#include "run/pass.h"

enum { COMPLETE_VERSION = 1, COMPLETE_MAX_BYTES = 1 << 20, PROGRESS_MS = 200 };

/* One array on its way to disk, and what its rows are like. */
struct array {
    const char *name; /* "embeddings.npy" */
    struct npy_writer npy;
    bool open;
    float *row;
    size_t width;
    double norm_least, norm_most, norm_sum;
};

struct writing {
    struct artefacts *a;
    unsigned exports;
    const char *text_field;
    struct array *arrays; /* [count]: the members', the fused one last */
    size_t arrays_count;
    struct array *fused; /* NULL: none */
    uint64_t *rows;      /* [roster->count] of the point at hand */
    struct fuse_member *fuse;
    const float **fuse_rows;
    struct named_vector *vectors; /* for point_line */
    struct file_writer points, offsets, texts, metadata, digests;
    struct strbuf line;
    uint64_t rows_total;
};

/* ---- names -------------------------------------------------------------- */

static bool path_in(char path[PATH_MAX], const struct artefacts *a,
                    const char *name, struct error *err) {
    int size = snprintf(path, PATH_MAX, "%s/%s", a->folder, name);
    return (size > 0 && size < PATH_MAX) ||
           error_set(err, ERROR_USAGE, "path too long: %s/%s", a->folder, name);
}

static unsigned exports_of(const struct artefacts *a) {
    unsigned exports = a->session->options->exports;
    return exports ? exports : EXPORT_ALL;
}

/* A run with one model has only embeddings.npy. */
static bool alone(const struct artefacts *a) {
    return a->roster->count == 1;
}

static void array_name(const struct artefacts *a, const struct member *member,
                       char name[NAME_MAX + 1]) {
    if (alone(a))
        snprintf(name, NAME_MAX + 1, "embeddings.npy");
    else
        snprintf(name, NAME_MAX + 1, "%.200s.npy", member->key);
}

static bool note_file(struct artefacts *a, const char *name,
                      struct error *err) {
    char path[PATH_MAX];
    if (!path_in(path, a, name, err))
        return false;
    json_object_set_new(a->files, name, json_any_text(path));
    return true;
}

/* The files that this roster and these options give. */
static bool list_files(struct artefacts *a, struct error *err) {
    json_decref(a->files);
    a->files = json_object();
    unsigned exports = exports_of(a);
    bool fine = true;
    for (size_t i = 0; fine && i < a->roster->count; i++) {
        char name[NAME_MAX + 1];
        array_name(a, &a->roster->members[i], name);
        if ((exports & EXPORT_NPY) && (!a->stores || a->stores[i]))
            fine = note_file(a, name, err);
    }
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
    int size = snprintf(path, PATH_MAX, "%s/.ensembed/complete.json", folder);
    return (size > 0 && size < PATH_MAX) ||
           error_set(err, ERROR_USAGE, "path too long: %s", folder);
}

static void hex_of(const uint8_t digest[SHA256_BYTES], char hex[65]) {
    hash_hex(digest, SHA256_BYTES, hex);
}

/* Everything that the bytes of the files depend on, as one digest. */
static void made_from(const struct artefacts *a, char hex[65]) {
    const struct run_options *options = a->session->options;
    char intake[65];
    hex_of(a->intake->digest, intake);
    json_t *models = json_array();
    for (size_t i = 0; i < a->roster->count; i++) {
        const struct member *member = &a->roster->members[i];
        json_t *model = member_describe(member);
        json_object_set(model, "fingerprint", member->fingerprint);
        json_array_append_new(models, model);
    }
    json_t *all = json_pack(
        "{s:s, s:s, s:I, s:I, s:o, s:i, s:i, s:s, s:I, s:s}", "program",
        ENS_VERSION, "intake", intake, "found",
        (json_int_t)a->intake->counts.found, "blank",
        (json_int_t)a->intake->counts.blank, "models", models, "exports",
        (int)exports_of(a), "fuse", (int)options->fuse, "text_field",
        options->text_field ? options->text_field : "text", "fused_width",
        (json_int_t)a->roster->fused_width, "collection",
        a->intake->collection->name);
    char *text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
    uint8_t digest[SHA256_BYTES];
    hash_sha256(str_from(text ? text : ""), digest);
    hex_of(digest, hex);
    free(text);
    json_decref(all);
}

static json_t *read_complete(const char *folder) {
    char path[PATH_MAX];
    if (!complete_path(path, folder, NULL) || !file_exists(path))
        return NULL;
    return json_read_file(path, COMPLETE_MAX_BYTES, NULL);
}

/* Do the files that COMPLETE names have the sizes that it says? */
static bool files_stand(const char *folder, const json_t *complete) {
    const char *name;
    json_t *size, *files = json_object_get(complete, "files");
    if (!json_is_object(files))
        return false;
    json_object_foreach(files, name, size) {
        char path[PATH_MAX];
        uint64_t bytes;
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (!file_size(path, &bytes, NULL) ||
            bytes != (uint64_t)json_integer_value(size))
            return false;
    }
    return true;
}

bool artefacts_exist(const char *folder, struct memory *memory) {
    (void)memory;
    json_t *complete = read_complete(folder);
    bool exist = complete && files_stand(folder, complete);
    json_decref(complete);
    return exist;
}

bool artefacts_complete(struct artefacts *a) {
    json_t *complete = read_complete(a->folder);
    char want[65];
    made_from(a, want);
    const char *have =
        json_string_value(json_object_get(complete, "made_from"));
    bool same = have && !strcmp(have, want) &&
                files_stand(a->folder, complete) && list_files(a, NULL);
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

static bool write_complete(struct artefacts *a, struct error *err) {
    char path[PATH_MAX], hex[65], intake[65];
    made_from(a, hex);
    hex_of(a->intake->digest, intake);
    json_t *sizes = json_object();
    const char *name;
    json_t *value;
    bool fine = complete_path(path, a->folder, err);
    json_object_foreach(a->files, name, value) {
        char file[PATH_MAX];
        uint64_t bytes = 0;
        fine =
            fine && path_in(file, a, name, err) && file_size(file, &bytes, err);
        json_object_set_new(sizes, name, json_integer((json_int_t)bytes));
    }
    json_t *complete = json_pack(
        "{s:i, s:s, s:s, s:I, s:o, s:o}", "version", COMPLETE_VERSION,
        "made_from", hex, "intake", intake, "points", (json_int_t)a->points,
        "files", sizes, "model_folders", model_folders(a));
    char *text = json_dumps(complete, JSON_INDENT(1));
    json_decref(complete);
    fine = fine && text &&
           file_write(path, str_from(text), &a->session->memory, err);
    free(text);
    return fine;
}

/* ---- what an earlier roster left ---------------------------------------- */

/* Take the rows of a model that is not in this run back from an array that is
 * about to go. */
static bool keep_rows(struct artefacts *a, const char *key, struct error *err) {
    char folder[PATH_MAX], path[PATH_MAX];
    if (snprintf(folder, sizeof folder, "%s/.ensembed/%s/dense", a->folder,
                 key) >= PATH_MAX ||
        snprintf(path, sizeof path, "%s/store.json", folder) >= PATH_MAX ||
        !file_exists(path))
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

/* A file of the former set that the new one does not have. A model's array
 * stays while its rows still fit the chunks. */
static bool drop_stale(struct artefacts *a, const char *name, bool same_chunks,
                       struct error *err) {
    char path[PATH_MAX], key[NAME_MAX + 1];
    size_t length = strlen(name);
    bool array = length > 4 && length <= NAME_MAX &&
                 !strcmp(name + length - 4, ".npy") &&
                 strcmp(name, "embeddings.npy") != 0;
    if (array && same_chunks)
        return true;
    snprintf(key, sizeof key, "%.*s", (int)(array ? length - 4 : 0), name);
    struct error lost = {0};
    if (!path_in(path, a, name, err))
        return false;
    if (array && !keep_rows(a, key, &lost)) {
        if (lost.code == ERROR_FULL)
            return error_set(err, lost.code, "%s", lost.message);
        event_log(a->sink, LOG_WARNING,
                  "the rows of %s cannot be kept and will be computed again "
                  "when it is used again: %s",
                  key, lost.message);
    }
    if (file_exists(path))
        event_log(a->sink, LOG_WARNING,
                  "%s is not part of this run's output any more: removed",
                  path);
    return file_remove(path, err);
}

/* Is KEY's store open, in this run? */
static bool is_open(const struct artefacts *a, const char *key) {
    for (size_t i = 0; i < a->roster->count; i++)
        if (a->stores[i] && !strcmp(a->roster->members[i].key, key))
            return true;
    return false;
}

/* Do the rows of KEY's store stand in embeddings.npy alone? */
static bool is_in_embeddings(const struct artefacts *a, const char *key) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/.ensembed/%s/dense/store.json",
                 a->folder, key) >= PATH_MAX ||
        !file_exists(path))
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
static bool keep_others(struct artefacts *a, struct error *err) {
    char folder[PATH_MAX];
    if (!path_in(folder, a, ".ensembed", err))
        return false;
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, alphasort);
    bool fine = count >= 0 || error_errno(err, "read folder %s", folder);
    for (int i = 0; i < count; i++) {
        const char *key = entries[i]->d_name;
        if (fine && key[0] != '.' && !is_open(a, key) &&
            is_in_embeddings(a, key))
            fine = keep_rows(a, key, err);
        free(entries[i]);
    }
    free(entries);
    return fine;
}

static bool drop_stale_files(struct artefacts *a, struct error *err) {
    json_t *old = read_complete(a->folder);
    const char *intake = json_string_value(json_object_get(old, "intake"));
    char hex[65];
    hex_of(a->intake->digest, hex);
    bool same_chunks = intake && !strcmp(intake, hex), fine = true;
    const char *name;
    json_t *size;
    json_object_foreach(json_object_get(old, "files"), name, size) {
        bool plain = !strchr(name, '/');
        if (fine && plain && !json_object_get(a->files, name))
            fine = drop_stale(a, name, same_chunks, err);
    }
    json_decref(old);
    char path[PATH_MAX];
    return fine && complete_path(path, a->folder, err) &&
           file_remove(path, err);
}

/* ---- opening ------------------------------------------------------------ */

static bool open_array(struct writing *w, struct array *array, size_t own_width,
                       size_t width, const char *name, struct error *err) {
    struct memory *memory = &w->a->session->memory;
    array->width = width;
    array->norm_least = INFINITY;
    array->row = memory_alloc(memory, own_width, sizeof *array->row, err);
    if (!array->row)
        return false;
    if (!(w->exports & EXPORT_NPY))
        return true;
    char path[PATH_MAX];
    json_t *known = json_object_get(w->a->files, name);
    if (!known || !path_in(path, w->a, name, err))
        return false;
    array->name = json_object_iter_key(
        json_object_iter_at(w->a->files, name)); /* lives with files */
    array->open =
        npy_writer_open(&array->npy, path, w->rows_total, width, memory, err);
    return array->open;
}

static bool open_arrays(struct writing *w, struct error *err) {
    const struct roster *roster = w->a->roster;
    struct memory *memory = &w->a->session->memory;
    size_t count = roster->count;
    w->arrays_count = count + 1;
    w->arrays = memory_zalloc(memory, count + 1, sizeof *w->arrays, err);
    w->rows = memory_zalloc(memory, count, sizeof *w->rows, err);
    w->fuse = memory_zalloc(memory, count, sizeof *w->fuse, err);
    w->fuse_rows = memory_zalloc(memory, count, sizeof *w->fuse_rows, err);
    w->vectors = memory_zalloc(memory, count + 1, sizeof *w->vectors, err);
    if (!w->arrays || !w->rows || !w->fuse || !w->fuse_rows || !w->vectors)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct member *member = &roster->members[i];
        char name[NAME_MAX + 1];
        array_name(w->a, member, name);
        if (!w->a->stores[i])
            continue;
        if (!open_array(w, &w->arrays[i], member->spec.width, member->width,
                        name, err))
            return false;
        w->fuse[i] =
            (struct fuse_member){member->width, member->request->weight};
        w->fuse_rows[i] = w->arrays[i].row;
    }
    if (!roster->fused_width)
        return true;
    w->fused = &w->arrays[count];
    return open_array(w, w->fused, roster->fused_width, roster->fused_width,
                      "embeddings.npy", err);
}

static bool open_lines(struct writing *w, struct file_writer *file,
                       unsigned bit, const char *name, struct error *err) {
    char path[PATH_MAX];
    return !(w->exports & bit) ||
           (path_in(path, w->a, name, err) &&
            file_writer_open(file, path, &w->a->session->memory, err));
}

static bool open_writing(struct writing *w, struct error *err) {
    struct file_writer closed = {.memory = &w->a->session->memory, .fd = -1};
    w->points = w->offsets = w->texts = w->metadata = w->digests = closed;
    char path[PATH_MAX];
    return open_arrays(w, err) &&
           open_lines(w, &w->points, EXPORT_POINTS, "points.jsonl", err) &&
           open_lines(w, &w->offsets, EXPORT_POINTS, ".ensembed/points.offsets",
                      err) &&
           open_lines(w, &w->texts, EXPORT_TEXTS, "texts.jsonl", err) &&
           open_lines(w, &w->metadata, EXPORT_METADATA, "metadata.jsonl",
                      err) &&
           path_in(path, w->a, ".ensembed/points.digests", err) &&
           file_writer_open(&w->digests, path, &w->a->session->memory, err);
}

static void close_writing(struct writing *w) {
    struct memory *memory = &w->a->session->memory;
    for (size_t i = 0; w->arrays && i < w->arrays_count; i++) {
        if (w->arrays[i].open)
            npy_writer_close(&w->arrays[i].npy);
        memory_free(memory, w->arrays[i].row);
    }
    file_writer_close(&w->points);
    file_writer_close(&w->offsets);
    file_writer_close(&w->texts);
    file_writer_close(&w->metadata);
    file_writer_close(&w->digests);
    strbuf_free(&w->line);
    memory_free(memory, w->arrays);
    memory_free(memory, w->rows);
    memory_free(memory, w->fuse);
    memory_free(memory, w->fuse_rows);
    memory_free(memory, w->vectors);
}

/* ---- one point ---------------------------------------------------------- */

/* The rows of the text in every store; *WHOLE says whether all have it. */
static bool find_rows(struct artefacts *a, const uint8_t *digest,
                      uint64_t *rows, bool *whole, struct error *err) {
    *whole = true;
    for (size_t i = 0; *whole && i < a->roster->count; i++)
        if (a->stores[i] &&
            !store_find(a->stores[i], digest, whole, &rows[i], err))
            return false;
    return true;
}

static bool add_row(struct array *array, struct error *err) {
    double sum = 0;
    for (size_t i = 0; i < array->width; i++)
        sum += (double)array->row[i] * array->row[i];
    double norm = sqrt(sum);
    array->norm_least = fmin(array->norm_least, norm);
    array->norm_most = fmax(array->norm_most, norm);
    array->norm_sum += norm;
    return !array->open || npy_writer_add(&array->npy, array->row, 1, err);
}

static bool add_vectors(struct writing *w, size_t *count, struct error *err) {
    const struct roster *roster = w->a->roster;
    *count = 0;
    for (size_t i = 0; i < roster->count; i++) {
        struct array *array = &w->arrays[i];
        if (!w->a->stores[i])
            continue;
        if (!store_read(w->a->stores[i], w->rows[i], array->row, err))
            return false;
        member_cut(&roster->members[i], array->row);
        if (!add_row(array, err))
            return false;
        w->vectors[(*count)++] = (struct named_vector){
            roster->members[i].key, array->row, array->width};
    }
    if (!w->fused)
        return true;
    size_t dim =
        w->a->session->options->fuse == FUSE_MEAN ? roster->fused_width : 0;
    if (!fuse_vectors(w->fuse, roster->count, w->a->session->options->fuse, dim,
                      w->fuse_rows, w->fused->row))
        return error_set(err, ERROR_VECTOR,
                         "the models' vectors of a text cancel each other out; "
                         "use --fuse concat or other weights");
    w->vectors[(*count)++] =
        (struct named_vector){"fused", w->fused->row, w->fused->width};
    return add_row(w->fused, err);
}

static bool add_line(struct writing *w, struct file_writer *file,
                     struct error *err) {
    return strbuf_ok(&w->line, err) &&
           file_writer_add(file, w->line.data, w->line.size, err);
}

static bool add_lines(struct writing *w, const struct chunk *chunk,
                      size_t vectors, struct error *err) {
    bool fine = true;
    if (w->exports & EXPORT_POINTS) {
        strbuf_clear(&w->line);
        point_line(&w->line, chunk, w->a->intake->collection, w->text_field,
                   w->vectors, vectors);
        uint64_t offset = w->points.written;
        fine = file_writer_add(&w->offsets, &offset, sizeof offset, err) &&
               add_line(w, &w->points, err);
    }
    if (fine && (w->exports & EXPORT_TEXTS)) {
        strbuf_clear(&w->line);
        strbuf_add_json(&w->line, chunk->text);
        strbuf_add_char(&w->line, '\n');
        fine = add_line(w, &w->texts, err);
    }
    if (fine && (w->exports & EXPORT_METADATA)) {
        strbuf_clear(&w->line);
        json_compact(&w->line, chunk->metadata);
        strbuf_add_char(&w->line, '\n');
        fine = add_line(w, &w->metadata, err);
    }
    return fine;
}

static void list_left_out(struct artefacts *a, const struct chunk *chunk) {
    a->left_out++;
    if (json_array_size(a->left_out_chunks) < FAILED_LISTED)
        json_array_append_new(
            a->left_out_chunks,
            json_stringn(chunk->chunk_id.data, chunk->chunk_id.size));
    event_log(a->sink, LOG_ERROR,
              "%s: chunk %.*s has no sound vector and is in no output",
              a->intake->collection->name, STR_ARG(chunk->chunk_id));
}

static void tell_progress(const struct writing *w, uint64_t done) {
    struct progress progress = {
        .collection = w->a->intake->collection->name,
        .stage = "export",
        .done = done,
        .total = w->rows_total,
        .seconds_left = -1,
        .memory_live = memory_live(&w->a->session->memory),
        .memory_ceiling = w->a->session->memory.ceiling,
    };
    event_progress(w->a->sink, &progress);
}

static bool write_points(struct writing *w, struct error *err) {
    struct artefacts *a = w->a;
    struct chunk_reader *reader = chunk_reader_open(a->intake, err);
    uint8_t digest[SHA256_BYTES];
    uint64_t point;
    enum chunk_step step = reader ? CHUNK_OK : CHUNK_ERROR;
    bool lines = w->exports & (EXPORT_POINTS | EXPORT_TEXTS | EXPORT_METADATA);
    int64_t told_ms = clock_now_ms();
    while (step == CHUNK_OK) {
        step = chunk_reader_digest(reader, false, &point, digest, err);
        if (step != CHUNK_OK)
            break;
        struct chunk chunk;
        bool whole;
        size_t vectors;
        bool fine =
            find_rows(a, digest, w->rows, &whole, err) &&
            ((whole && !lines) || chunk_reader_decode(reader, &chunk, err));
        if (fine && !whole)
            list_left_out(a, &chunk);
        else if (fine)
            fine = add_vectors(w, &vectors, err) &&
                   file_writer_add(&w->digests, digest, sizeof digest, err) &&
                   (!lines || add_lines(w, &chunk, vectors, err));
        a->points += whole;
        if (fine && event_interrupted(a->sink))
            fine = error_set(err, ERROR_INTERRUPTED, "interrupted");
        if (clock_now_ms() - told_ms >= PROGRESS_MS) {
            tell_progress(w, a->points);
            told_ms = clock_now_ms();
        }
        if (!fine)
            step = CHUNK_ERROR;
    }
    chunk_reader_close(reader);
    return step == CHUNK_END;
}

/* How many points have a row in every store: the arrays' headers say it before
 * the first row. */
static bool count_rows(struct writing *w, struct error *err) {
    struct artefacts *a = w->a;
    w->rows_total = a->intake->counts.points;
    if (!a->failed_texts)
        return true;
    w->rows_total = 0;
    struct chunk_reader *reader = chunk_reader_open(a->intake, err);
    uint64_t *rows =
        memory_zalloc(&a->session->memory, a->roster->count, sizeof *rows, err);
    uint8_t digest[SHA256_BYTES];
    uint64_t point;
    enum chunk_step step = reader && rows ? CHUNK_OK : CHUNK_ERROR;
    while (step == CHUNK_OK) {
        step = chunk_reader_digest(reader, false, &point, digest, err);
        bool whole = false;
        if (step == CHUNK_OK && !find_rows(a, digest, rows, &whole, err))
            step = CHUNK_ERROR;
        w->rows_total += whole;
    }
    memory_free(&a->session->memory, rows);
    chunk_reader_close(reader);
    return step == CHUNK_END;
}

/* ---- the end ------------------------------------------------------------ */

static json_t *describe_array(const struct array *array, uint64_t rows) {
    return json_pack("{s:I, s:I, s:f, s:f, s:f}", "rows", (json_int_t)rows,
                     "width", (json_int_t)array->width, "norm_least",
                     rows ? array->norm_least : 0, "norm_most",
                     array->norm_most, "norm_mean",
                     rows ? array->norm_sum / (double)rows : 0);
}

/* No time and no machine in it: the same run gives the same bytes. */
static json_t *make_stats(const struct writing *w) {
    const struct artefacts *a = w->a;
    const struct intake_counts *counts = &a->intake->counts;
    json_t *models = json_array(), *vectors = json_object();
    for (size_t i = 0; i < a->roster->count; i++) {
        const struct member *member = &a->roster->members[i];
        json_array_append_new(models, member_describe(member));
        if (a->stores[i])
            json_object_set_new(vectors, member->key,
                                describe_array(&w->arrays[i], a->points));
    }
    if (w->fused)
        json_object_set_new(vectors, "fused",
                            describe_array(w->fused, a->points));
    json_t *files = json_array();
    const char *name;
    json_t *value;
    json_object_foreach(a->files, name, value)
        json_array_append_new(files, json_string(name));
    return json_pack(
        "{s:i, s:s, s:s, s:s, s:{s:I, s:I, s:I, s:I, s:I, s:I}, s:o, s:s?, "
        "s:o, s:{s:b, s:b, s:b}, s:s, s:o}",
        "schema_version", 1, "program", "ensembed " ENS_VERSION, "collection",
        a->intake->collection->name, "qdrant_collection",
        a->intake->collection->canonical, "chunks", "found",
        (json_int_t)counts->found, "points", (json_int_t)a->points,
        "unique_texts", (json_int_t)counts->unique, "duplicate",
        (json_int_t)counts->duplicate, "blank", (json_int_t)counts->blank,
        "left_out", (json_int_t)a->left_out, "models", models, "fuse",
        !w->fused                                ? NULL
        : a->session->options->fuse == FUSE_MEAN ? "mean"
                                                 : "concat",
        "vectors", vectors, "checks", "finite", 1, "norm", 1, "width", 1,
        "text_field", w->text_field, "files", files);
}

static bool write_stats(struct writing *w, struct error *err) {
    char path[PATH_MAX];
    json_t *stats = make_stats(w);
    char *text =
        stats ? json_dumps(stats, JSON_INDENT(1) | JSON_REAL_PRECISION(9))
              : NULL;
    json_decref(stats);
    bool fine = text && path_in(path, w->a, "stats.json", err) &&
                file_write(path, str_from(text), &w->a->session->memory, err);
    free(text);
    return fine;
}

static bool commit_files(struct writing *w, struct error *err) {
    for (size_t i = 0; i < w->arrays_count; i++)
        if (w->arrays[i].open && !npy_writer_commit(&w->arrays[i].npy, err))
            return false;
    return (!(w->exports & EXPORT_POINTS) ||
            (file_writer_commit(&w->offsets, err) &&
             file_writer_commit(&w->points, err))) &&
           (!(w->exports & EXPORT_TEXTS) ||
            file_writer_commit(&w->texts, err)) &&
           (!(w->exports & EXPORT_METADATA) ||
            file_writer_commit(&w->metadata, err)) &&
           file_writer_commit(&w->digests, err) && write_stats(w, err);
}

/* Stores whose rows now stand in an array need no second copy. Each takes over
 * a copy of the points' digests. */
static bool retire_stores(struct writing *w, struct error *err) {
    struct artefacts *a = w->a;
    char digests[PATH_MAX], copy[PATH_MAX], array[PATH_MAX];
    bool fine = path_in(digests, a, ".ensembed/points.digests", err);
    for (size_t i = 0; fine && i < a->roster->count; i++) {
        const struct member *member = &a->roster->members[i];
        if (!a->stores[i] || !w->arrays[i].open ||
            member->width != member->spec.width)
            continue;
        int size =
            snprintf(copy, sizeof copy, "%s/.ensembed/%s/dense/points.digests",
                     a->folder, member->key);
        fine = size < PATH_MAX && path_in(array, a, w->arrays[i].name, err) &&
               file_copy(digests, copy, &a->session->memory, err) &&
               store_retire(a->stores[i], array, copy, err);
    }
    return fine && file_remove(digests, err);
}

static bool take_rows_back(struct artefacts *a, struct error *err) {
    for (size_t i = 0; i < a->roster->count; i++)
        if (a->stores[i] && !store_materialise(a->stores[i], err))
            return false;
    return true;
}

bool artefacts_write(struct artefacts *a, struct error *err) {
    struct writing w = {.a = a,
                        .exports = exports_of(a),
                        .text_field = a->session->options->text_field
                                          ? a->session->options->text_field
                                          : "text",
                        .line = strbuf_make(&a->session->memory)};
    a->points = a->left_out = 0;
    json_decref(a->left_out_chunks);
    a->left_out_chunks = json_array();
    bool fine = list_files(a, err) && take_rows_back(a, err) &&
                keep_others(a, err) && drop_stale_files(a, err) &&
                count_rows(&w, err) && open_writing(&w, err) &&
                write_points(&w, err) && commit_files(&w, err) &&
                retire_stores(&w, err) &&
                (a->left_out || write_complete(a, err));
    if (fine)
        tell_progress(&w, a->points);
    close_writing(&w);
    if (!fine) { /* whatever was written is not a set */
        json_decref(a->files);
        a->files = NULL;
        a->points = 0;
    }
    return fine;
}

void artefacts_free(struct artefacts *artefacts) {
    json_decref(artefacts->files);
    json_decref(artefacts->left_out_chunks);
    artefacts->files = artefacts->left_out_chunks = NULL;
}

uint64_t artefacts_bytes(const struct roster *roster, uint64_t points,
                         uint64_t text_bytes, unsigned exports) {
    enum { FLOAT_TEXT_BYTES = 12, LINE_BYTES = 2048 };
    uint64_t floats = roster->fused_width;
    for (size_t i = 0; i < roster->count; i++)
        if (roster->members[i].error.code == ERROR_NONE)
            floats += roster->members[i].width;
    uint64_t bytes = 0;
    if (exports & EXPORT_NPY)
        bytes += points * floats * sizeof(float);
    if (exports & EXPORT_POINTS)
        bytes += points * (floats * FLOAT_TEXT_BYTES + LINE_BYTES) + text_bytes;
    if (exports & EXPORT_TEXTS)
        bytes += text_bytes + text_bytes / 8;
    if (exports & EXPORT_METADATA)
        bytes += points * LINE_BYTES;
    return bytes;
}
