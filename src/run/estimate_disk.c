/* estimate_disk.c - bytes on disk, before they are written. */

#include "run/estimate.h"

#include <math.h>

#include "base/disk_index.h"
#include "data/derive.h"
#include "data/points.h"
#include "run/artefact_ragged.h"

/* A pair of a sparse vector in its store, and in an array where indices have 4
 * bytes or, in a large index space, 8: while the array is written, indices and
 * row ends lie in files of their own besides (data/csr.h). */
enum {
    PAIR_BYTES = 4 + 4,
    CSR_NARROW_BYTES = 4 + 4 + 4,
    CSR_WIDE_BYTES = 8 + 4 + 8,
    CSR_END_BYTES = 8 + 8,
    MULTI_END_BYTES = 8,
};

/* ---- what is looked at -------------------------------------------------- */

struct sample {
    struct session *session;
    const struct intake *intake;
    struct named_vector *vectors;
    char (*names)[VECTOR_NAME_MAX]; /* of vectors that are not called KEY */
    size_t vectors_count;
    bool lines;               /* points.jsonl is asked for */
    bool terms;               /* the last vector is the chunk's own terms */
    struct row_buffer buffer; /* of these */
    struct strbuf line;
    uint64_t points, texts, metadata; /* bytes of the lines so far */
    uint64_t terms_pairs;
};

/* Numbers as a unit vector has them: their digits are what counts. */
static void fill_randomly(float *values, size_t width) {
    uint64_t state = 1;
    for (size_t i = 0; i < width; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        values[i] = ((float)(state >> 40) / 8388608.0f - 1.0f) /
                    sqrtf((float)width / 3.0f);
    }
}

static size_t widest(const struct roster *roster) {
    size_t width = roster->fused_width;
    for (size_t i = 0; i < roster->count; i++)
        if (!roster->members[i].error.code && roster->members[i].width > width)
            width = roster->members[i].width;
    return width ? width : 1;
}

static void add_vector(struct sample *s, struct named_vector vector) {
    s->vectors[s->vectors_count++] = vector;
}

/* A sparse vector or a multivector without a number: what stands around them in
 * a line. The numbers are add_ragged's. */
static void add_frame(struct sample *s, const struct member *member,
                      enum row_kind head, const float *values) {
    char *name = s->names[s->vectors_count];
    member_vector_name(member, head, name);
    add_vector(s, (struct named_vector){.name = name,
                                        .values = values,
                                        .kind = head,
                                        .count = head == ROW_MULTI});
}

static void name_vectors(struct sample *s, const struct roster *roster,
                         const float *values) {
    for (size_t i = 0; i < roster->count; i++) {
        const struct member *member = &roster->members[i];
        if (member->error.code)
            continue;
        if (member_has(member, ROW_DENSE))
            add_vector(s, (struct named_vector){.name = member->key,
                                                .values = values,
                                                .width = member->width});
        for (enum row_kind h = ROW_SPARSE; h < ROW_KINDS; h++)
            if (member_has(member, h))
                add_frame(s, member, h, values);
    }
    if (roster->fused_width)
        add_vector(s, (struct named_vector){.name = "fused",
                                            .values = values,
                                            .width = roster->fused_width});
    if (s->terms)
        add_vector(s, (struct named_vector){.name = TERMS_KEY "-sparse",
                                            .kind = ROW_SPARSE});
}

static bool take_terms(struct sample *s, const struct chunk *chunk,
                       struct error *err) {
    struct named_vector *vector = &s->vectors[s->vectors_count - 1];
    struct row row;
    if (!derive_terms(chunk->metadata, &s->buffer, &row, err))
        return false;
    vector->indices = row.indices;
    vector->values = row.values;
    vector->count = row.count;
    s->terms_pairs += row.count;
    return true;
}

static bool add_chunk(struct sample *s, const struct chunk *chunk,
                      struct error *err) {
    const struct run_options *options = s->session->options;
    if (s->terms && !take_terms(s, chunk, err))
        return false;
    strbuf_clear(&s->line);
    if (s->lines)
        point_line(&s->line, chunk, s->intake->collection,
                   options->text_field ? options->text_field : "text",
                   s->vectors, s->vectors_count);
    s->points += s->line.size;
    /* A few characters of a text are escaped. */
    s->texts += chunk->original.size + chunk->original.size / 32 + 3;
    s->metadata += chunk->metadata.size + 1;
    return strbuf_ok(&s->line, err) || point_has_no_room(chunk, err);
}

static bool look_at_chunks(struct sample *s, uint64_t *seen,
                           struct error *err) {
    struct chunk_reader *reader = chunk_reader_open(s->intake, err);
    struct chunk chunk;
    enum chunk_step step = reader ? CHUNK_OK : CHUNK_ERROR;
    for (*seen = 0; *seen < ESTIMATE_CHUNKS && step == CHUNK_OK;) {
        step = chunk_reader_next(reader, false, &chunk, err);
        if (step == CHUNK_OK && !add_chunk(s, &chunk, err))
            step = CHUNK_ERROR;
        *seen += step == CHUNK_OK;
    }
    chunk_reader_close(reader);
    return step != CHUNK_ERROR;
}

/* ---- of all chunks ------------------------------------------------------ */

