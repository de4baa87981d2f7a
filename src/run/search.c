#include "run/search.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "data/fuse.h"
#include "data/npy.h"
#include "data/topk.h"
#include "run/engine.h"
#include "run/roster.h"
#include "run/session.h"

enum {
    STATS_MAX_BYTES = 16 << 20,
    MODELS_MAX = 64,
    BLOCK_ROWS = 4096, /* rows made unit vectors at a time */
};

/* One collection that can be searched. */
struct shelf {
    const char *folder;
    const char *name;
    json_t *stats;
};

struct searching {
    const struct search_request *request;
    struct search_result *result;
    struct shelf *shelves;
    size_t shelves_count;
    struct session session;
    struct run_options options;
    struct model_request models[MODELS_MAX];
    json_t *answered; /* the models that `query` was made with, borrowed */
    float *query;
    size_t query_width;
};

/* ---- which collections -------------------------------------------------- */

static bool is_wanted(const struct search_request *request, const char *name) {
    for (size_t i = 0; i < request->collections_count; i++)
        if (!strcmp(request->collections[i], name))
            return true;
    return request->collections_count == 0;
}

static bool add_shelf(struct searching *s, const char *folder,
                      struct error *err) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/stats.json", folder) >= PATH_MAX ||
        !file_exists(path))
        return true;
    json_t *stats = json_read_file(path, STATS_MAX_BYTES, err);
    const char *name = NULL;
    if (!stats || !json_member_string(stats, "collection", path, &name, err)) {
        json_decref(stats);
        return false;
    }
    if (!name || !is_wanted(s->request, name)) {
        json_decref(stats);
        return true;
    }
    struct memory *memory = &s->result->memory;
    struct shelf *more = memory_resize(memory, s->shelves, s->shelves_count + 1,
                                       sizeof *more, err);
    if (!more) {
        json_decref(stats);
        return false;
    }
    s->shelves = more;
    struct shelf *shelf = &s->shelves[s->shelves_count++];
    shelf->stats = stats;
    shelf->name = name;
    shelf->folder = arena_copy(&s->result->arena, str_from(folder), err);
    return shelf->folder != NULL;
}

/* Every collection that was asked for, or the answer would leave it out
 * without a word. */
static bool all_there(const struct searching *s, struct error *err) {
    const struct search_request *request = s->request;
    for (size_t i = 0; i < request->collections_count; i++) {
        bool there = false;
        for (size_t j = 0; j < s->shelves_count; j++)
            there |= !strcmp(s->shelves[j].name, request->collections[i]);
        if (!there)
            return error_set(err, ERROR_MISSING,
                             "%s holds no finished collection called %s",
                             request->folder, request->collections[i]);
    }
    return true;
}

static bool find_shelves(struct searching *s, struct error *err) {
    const char *folder = s->request->folder;
    if (!folder_exists(folder))
        return error_set(err, ERROR_MISSING, "%s is not a folder", folder);
    if (!add_shelf(s, folder, err))
        return false;
    struct dirent **entries = NULL;
    int count =
        s->shelves_count ? 0 : scandir(folder, &entries, NULL, alphasort);
    bool fine = true;
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        bool inside = entries[i]->d_name[0] != '.' &&
                      snprintf(path, sizeof path, "%s/%s", folder,
                               entries[i]->d_name) < PATH_MAX;
        fine = fine && (!inside || add_shelf(s, path, err));
        free(entries[i]);
    }
    free(entries);
    if (fine && !s->shelves_count)
        return error_set(err, ERROR_MISSING,
                         "%s holds no finished collection%s (no stats.json); "
                         "make one with `ensembed run --out %s`",
                         folder,
                         s->request->collections_count ? " of that name" : "",
                         folder);
    return fine && all_there(s, err);
}

/* ---- the question's vector ---------------------------------------------- */

/* Where the model was when the run used it: a folder that was named by a
 * relative path is found from anywhere. */
static const char *model_folder(const struct searching *s,
                                const struct shelf *shelf, const char *key,
                                struct arena *arena) {
    char path[PATH_MAX];
    (void)s;
    if (snprintf(path, sizeof path, "%s/.ensembed/complete.json",
                 shelf->folder) >= PATH_MAX ||
        !file_exists(path))
        return NULL;
    json_t *complete = json_read_file(path, STATS_MAX_BYTES, NULL);
    const char *folder = json_string_value(
        json_object_get(json_object_get(complete, "model_folders"), key));
    char *copy = folder ? arena_copy(arena, str_from(folder), NULL) : NULL;
    json_decref(complete);
    return copy;
}

