/* search_chunks.c - the chunks behind the rows of a collection. */

#include "run/search_parts.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"

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

void search_describe(struct searching *s, const struct shelf *shelf,
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