static void scale(const struct sample *s, unsigned exports,
                  struct disk_estimate *disk) {
    uint64_t points = s->intake->counts.points, seen = disk->sampled;
    uint64_t floats = 0;
    for (size_t i = 0; i < s->vectors_count; i++)
        floats += s->vectors[i].width;
    if (exports & EXPORT_NPY)
        disk->arrays_bytes = points * floats * sizeof(float);
    if ((exports & EXPORT_NPY) && s->terms)
        disk->arrays_bytes +=
            estimate_scaled(s->terms_pairs * CSR_WIDE_BYTES, seen, points) +
            points * CSR_END_BYTES;
    if (exports & EXPORT_POINTS)
        disk->points_bytes = estimate_scaled(s->points, seen, points);
    if (exports & EXPORT_TEXTS)
        disk->texts_bytes = estimate_scaled(s->texts, seen, points);
    if (exports & EXPORT_METADATA)
        disk->metadata_bytes = estimate_scaled(s->metadata, seen, points);
}

/* A row of ROW_BYTES in its store, in the array. */
static uint64_t array_bytes(const struct member *member, enum row_kind head,
                            uint64_t row_bytes) {
    if (head == ROW_MULTI)
        return row_bytes + MULTI_END_BYTES;
    bool wide = member_head_width(member, head) > INT32_MAX;
    return row_bytes / PAIR_BYTES * (wide ? CSR_WIDE_BYTES : CSR_NARROW_BYTES) +
           CSR_END_BYTES;
}

/* Sparse vectors and multivectors, by their rows in the stores: as text in
 * points.jsonl they take three times as much. */
static void add_ragged(const struct roster *roster,
                       const struct intake_counts *counts, unsigned exports,
                       struct disk_estimate *disk) {
    for (size_t i = 0; i < roster->count; i++)
        for (enum row_kind h = ROW_SPARSE; h < ROW_KINDS; h++) {
            const struct member *member = &roster->members[i];
            if (member->error.code || !member_has(member, h))
                continue;
            uint64_t row = estimate_row_bytes(member, h, counts);
            if (exports & EXPORT_NPY)
                disk->arrays_bytes +=
                    counts->points * array_bytes(member, h, row);
            if (exports & EXPORT_POINTS)
                disk->points_bytes += counts->points * 3 * row;
        }
}

/* The stores' tables while they are open; the points' digests, of which each
 * store that gives its rows to an array gets a copy; where lines begin. */
static void add_lookup(const struct roster *roster,
                       const struct intake_counts *counts, unsigned exports,
                       struct disk_estimate *disk) {
    uint64_t tables = 0, copies = 1;
    for (size_t i = 0; i < roster->count; i++)
        for (enum row_kind h = 0; h < ROW_KINDS; h++)
            if (!roster->members[i].error.code &&
                member_has(&roster->members[i], h)) {
                tables += disk_index_file_bytes(counts->unique);
                copies += h == ROW_DENSE && (exports & EXPORT_NPY);
            }
    disk->lookup_bytes = tables;
    if (!(exports & EXPORT_NONE))
        disk->lookup_bytes += copies * counts->points * SHA256_BYTES;
    if (exports & EXPORT_POINTS)
        disk->lookup_bytes += counts->points * sizeof(uint64_t);
}

bool estimate_disk(struct session *session, const struct roster *roster,
                   const struct intake *intake, unsigned exports,
                   struct disk_estimate *disk, struct error *err) {
    struct memory *memory = &session->memory;
    size_t most = roster->count * ROW_KINDS + 2; /* fused, terms */
    struct sample s = {.session = session,
                       .intake = intake,
                       .lines = exports & EXPORT_POINTS,
                       .terms = exports & EXPORT_TERMS,
                       .buffer = {.memory = memory},
                       .line = strbuf_make(memory)};
    size_t width = widest(roster);
    float *values = memory_alloc(memory, width, sizeof *values, err);
    s.vectors = memory_alloc(memory, most, sizeof *s.vectors, err);
    s.names = memory_alloc(memory, most, sizeof *s.names, err);
    bool fine = values && s.vectors && s.names;
    *disk = (struct disk_estimate){0};
    if (fine) {
        fill_randomly(values, width);
        name_vectors(&s, roster, values);
        fine = look_at_chunks(&s, &disk->sampled, err);
        scale(&s, exports, disk);
        add_ragged(roster, &intake->counts, exports, disk);
        add_lookup(roster, &intake->counts, exports, disk);
    }
    memory_free(memory, values);
    memory_free(memory, s.vectors);
    memory_free(memory, s.names);
    row_buffer_free(&s.buffer);
    strbuf_free(&s.line);
    return fine;
}

/* A token is some four bytes of text; half of the tokens are different. SPLADE
 * adds terms that the text does not have. */
uint64_t estimate_row_bytes(const struct member *member, enum row_kind head,
                            const struct intake_counts *counts) {
    enum { TOKEN_BYTES = 4, SPLADE_PAIRS = 256 };
    uint64_t width = member_head_width(member, head);
    if (head == ROW_DENSE)
        return width * sizeof(float);
    uint64_t tokens =
        counts->unique ? counts->text_bytes / counts->unique / TOKEN_BYTES + 1
                       : 1;
    if (!member->bm25 && tokens > member->spec.max_length)
        tokens = member->spec.max_length;
    if (head == ROW_MULTI)
        return tokens * width * sizeof(float);
    uint64_t added = !member->bm25 && member->spec.sparse != SPARSE_LEXICAL
                         ? SPLADE_PAIRS
                         : 0;
    return (tokens / 2 + added) * PAIR_BYTES;
}

uint64_t estimate_key_bytes(enum row_kind head) {
    return head == ROW_DENSE ? SHA256_BYTES : SHA256_BYTES + sizeof(uint64_t);
}
