/* search_chunks.c - the chunks behind the rows of a collection. */

#include "run/search_parts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "data/json_scan.h"

/* Line ROW of PATH, by the offsets that the run wrote beside it. */
static bool read_at_offset(const char *path, const char *index, uint64_t row,
                           struct strbuf *out, struct error *err) {
    uint64_t begin, end, size = 0;
    int lines = open(path, O_RDONLY | O_CLOEXEC);
    if (lines < 0)
        return error_errno(err, "open %s", path);
    int offsets = open(index, O_RDONLY | O_CLOEXEC);
    bool fine = offsets >= 0 || error_errno(err, "open %s", index);
    fine = fine && file_size(path, &size, err) &&
           file_pread(offsets, &begin, sizeof begin, row * 8, index, err);
    if (fine &&
        !file_pread(offsets, &end, sizeof end, row * 8 + 8, index, NULL))
        end = size;
    fine = fine && begin < end && end <= size &&
           strbuf_reserve(out, end - begin) &&
           file_pread(lines, out->data, end - begin, begin, path, err);
    if (fine)
        out->size = end - begin;
    close(lines);
    if (offsets >= 0)
        close(offsets);
    return fine;
}

/* Line ROW of PATH, found by counting lines. */
static bool read_counted(const char *path, uint64_t row, struct strbuf *out,
                         struct error *err) {
    struct file_map map;
    if (!file_map_open(&map, path, err))
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

/* The JSON string VALUE, decoded. */
static struct str copy_string(struct searching *s, struct str value) {
    struct strbuf plain = strbuf_make(&s->result->memory);
    json_decode_add(value, &plain);
    const char *copy = arena_copy(&s->result->arena, strbuf_str(&plain), NULL);
    struct str text = copy ? (struct str){copy, plain.size} : STR("");
    strbuf_free(&plain);
    return text;
}

/* Read as a chunk is: its metadata came as it was, with numbers of any size. */
static struct str copy_member(struct searching *s, struct str object,
                              const char *key) {
    struct json_item item;
    return json_find(object, key, &item) && item.kind == SCAN_STRING
               ? copy_string(s, item.value)
               : STR("");
}

static bool take_point(struct searching *s, const struct shelf *shelf,
                       struct str line, struct search_hit *hit) {
    struct json_item payload;
    if (!json_find(line, "payload", &payload) || payload.kind != SCAN_OBJECT)
        return false;
    const char *field =
        json_string_value(json_object_get(shelf->stats, "text_field"));
    hit->text = copy_member(s, payload.value, field ? field : "text");
    hit->chunk_id = copy_member(s, payload.value, "chunk_id");
    hit->source = copy_member(s, payload.value, "source_file");
    return true;
}

static bool take_text(struct searching *s, struct str line,
                      struct search_hit *hit) {
    struct json_scan scan;
    json_scan_memory(&scan, line);
    if (json_scan_next(&scan) != SCAN_STRING)
        return false;
    hit->text = copy_string(s, line);
    return true;
}

bool search_describe(struct searching *s, const struct shelf *shelf,
                     struct search_hit *hit, struct error *err) {
    char points[PATH_MAX], texts[PATH_MAX], offsets[PATH_MAX];
    if (!path_join(points, shelf->folder, "points.jsonl", err) ||
        !path_join(texts, shelf->folder, "texts.jsonl", err) ||
        !path_join(offsets, shelf->folder, ".ensembed/points.offsets", err))
        return false;
    bool have_points = file_exists(points);
    const char *path = have_points ? points : texts;
    hit->text = hit->chunk_id = hit->source = STR("");
    if (!file_exists(path))
        return true; /* not exported */
    struct strbuf line = strbuf_make(&s->result->memory);
    struct error refused = {0};
    bool fine =
        (have_points && file_exists(offsets)
             ? read_at_offset(points, offsets, hit->row, &line, &refused)
             : read_counted(path, hit->row, &line, &refused)) &&
        strbuf_ok(&line, &refused) &&
        (have_points ? take_point(s, shelf, strbuf_str(&line), hit)
                     : take_text(s, strbuf_str(&line), hit));
    strbuf_free(&line);
    if (!fine && refused.code && refused.code != ERROR_INPUT)
        return error_set(err, refused.code, "%s", refused.message);
    return fine || error_set(err, ERROR_INPUT,
                             "%s: line %" PRIu64 " is not what a run writes; "
                             "delete the file and run again",
                             path, hit->row + 1);
}
