#include "run/artefacts.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "data/fuse.h"
#include "data/npy.h"
#include "run/artefact_former.h"
#include "run/artefact_lines.h"
#include "run/artefact_ragged.h"
#include "run/artefact_record.h"
#include "run/artefact_set.h"
#include "run/pass.h"

enum { PROGRESS_MS = 200, LEFT_OUT_LOGGED = 20 };

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
    struct array *fused;    /* NULL: none */
    struct head_rows *rows; /* [roster->count] of the point at hand */
    struct fuse_member *fuse;
    const float **fuse_rows;
    struct named_vector *vectors; /* for point_line */
    struct ragged_set ragged;
    struct lines lines;
    struct file_writer digests;
    uint64_t rows_total;
};

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
    if (!known || !artefact_path(path, w->a, name, err))
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
    w->vectors =
        memory_zalloc(memory, count * ROW_KINDS + 2, sizeof *w->vectors, err);
    if (!w->arrays || !w->rows || !w->fuse || !w->fuse_rows || !w->vectors)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct member *member = &roster->members[i];
        char name[NAME_MAX + 1];
        artefact_array_name(w->a, member, name);
        if (!w->a->stores[i].of[ROW_DENSE])
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

/* Points with ragged vectors have their lines made at once, of what the stores
 * lend. */
static bool open_lines(struct writing *w, struct error *err) {
    size_t vectors = 0, floats = 0;
    for (size_t i = 0; !w->ragged.count && i < w->arrays_count; i++) {
        vectors += w->arrays[i].row != NULL;
        floats += w->arrays[i].width;
    }
    return lines_open(&w->lines, w->a, w->exports, w->text_field, vectors,
                      floats, err);
}

static bool open_writing(struct writing *w, struct error *err) {
    char path[PATH_MAX];
    return open_arrays(w, err) &&
           ragged_open(&w->ragged, w->a, w->exports, err) &&
           open_lines(w, err) &&
           artefact_path(path, w->a, ".ensembed/points.digests", err) &&
           file_writer_open(&w->digests, path, &w->a->session->memory, err);
}

static void close_writing(struct writing *w) {
    struct memory *memory = &w->a->session->memory;
    for (size_t i = 0; w->arrays && i < w->arrays_count; i++) {
        if (w->arrays[i].open)
            npy_writer_close(&w->arrays[i].npy);
        memory_free(memory, w->arrays[i].row);
    }
    ragged_close(&w->ragged);
    lines_close(&w->lines);
    file_writer_close(&w->digests);
    memory_free(memory, w->arrays);
    memory_free(memory, w->rows);
    memory_free(memory, w->fuse);
    memory_free(memory, w->fuse_rows);
    memory_free(memory, w->vectors);
}

/* ---- one point ---------------------------------------------------------- */

