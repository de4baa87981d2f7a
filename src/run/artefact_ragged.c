#include "run/artefact_ragged.h"

#include <inttypes.h>
#include <stdio.h>

#include "data/derive.h"
#include "run/artefact_set.h"

size_t ragged_file_names(const char *key, enum row_kind head,
                         char names[RAGGED_FILES_MAX][NAME_MAX + 1]) {
    if (head == ROW_SPARSE) {
        snprintf(names[0], NAME_MAX + 1, "%.200s.sparse.npz", key);
        return 1;
    }
    snprintf(names[0], NAME_MAX + 1, "%.200s.multi.npy", key);
    snprintf(names[1], NAME_MAX + 1, "%.200s.multi.offsets.npy", key);
    return 2;
}

static bool open_files(struct ragged *r, const struct artefacts *a,
                       struct error *err) {
    char names[RAGGED_FILES_MAX][NAME_MAX + 1];
    char paths[RAGGED_FILES_MAX][PATH_MAX];
    struct memory *memory = &a->session->memory;
    size_t count = ragged_file_names(r->key, r->head, names);
    for (size_t i = 0; i < count; i++)
        if (!artefact_path(paths[i], a, names[i], err))
            return false;
    return r->head == ROW_SPARSE
               ? csr_writer_open(&r->csr, paths[0], a->scratch, r->width,
                                 memory, err)
               : multi_writer_open(&r->multi, paths[0], paths[1],
                                   (size_t)r->width, memory, err);
}

static struct ragged of_member(const struct artefacts *a, size_t member,
                               enum row_kind head) {
    const struct member *of = &a->roster->members[member];
    struct ragged r = {.key = of->key,
                       .store = a->stores[member].of[head],
                       .head = head,
                       .width = member_head_width(of, head),
                       .index = member};
    member_vector_name(of, head, r.name);
    return r;
}

static struct ragged of_terms(void) {
    return (struct ragged){.key = TERMS_KEY,
                           .head = ROW_SPARSE,
                           .width = UINT64_C(1) << 32,
                           .name = TERMS_KEY "-sparse"};
}

static bool add_ragged(struct ragged_set *set, struct ragged ragged,
                       const struct artefacts *a, unsigned exports,
                       struct error *err) {
    struct ragged *r = &set->list[set->count++];
    *r = ragged;
    r->buffer.memory = set->memory;
    r->to_file = exports & EXPORT_NPY;
    return !r->to_file || open_files(r, a, err);
}

bool ragged_open(struct ragged_set *set, const struct artefacts *a,
                 unsigned exports, struct error *err) {
    size_t room = a->roster->count * (ROW_KINDS - 1) + 1;
    *set = (struct ragged_set){.memory = &a->session->memory};
    set->list = memory_zalloc(set->memory, room, sizeof *set->list, err);
    if (!set->list)
        return false;
    for (size_t i = 0; i < a->roster->count; i++)
        for (enum row_kind head = ROW_SPARSE; head < ROW_KINDS; head++)
            if (a->stores[i].of[head] &&
                !add_ragged(set, of_member(a, i, head), a, exports, err))
                return false;
    return !(exports & EXPORT_TERMS) ||
           add_ragged(set, of_terms(), a, exports, err);
}

void ragged_close(struct ragged_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        csr_writer_close(&set->list[i].csr);
        multi_writer_close(&set->list[i].multi);
        row_buffer_free(&set->list[i].buffer);
    }
    if (set->list)
        memory_free(set->memory, set->list);
    *set = (struct ragged_set){0};
}

static bool to_file(struct ragged *r, const struct row *row,
                    struct error *err) {
    if (!r->to_file)
        return true;
    return r->head == ROW_SPARSE
               ? csr_writer_add(&r->csr, row->indices, row->values, row->count,
                                err)
               : multi_writer_add(&r->multi, row->values, row->count, err);
}

static bool read_row(struct ragged *r, const struct head_rows *rows,
                     const struct chunk *chunk, struct row *row,
                     struct error *err) {
    if (!r->store)
        return derive_terms(chunk->metadata, &r->buffer, row, err);
    return store_read_row(r->store, rows[r->index].of[r->head], &r->buffer, row,
                          err);
}

static bool add_row(struct ragged *r, const struct row *row,
                    struct named_vector *vector, struct error *err) {
    r->points++;
    r->items += row->count;
    r->most = row->count > r->most ? row->count : r->most;
    r->empty += row->count == 0;
    r->oversized += r->head == ROW_MULTI &&
                    !qdrant_takes_multi(row->count, (size_t)r->width);
    *vector = (struct named_vector){.name = r->name,
                                    .values = row->values,
                                    .width = (size_t)r->width,
                                    .kind = r->head,
                                    .count = row->count,
                                    .indices = row->indices};
    return to_file(r, row, err);
}

bool ragged_add(struct ragged_set *set, const struct head_rows *rows,
                const struct chunk *chunk, struct named_vector *vectors,
                struct error *err) {
    for (size_t i = 0; i < set->count; i++) {
        struct row row;
        if (!read_row(&set->list[i], rows, chunk, &row, err) ||
            !add_row(&set->list[i], &row, &vectors[i], err))
            return false;
    }
    return true;
}

void ragged_warn(const struct ragged_set *set, const struct sink *sink,
                 const char *collection) {
    for (size_t i = 0; i < set->count; i++)
        if (set->list[i].oversized)
            event_log(sink, LOG_WARNING,
                      "%s: %" PRIu64 " points have a %s of more numbers than "
                      "Qdrant takes (%d); upload without it, or use a model "
                      "with a lower limit of tokens",
                      collection, set->list[i].oversized, set->list[i].name,
                      QDRANT_MULTI_FLOATS);
}

static bool commit_one(struct ragged *r, struct error *err) {
    if (!r->to_file)
        return true;
    return r->head == ROW_SPARSE ? csr_writer_commit(&r->csr, err)
                                 : multi_writer_commit(&r->multi, err);
}

bool ragged_commit(struct ragged_set *set, struct error *err) {
    for (size_t i = 0; i < set->count; i++)
        if (!commit_one(&set->list[i], err))
            return false;
    return true;
}

void ragged_describe(const struct ragged_set *set, json_t *vectors) {
    for (size_t i = 0; i < set->count; i++) {
        const struct ragged *r = &set->list[i];
        json_object_set_new(
            vectors, r->name,
            json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "kind",
                      row_kind_name(r->head), "rows", (json_int_t)r->points,
                      "width", (json_int_t)r->width,
                      r->head == ROW_SPARSE ? "pairs" : "vectors",
                      (json_int_t)r->items, "most_in_a_row",
                      (json_int_t)r->most, "empty", (json_int_t)r->empty));
    }
}