static bool read_model(struct searching *s, const struct shelf *shelf,
                       const json_t *model, struct model_request *request,
                       struct error *err) {
    const char *reference = NULL, *key = NULL, *commit = NULL, *id = NULL;
    double weight = 1;
    size_t width = 0;
    const char *name = shelf->folder;
    if (!json_member_string(model, "reference", name, &reference, err) ||
        !json_member_string(model, "key", name, &key, err) ||
        !json_member_string(model, "commit", name, &commit, err) ||
        !json_member_string(model, "id", name, &id, err) ||
        !json_member_real(model, "weight", name, &weight, err) ||
        !json_member_size(model, "width", name, &width, err))
        return false;
    if (!reference || !key || !width)
        return error_set(err, ERROR_INPUT,
                         "%s/stats.json does not say which model made it",
                         shelf->folder);
    *request = (struct model_request){
        .reference = reference, .name = key, .weight = weight, .dim = width};
    if (id)
        request->revision = commit;
    if (!id && !folder_exists(reference)) {
        const char *folder = model_folder(s, shelf, key, &s->result->arena);
        if (folder)
            request->reference = folder;
    }
    return true;
}

/* The same weights that made the rows, or the answer would mean nothing. */
static bool check_same(const struct member *member, const json_t *model,
                       const struct shelf *shelf, struct error *err) {
    const char *want =
        json_string_value(json_object_get(model, "weights_sha256"));
    if (want && strcmp(want, member->weights_sha256) != 0)
        return error_set(err, ERROR_CONFLICT,
                         "%s was made by other weights of %s than those that "
                         "are there now (SHA-256 %.12s... then, %.12s... now)",
                         shelf->folder, member->key, want,
                         member->weights_sha256);
    return true;
}

static bool embed_with(struct searching *s, const struct member *member,
                       float *vector, struct error *err) {
    if (member->error.code) {
        *err = member->error;
        return false;
    }
    int64_t begin = clock_now_ns();
    struct engine *engine = engine_load(&s->session, member, 0, err);
    if (!engine)
        return false;
    int64_t loaded = clock_now_ns();
    bool fine =
        engine_embed_text(engine, str_from(s->request->question), vector, err);
    s->result->load_ms += (double)(loaded - begin) / 1e6;
    s->result->encode_ms += (double)(clock_now_ns() - loaded) / 1e6;
    engine_free(engine);
    return fine;
}

static bool fuse_query(struct searching *s, const struct roster *roster,
                       float *const *vectors, enum fuse_method method,
                       struct error *err) {
    struct fuse_member members[MODELS_MAX];
    for (size_t i = 0; i < roster->count; i++)
        members[i] = (struct fuse_member){roster->members[i].width,
                                          roster->members[i].request->weight};
    size_t dim = method == FUSE_MEAN ? roster->fused_width : 0;
    s->query_width = roster->fused_width;
    s->query =
        memory_alloc(&s->result->memory, s->query_width, sizeof *s->query, err);
    return s->query &&
           (fuse_vectors(members, roster->count, method, dim,
                         (const float *const *)vectors, s->query) ||
            error_set(err, ERROR_VECTOR,
                      "the models' vectors of the question cancel each other "
                      "out"));
}

static bool embed_all(struct searching *s, const struct shelf *shelf,
                      struct roster *roster, enum fuse_method method,
                      struct error *err) {
    struct memory *memory = &s->result->memory;
    const json_t *models = json_object_get(shelf->stats, "models");
    float *vectors[MODELS_MAX] = {0};
    bool fine = true;
    for (size_t i = 0; fine && i < roster->count; i++) {
        const struct member *member = &roster->members[i];
        size_t width = member->error.code ? 1 : member->spec.width;
        vectors[i] = memory_alloc(memory, width, sizeof(float), err);
        fine = vectors[i] && embed_with(s, member, vectors[i], err) &&
               check_same(member, json_array_get(models, i), shelf, err);
    }
    if (fine && roster->count > 1) {
        fine = fuse_query(s, roster, vectors, method, err);
    } else if (fine) {
        s->query = vectors[0];
        s->query_width = roster->members[0].width;
        vectors[0] = NULL;
    }
    for (size_t i = 0; i < roster->count; i++)
        memory_free(memory, vectors[i]);
    return fine;
}