/* The rows of the text in every store; *WHOLE says whether all have it. */
static bool find_rows(struct artefacts *a, const uint8_t *digest,
                      struct head_rows *rows, bool *whole, struct error *err) {
    *whole = true;
    for (size_t i = 0; i < a->roster->count; i++)
        for (int h = 0; *whole && h < ROW_KINDS; h++)
            if (a->stores[i].of[h] && !store_find(a->stores[i].of[h], digest,
                                                  whole, &rows[i].of[h], err))
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

static bool add_fused(struct writing *w, size_t *count, struct error *err) {
    const struct roster *roster = w->a->roster;
    enum fuse_method method = w->a->session->options->fuse;
    size_t dim = method == FUSE_MEAN ? roster->fused_width : 0;
    if (!fuse_vectors(w->fuse, roster->dense, method, dim, w->fuse_rows,
                      w->fused->row))
        return error_set(err, ERROR_VECTOR,
                         "the models' vectors of a text cancel each other out; "
                         "use --fuse concat or other weights");
    w->vectors[(*count)++] = (struct named_vector){
        .name = "fused", .values = w->fused->row, .width = w->fused->width};
    return add_row(w->fused, err);
}

static bool add_vectors(struct writing *w, const struct chunk *chunk,
                        size_t *count, struct error *err) {
    const struct roster *roster = w->a->roster;
    *count = 0;
    for (size_t i = 0; i < roster->count; i++) {
        struct array *array = &w->arrays[i];
        if (!w->a->stores[i].of[ROW_DENSE])
            continue;
        if (!store_read(w->a->stores[i].of[ROW_DENSE], w->rows[i].of[ROW_DENSE],
                        array->row, err))
            return false;
        member_cut(&roster->members[i], array->row);
        if (!add_row(array, err))
            return false;
        w->vectors[(*count)++] =
            (struct named_vector){.name = roster->members[i].key,
                                  .values = array->row,
                                  .width = array->width};
    }
    if (w->fused && !add_fused(w, count, err))
        return false;
    struct named_vector *ragged = w->vectors + *count;
    *count += w->ragged.count;
    return ragged_add(&w->ragged, w->rows, chunk, ragged, err);
}

static void list_left_out(struct artefacts *a, const struct chunk *chunk) {
    a->left_out++;
    if (json_array_size(a->left_out_chunks) < FAILED_LISTED)
        json_array_append_new(
            a->left_out_chunks,
            json_stringn(chunk->chunk_id.data, chunk->chunk_id.size));
    if (a->left_out <= LEFT_OUT_LOGGED)
        event_log(a->sink, LOG_ERROR,
                  "%s: chunk %.*s has no sound vector and is in no output",
                  a->intake->collection->name, STR_ARG(chunk->chunk_id));
}

static void count_left_out(const struct artefacts *a) {
    if (a->left_out > LEFT_OUT_LOGGED)
        event_log(a->sink, LOG_ERROR,
                  "%s: and %" PRIu64 " more chunks without a sound vector",
                  a->intake->collection->name, a->left_out - LEFT_OUT_LOGGED);
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

/* The point that READER gave last, whose rows are W->rows. */
static bool add_point(struct writing *w, struct chunk_reader *reader,
                      uint64_t point, const uint8_t digest[SHA256_BYTES],
                      bool waits, struct error *err) {
    bool lines = w->exports & (EXPORT_POINTS | EXPORT_TEXTS | EXPORT_METADATA |
                               EXPORT_TERMS);
    struct chunk chunk;
    size_t vectors;
    if ((lines && !waits && !chunk_reader_decode(reader, &chunk, err)) ||
        !add_vectors(w, &chunk, &vectors, err) ||
        !file_writer_add(&w->digests, digest, SHA256_BYTES, err))
        return false;
    return !lines ||
           (waits
                ? lines_add(&w->lines, point, chunk_reader_size(reader),
                            w->vectors, vectors, err)
                : lines_add_chunk(&w->lines, &chunk, w->vectors, vectors, err));
}

static bool leave_out(struct artefacts *a, struct chunk_reader *reader,
                      struct error *err) {
    struct chunk chunk;
    if (!chunk_reader_decode(reader, &chunk, err))
        return false;
    list_left_out(a, &chunk);
    return true;
}

static bool write_points(struct writing *w, struct error *err) {
    struct artefacts *a = w->a;
    struct chunk_reader *reader = chunk_reader_open(a->intake, err);
    uint8_t digest[SHA256_BYTES];
    uint64_t point;
    enum chunk_step step = reader ? CHUNK_OK : CHUNK_ERROR;
    int64_t told_ms = clock_now_ms();
    while (step == CHUNK_OK) {
        step = chunk_reader_digest(reader, false, &point, digest, err);
        if (step != CHUNK_OK)
            break;
        bool whole, waits;
        bool fine =
            find_rows(a, digest, w->rows, &whole, err) &&
            lines_may_wait(&w->lines, chunk_reader_size(reader), &waits, err) &&
            (whole ? add_point(w, reader, point, digest, waits, err)
                   : leave_out(a, reader, err));
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
    return step == CHUNK_END && lines_flush(&w->lines, err);
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
    struct head_rows *rows =
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
        if (step == CHUNK_OK && event_interrupted(a->sink)) {
            error_set(err, ERROR_INTERRUPTED, "interrupted");
            step = CHUNK_ERROR;
        }
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
        json_t *model = member_describe(member);
        json_object_del(model, "cache"); /* is of one run */
        json_array_append_new(models, model);
        if (a->stores[i].of[ROW_DENSE])
            json_object_set_new(vectors, member->key,
                                describe_array(&w->arrays[i], a->points));
    }
    if (w->fused)
        json_object_set_new(vectors, "fused",
                            describe_array(w->fused, a->points));
    ragged_describe(&w->ragged, vectors);
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
    bool fine = artefact_path(path, w->a, "stats.json", err) &&
                json_write_file(path, stats, 9, &w->a->session->memory, err);
    json_decref(stats);
    return fine;
}

/* stats.json goes first and comes last: who finds it (search does) finds files
 * of one run, even where this one is killed between two of them. */
static bool commit_whole(struct writing *w, struct error *err) {
    char stats[PATH_MAX];
    if (!artefact_path(stats, w->a, "stats.json", err) ||
        !file_remove(stats, err) || !artefact_former_drop(w->a, err) ||
        !artefact_record_begin(w->a, err))
        return false;
    for (size_t i = 0; i < w->arrays_count; i++)
        if (w->arrays[i].open && !npy_writer_commit(&w->arrays[i].npy, err))
            return false;
    return ragged_commit(&w->ragged, err) && lines_commit(&w->lines, err) &&
           file_writer_commit(&w->digests, err) && write_stats(w, err);
}

static bool commit_files(struct writing *w, struct error *err) {
    struct phases *phases = &w->a->session->phases;
    enum phase before = phases_enter(phases, PHASE_SYNC);
    bool fine = commit_whole(w, err);
    phases_enter(phases, before);
    return fine;
}

/* Stores whose rows now stand in an array need no second copy. Each takes over
 * a copy of the points' digests. */
static bool retire_stores(struct writing *w, struct error *err) {
    struct artefacts *a = w->a;
    char digests[PATH_MAX], copy[PATH_MAX], array[PATH_MAX];
    bool fine = artefact_path(digests, a, ".ensembed/points.digests", err);
    for (size_t i = 0; fine && i < a->roster->count; i++) {
        const struct member *member = &a->roster->members[i];
        if (!a->stores[i].of[ROW_DENSE] || !w->arrays[i].open ||
            member->width != member->spec.width)
            continue;
        int size =
            snprintf(copy, sizeof copy, "%s/.ensembed/%s/dense/points.digests",
                     a->folder, member->key);
        fine = size < PATH_MAX &&
               artefact_path(array, a, w->arrays[i].name, err) &&
               file_copy(digests, copy, &a->session->memory, err) &&
               store_retire(a->stores[i].of[ROW_DENSE], array, copy, err);
    }
    return fine && file_remove(digests, err);
}

static bool take_rows_back(struct artefacts *a, struct error *err) {
    for (size_t i = 0; i < a->roster->count; i++)
        if (a->stores[i].of[ROW_DENSE] &&
            !store_materialise(a->stores[i].of[ROW_DENSE], err))
            return false;
    return true;
}

bool artefacts_write(struct artefacts *a, struct error *err) {
    struct writing w = {.a = a,
                        .exports = artefact_exports(a),
                        .text_field = a->session->options->text_field
                                          ? a->session->options->text_field
                                          : "text",
                        .digests = {.memory = &a->session->memory, .fd = -1}};
    a->points = a->left_out = 0;
    json_decref(a->left_out_chunks);
    a->left_out_chunks = json_array();
    bool fine = artefact_set_list(a, err) && take_rows_back(a, err) &&
                artefact_former_keep(a, err) && count_rows(&w, err) &&
                open_writing(&w, err) && write_points(&w, err) &&
                commit_files(&w, err) && retire_stores(&w, err) &&
                artefact_record_complete(a, err);
    if (fine)
        tell_progress(&w, a->points);
    if (fine && (w.exports & EXPORT_POINTS))
        ragged_warn(&w.ragged, a->sink, a->intake->collection->name);
    count_left_out(a);
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
    json_decref(artefacts->kept);
    artefacts->files = artefacts->left_out_chunks = artefacts->kept = NULL;
}
