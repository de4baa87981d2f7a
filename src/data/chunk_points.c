#include "data/chunk_points.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "data/chunk_text.h"

static bool open_index(struct disk_index *index, struct intake *intake,
                       const char *kind, struct error *err) {
    struct strbuf path = strbuf_make(intake->memory);
    strbuf_printf(&path, "%s.%s", intake->records, kind);
    bool fine = strbuf_ok(&path, err) &&
                disk_index_open(index, path.data, intake->memory, err);
    strbuf_free(&path);
    return fine;
}

static void digest_number(struct sha256 *sha, uint64_t number) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
    sha256_add(sha, bytes, sizeof bytes);
}

/* With its length, so that two strings cannot pass for two others. */
static void digest_text(struct sha256 *sha, struct str text) {
    digest_number(sha, text.size);
    sha256_add(sha, text.data, text.size);
}

static bool begin_digest(struct chunk_points *points, struct error *err) {
    points->digest = sha256_begin();
    if (!points->digest)
        return error_set(err, ERROR_MEMORY, "no memory for SHA-256");
    digest_text(points->digest, str_from(points->intake->collection->name));
    return true;
}

bool chunk_points_open(struct chunk_points *points, struct intake *intake,
                       const char *scratch, struct error *err) {
    *points = (struct chunk_points){
        .intake = intake, .ids.fd = -1, .texts.fd = -1, .fd = -1};
    /* Of a folder's name as much as leaves room for endings. */
    intake->records = arena_printf(intake->arena, err, "%s/intake-%.200s",
                                   scratch, intake->collection->folder);
    points->block = memory_alloc(intake->memory, RECORDS_A_BLOCK,
                                 sizeof *points->block, err);
    if (!intake->records || !points->block)
        return false;
    points->fd =
        open(intake->records, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (points->fd < 0)
        return error_errno(err, "create %s", intake->records);
    return open_index(&points->ids, intake, "ids", err) &&
           open_index(&points->texts, intake, "texts", err) &&
           begin_digest(points, err);
}

void chunk_points_close(struct chunk_points *points) {
    uint8_t unused[SHA256_BYTES];
    if (points->digest)
        sha256_end(points->digest, unused);
    if (points->ids.memory)
        disk_index_close(&points->ids);
    if (points->texts.memory)
        disk_index_close(&points->texts);
    if (points->fd >= 0)
        close(points->fd);
    memory_free(points->intake->memory, points->block);
}

/* ---- ids ---- */

/* One more KEY: *COUNT of them by now, with the BEFORE that were not counted
 * here. */
static bool count_up(struct disk_index *index, const uint8_t *key,
                     uint64_t before, uint64_t *count, struct error *err) {
    bool found;
    if (!disk_index_find(index, key, &found, &before, err))
        return false;
    *count = before + 1;
    return found ? disk_index_replace(index, key, *count, err)
                 : disk_index_put(index, key, *count, err);
}

/* The key under which the chunks without an id are counted; no id has it. */
static void occurrence_key(struct chunk_parts *parts, uint8_t *key) {
    size_t size = parts->chunk_id.size;
    strbuf_add(&parts->chunk_id, STR("\x1f?"));
    hash_sha256(strbuf_str(&parts->chunk_id), key);
    parts->chunk_id.size = size;
}

/* Which of the chunks of this file that have no id and this text is it? Counted
 * from the second on: that a text is new, and where it was first, is in the
 * texts' index. With options other texts may have become the same. */
static bool count_occurrence(struct chunk_points *points,
                             struct chunk_parts *parts,
                             const struct chunk_record *record,
                             const char *relative, uint64_t *count,
                             struct error *err) {
    uint8_t key[SHA256_BYTES];
    const struct chunk_first *first = &points->first;
    bool options = text_options_on(&points->intake->options);
    *count = 1;
    if (!options && !(record->flags & RECORD_DUPLICATE))
        return true;
    occurrence_key(parts, key);
    uint64_t before =
        !options && !first->own_id &&
        !strcmp(relative,
                points->intake->collection->files[first->file].relative);
    return count_up(&points->ids, key, before, count, err);
}

static bool make_own_id(struct chunk_points *points, struct chunk_parts *parts,
                        struct chunk_record *record, const char *relative,
                        struct error *err) {
    uint64_t count;
    chunk_id_base(parts, relative);
    if (!count_occurrence(points, parts, record, relative, &count, err))
        return false;
    record->occurrence = (uint32_t)count;
    strbuf_printf(&parts->chunk_id, "\x1f%u", record->occurrence);
    return strbuf_ok(&parts->chunk_id, err);
}

/* Take the id in PARTS, or the first of "id#2", "id#3", ... that nobody has:
 * an id may look like that by itself. */
static bool take_id(struct chunk_points *points, struct chunk_parts *parts,
                    struct chunk_record *record, struct error *err) {
    uint8_t own[SHA256_BYTES], key[SHA256_BYTES];
    bool found;
    uint64_t number = 1, ignored;
    struct strbuf *id = &parts->chunk_id;
    size_t size = id->size;
    hash_sha256(strbuf_str(id), own);
    if (!disk_index_find(&points->ids, own, &found, &number, err))
        return false;
    if (!found)
        return disk_index_put(&points->ids, own, 1, err);
    while (found) {
        id->size = size;
        strbuf_printf(id, "#%u", (unsigned)++number);
        if (!strbuf_ok(id, err))
            return false;
        hash_sha256(strbuf_str(id), key);
        if (!disk_index_find(&points->ids, key, &found, &ignored, err))
            return false;
    }
    record->repeat = (uint32_t)number;
    points->intake->counts.repeated_ids++;
    return disk_index_put(&points->ids, key, 1, err) &&
           disk_index_replace(&points->ids, own, number, err);
}

/* ---- texts and records ---- */

static bool note_text(struct chunk_points *points, struct chunk_record *record,
                      bool own_id, struct error *err) {
    struct intake_counts *counts = &points->intake->counts;
    bool found;
    uint64_t first = (uint64_t)record->file * 2 + own_id;
    if (!disk_index_find(&points->texts, record->digest, &found, &first, err))
        return false;
    points->first = (struct chunk_first){.file = (uint32_t)(first / 2),
                                         .own_id = first % 2};
    if (found) {
        record->flags |= RECORD_DUPLICATE;
        counts->duplicate++;
        return true;
    }
    counts->unique++;
    return disk_index_put(&points->texts, record->digest, first, err);
}

static void digest_point(struct chunk_points *points,
                         const struct chunk_parts *parts,
                         const struct chunk_record *record) {
    digest_text(points->digest, strbuf_str(&parts->chunk_id));
    sha256_add(points->digest, record->digest, SHA256_BYTES);
    if (text_options_on(&points->intake->options))
        sha256_add(points->digest, parts->original_digest, SHA256_BYTES);
    digest_text(points->digest, parts->metadata);
}

static bool flush(struct chunk_points *points, struct error *err) {
    size_t count = points->block_count;
    uint64_t at = points->written * sizeof *points->block;
    points->block_count = 0;
    points->written += count;
    return file_pwrite(points->fd, points->block, count * sizeof *points->block,
                       at, points->intake->records, err);
}

static void note_longest(struct intake *intake, struct str id) {
    size_t room = sizeof intake->longest_id - 1;
    size_t size = id.size < room ? id.size : room;
    memcpy(intake->longest_id, id.data, size);
    intake->longest_id[size] = '\0';
}

static void raise_to(uint64_t *most, uint64_t value) {
    if (value > *most)
        *most = value;
}

bool chunk_points_add(struct chunk_points *points, struct chunk_parts *parts,
                      struct chunk_record *record, const char *relative,
                      struct error *err) {
    struct intake_counts *counts = &points->intake->counts;
    memcpy(record->digest, parts->digest, SHA256_BYTES);
    if (!note_text(points, record, parts->own_id, err) ||
        (!parts->own_id &&
         !make_own_id(points, parts, record, relative, err)) ||
        !take_id(points, parts, record, err))
        return false;
    digest_point(points, parts, record);
    counts->points++;
    counts->text_bytes += parts->text.size;
    counts->id_bytes += parts->chunk_id.size;
    if (parts->text.size > counts->text_bytes_longest)
        note_longest(points->intake, strbuf_str(&parts->chunk_id));
    raise_to(&counts->text_bytes_longest, parts->text.size);
    raise_to(&counts->id_bytes_longest, parts->chunk_id.size);
    raise_to(&counts->chunk_bytes_longest, record->size);
    raise_to(&counts->made_bytes_longest, parts->made_bytes);
    points->block[points->block_count++] = *record;
    return points->block_count < RECORDS_A_BLOCK || flush(points, err);
}

bool chunk_points_finish(struct chunk_points *points, struct error *err) {
    sha256_end(points->digest, points->intake->digest);
    points->digest = NULL;
    return flush(points, err);
}