/* How many of the models gave dense vectors: they are the first ones. Older
 * files do not say, and had no others. */
static size_t dense_models(const json_t *models) {
    size_t count = 0, i;
    for (; count < json_array_size(models); count++) {
        json_t *heads = json_object_get(json_array_get(models, count), "heads");
        bool dense = !heads;
        json_t *head;
        json_array_foreach(heads, i, head) dense |=
            !strcmp(json_string_value(head) ? json_string_value(head) : "",
                    row_kind_name(ROW_DENSE));
        if (!dense)
            break;
    }
    return count;
}

/* The question as a vector of this collection's space. Collections made by the
 * same models share it. */
static bool make_query(struct searching *s, const struct shelf *shelf,
                       struct error *err) {
    json_t *models = json_object_get(shelf->stats, "models");
    if (s->answered && json_equal(s->answered, models))
        return true;
    memory_free(&s->result->memory, s->query);
    s->query = NULL;
    s->answered = NULL;
    size_t count = dense_models(models);
    if (!count || count > MODELS_MAX)
        return error_set(err, ERROR_INPUT,
                         "%s/stats.json names %zu models with dense vectors",
                         shelf->folder, count);
    for (size_t i = 0; i < count; i++)
        if (!read_model(s, shelf, json_array_get(models, i), &s->models[i],
                        err))
            return false;
    const char *fuse = json_string_value(json_object_get(shelf->stats, "fuse"));
    s->options.models = s->models;
    s->options.models_count = count;
    s->options.fuse = fuse && !strcmp(fuse, "concat") ? FUSE_CONCAT : FUSE_MEAN;
    struct roster roster;
    if (!roster_open(&roster, &s->session, "query", true, err))
        return false;
    bool fine = embed_all(s, shelf, &roster, s->options.fuse, err);
    roster_free(&roster);
    s->answered = fine ? models : NULL;
    return fine;
}

/* ---- the rows ----------------------------------------------------------- */

/* Are the rows unit vectors, or compared by dot product anyway? */
static bool by_dot(const struct shelf *shelf, bool *dot, struct error *err) {
    const json_t *models = json_object_get(shelf->stats, "models");
    const json_t *model = json_array_get(models, 0);
    const char *similarity =
        json_string_value(json_object_get(model, "similarity"));
    bool unit = dense_models(models) > 1 ||
                json_is_true(json_object_get(model, "normalized"));
    bool is_dot = similarity && !strcmp(similarity, "dot");
    bool cosine = !similarity || !strcmp(similarity, "cosine");
    *dot = unit || is_dot;
    /* Among unit vectors the nearest by distance have the largest cosine. */
    return *dot || cosine ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: its model compares by %s distance, which search does "
                     "not do for vectors that are not of length 1",
                     shelf->folder, similarity);
}

static void make_unit(float *row, size_t width) {
    double sum = 0;
    for (size_t i = 0; i < width; i++)
        sum += (double)row[i] * row[i];
    double scale = sum > 0 ? 1 / sqrt(sum) : 0;
    for (size_t i = 0; i < width; i++)
        row[i] = (float)(row[i] * scale);
}

