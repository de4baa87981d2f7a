#include "run/artefact_ragged.h"

#include <inttypes.h>
#include <stdio.h>

#include "run/artefact_set.h"

size_t ragged_file_names(const struct member *member, enum row_kind head,
                         char names[RAGGED_FILES_MAX][NAME_MAX + 1]) {
    if (head == ROW_SPARSE) {
        snprintf(names[0], NAME_MAX + 1, "%.200s.sparse.npz", member->key);
        return 1;
    }
    snprintf(names[0], NAME_MAX + 1, "%.200s.multi.npy", member->key);
    snprintf(names[1], NAME_MAX + 1, "%.200s.multi.offsets.npy", member->key);
    return 2;
}

static bool open_files(struct ragged *r, const struct artefacts *a,
                       struct error *err) {
    char names[RAGGED_FILES_MAX][NAME_MAX + 1];
    char paths[RAGGED_FILES_MAX][PATH_MAX];
    struct memory *memory = &a->session->memory;
    size_t count = ragged_file_names(r->member, r->head, names);
    for (size_t i = 0; i < count; i++)
        if (!artefact_path(paths[i], a, names[i], err))
            return false;
    return r->head == ROW_SPARSE
               ? csr_writer_open(&r->csr, paths[0], r->width, memory, err)
               : multi_writer_open(&r->multi, paths[0], paths[1], r->width,
                                   memory, err);
}

static struct ragged make_ragged(const struct artefacts *a, size_t member,
                                 enum row_kind head, bool to_file) {
    struct ragged r = {.member = &a->roster->members[member],
                       .store = a->stores[member].of[head],
                       .head = head,
                       .index = member,
                       .to_file = to_file,
                       .buffer = {.memory = &a->session->memory}};
    r.width = member_head_width(r.member, head);
    member_vector_name(r.member, head, r.name);
    return r;
}

bool ragged_open(struct ragged_set *set, const struct artefacts *a,
                 bool to_files, struct error *err) {
    size_t room = a->roster->count * (ROW_KINDS - 1);
    *set = (struct ragged_set){.memory = &a->session->memory};
    set->list = memory_zalloc(set->memory, room, sizeof *set->list, err);
    if (!set->list)
        return false;
    for (size_t i = 0; i < a->roster->count; i++)
        for (enum row_kind head = ROW_SPARSE; head < ROW_KINDS; head++) {
            if (!a->stores[i].of[head])
                continue;
            struct ragged *r = &set->list[set->count++];
            *r = make_ragged(a, i, head, to_files);
            if (to_files && !open_files(r, a, err))
                return false;
        }
    return true;
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

static bool add_row(struct ragged *r, const struct head_rows *rows,
                    struct named_vector *vector, struct error *err) {
    struct row row;
    if (!store_read_row(r->store, rows[r->index].of[r->head], &r->buffer, &row,
                        err) ||
        !to_file(r, &row, err))
        return false;
    r->points++;
    r->items += row.count;
    r->most = row.count > r->most ? row.count : r->most;
    r->empty += row.count == 0;
    r->oversized +=
        r->head == ROW_MULTI && row.count * r->width >= QDRANT_MULTI_FLOATS;
    *vector = (struct named_vector){.name = r->name,
                                    .values = row.values,
                                    .width = r->width,
                                    .kind = r->head,
                                    .count = row.count,
                                    .indices = row.indices};
    return true;
}

bool ragged_add(struct ragged_set *set, const struct head_rows *rows,
                struct named_vector *vectors, struct error *err) {
    for (size_t i = 0; i < set->count; i++)
        if (!add_row(&set->list[i], rows, &vectors[i], err))
            return false;
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