static int better_first(const void *a, const void *b) {
    const struct hit *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Cosine over rows of any length: blocks of them are made unit vectors. */
static bool scan_by_cosine(struct searching *s, const struct npy_map *npy,
                           struct hit *hits, size_t *found, struct error *err) {
    struct memory *memory = &s->result->memory;
    size_t width = npy->width, top = s->request->top, kept = 0;
    float *block = memory_alloc(memory, BLOCK_ROWS, width * sizeof *block, err);
    struct hit *all = memory_alloc(memory, 2 * top, sizeof *all, err);
    bool fine = block && all;
    make_unit(s->query, width);
    for (uint64_t first = 0; fine && first < npy->rows; first += BLOCK_ROWS) {
        uint64_t rows =
            npy->rows - first < BLOCK_ROWS ? npy->rows - first : BLOCK_ROWS;
        memcpy(block, npy->data + first * width, rows * width * sizeof *block);
        for (uint64_t i = 0; i < rows; i++)
            make_unit(block + i * width, width);
        size_t more;
        fine = topk_scan(memory, s->session.pool, block, rows, width, s->query,
                         top, all + kept, &more, err);
        for (size_t i = kept; fine && i < kept + more; i++)
            all[i].row += first;
        if (fine)
            qsort(all, kept + more, sizeof *all, better_first);
        kept = fine && kept + more < top ? kept + more : top;
    }
    if (fine)
        memcpy(hits, all, kept * sizeof *hits);
    *found = kept;
    memory_free(memory, block);
    memory_free(memory, all);
    return fine;
}

/* ---- the chunks behind the rows ----------------------------------------- */

/* Line ROW of PATH into OUT, by the offsets that the run wrote beside it. */
static bool read_point(const struct shelf *shelf, uint64_t row,
                       struct strbuf *out) {
    char path[PATH_MAX], index[PATH_MAX];
    uint64_t begin, end, size = 0;
    if (snprintf(path, sizeof path, "%s/points.jsonl", shelf->folder) >=
            PATH_MAX ||
        snprintf(index, sizeof index, "%s/.ensembed/points.offsets",
                 shelf->folder) >= PATH_MAX)
        return false;
    int lines = open(path, O_RDONLY | O_CLOEXEC);
    int offsets = open(index, O_RDONLY | O_CLOEXEC);
    bool fine = lines >= 0 && offsets >= 0 && file_size(path, &size, NULL) &&
                file_pread(offsets, &begin, sizeof begin, row * 8, index, NULL);
    if (fine &&
        !file_pread(offsets, &end, sizeof end, row * 8 + 8, index, NULL))
        end = size;
    fine = fine && begin < end && end <= size &&
           strbuf_reserve(out, end - begin) &&
           file_pread(lines, out->data, end - begin, begin, path, NULL);
    if (fine)
        out->size = end - begin;
    if (lines >= 0)
        close(lines);
    if (offsets >= 0)
        close(offsets);
    return fine;
}

/* Line ROW of texts.jsonl, found by counting lines. */
static bool read_text_line(const struct shelf *shelf, uint64_t row,
                           struct strbuf *out) {
    char path[PATH_MAX];
    struct file_map map;
    if (snprintf(path, sizeof path, "%s/texts.jsonl", shelf->folder) >=
            PATH_MAX ||
        !file_map_open(&map, path, NULL))
        return false;
    const char *at = map.data, *end = map.data + map.size;
    for (; at && row > 0; row--) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    const char *stop =
        at && at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    if (stop)
        strbuf_add(out, (struct str){at, (size_t)(stop - at)});
    file_map_close(&map);
    return stop != NULL;
}

static const char *copy_member(struct searching *s, const json_t *object,
                               const char *key) {
    const json_t *value = json_object_get(object, key);
    const char *copy = NULL;
    if (json_is_string(value))
        copy = arena_copy(
            &s->result->arena,
            (struct str){json_string_value(value), json_string_length(value)},
            NULL);
    return copy ? copy : "";
}

static void describe_hit(struct searching *s, const struct shelf *shelf,
                         struct search_hit *hit) {
    struct strbuf line = strbuf_make(&s->result->memory);
    hit->text = hit->chunk_id = hit->source = "";
    const char *field =
        json_string_value(json_object_get(shelf->stats, "text_field"));
    if (read_point(shelf, hit->row, &line)) {
        json_t *point = json_parse(strbuf_str(&line), "points.jsonl", NULL);
        const json_t *payload = json_object_get(point, "payload");
        hit->text = copy_member(s, payload, field ? field : "text");
        hit->chunk_id = copy_member(s, payload, "chunk_id");
        hit->source = copy_member(s, payload, "source_file");
        json_decref(point);
    } else if (read_text_line(shelf, hit->row, &line)) {
        json_t *text = json_parse(strbuf_str(&line), "texts.jsonl", NULL);
        json_t *object = json_pack("{s:o}", "text", text);
        hit->text = copy_member(s, object, "text");
        json_decref(object);
    }
    strbuf_free(&line);
}

/* ---- all of it ---------------------------------------------------------- */

static int higher_first(const void *a, const void *b) {
    const struct search_hit *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    int names = strcmp(x->collection, y->collection);
    return names ? names : (x->row > y->row) - (x->row < y->row);
}

/* Merge a collection's hits into the result's best. */
static void merge(struct searching *s, const struct shelf *shelf,
                  const struct hit *hits, size_t count) {
    struct search_result *result = s->result;
    for (size_t i = 0; i < count; i++)
        result->hits[result->count++] =
            (struct search_hit){.collection = shelf->name,
                                .score = (double)hits[i].score,
                                .row = hits[i].row};
    qsort(result->hits, result->count, sizeof *result->hits, higher_first);
    if (result->count > s->request->top)
        result->count = s->request->top;
}

static bool search_shelf(struct searching *s, const struct shelf *shelf,
                         struct error *err) {
    char path[PATH_MAX];
    struct npy_map npy;
    bool dot;
    snprintf(path, sizeof path, "%s/embeddings.npy", shelf->folder);
    if (!file_exists(path))
        return error_set(err, ERROR_MISSING,
                         "%s is not there: a run writes it when all its models "
                         "succeed and --export has npy; run again",
                         path);
    if (!by_dot(shelf, &dot, err) || !make_query(s, shelf, err) ||
        !npy_map_open(&npy, path, err))
        return false;
    struct hit *hits =
        memory_alloc(&s->result->memory, s->request->top, sizeof *hits, err);
    size_t found = 0;
    int64_t begin = clock_now_ns();
    bool fine = hits != NULL;
    if (fine && npy.width != s->query_width)
        fine = error_set(err, ERROR_INPUT,
                         "%s has rows of %zu numbers, the models give %zu",
                         path, npy.width, s->query_width);
    else if (fine && dot)
        fine =
            topk_scan(&s->result->memory, s->session.pool, npy.data, npy.rows,
                      npy.width, s->query, s->request->top, hits, &found, err);
    else if (fine)
        fine = scan_by_cosine(s, &npy, hits, &found, err);
    s->result->scan_ms += (double)(clock_now_ns() - begin) / 1e6;
    s->result->rows += npy.rows;
    s->result->collections++;
    if (fine)
        merge(s, shelf, hits, found);
    memory_free(&s->result->memory, hits);
    npy_map_close(&npy);
    return fine;
}

static const struct shelf *shelf_of(const struct searching *s,
                                    const char *name) {
    for (size_t i = 0; i < s->shelves_count; i++)
        if (s->shelves[i].name == name)
            return &s->shelves[i];
    return NULL;
}

static bool search_all(struct searching *s, const struct sink *sink,
                       struct error *err) {
    struct search_result *result = s->result;
    if (!find_shelves(s, err))
        return false;
    s->options = *s->request->machine;
    s->options.models_count = 0; /* each collection's own come later */
    if (!session_open(&s->session, &s->options, sink, err))
        return false;
    result->hits = arena_alloc(&result->arena, 2 * s->request->top,
                               sizeof *result->hits, err);
    bool fine = result->hits != NULL;
    for (size_t i = 0; fine && i < s->shelves_count; i++)
        fine = search_shelf(s, &s->shelves[i], err);
    for (size_t i = 0; fine && i < result->count; i++) {
        struct search_hit *hit = &result->hits[i];
        describe_hit(s, shelf_of(s, hit->collection), hit);
        char *name = arena_copy(&result->arena, str_from(hit->collection), err);
        hit->collection = name ? name : "";
    }
    return fine;
}

bool search_run(const struct search_request *request, const struct sink *sink,
                struct search_result *result, struct error *err) {
    *result = (struct search_result){0};
    result->arena = arena_make(&result->memory);
    struct searching s = {.request = request, .result = result};
    bool fine = search_all(&s, sink, err);
    for (size_t i = 0; i < s.shelves_count; i++)
        json_decref(s.shelves[i].stats);
    memory_free(&result->memory, s.shelves);
    memory_free(&result->memory, s.query);
    session_close(&s.session);
    if (!fine)
        search_result_free(result);
    return fine;
}

void search_result_free(struct search_result *result) {
    arena_free(&result->arena);
    result->hits = NULL;
    result->count = 0;
}
