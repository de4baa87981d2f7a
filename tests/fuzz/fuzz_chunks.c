/* layer: data
 *
 * Bytes as the content of a chunk file, read as a document and as JSON Lines:
 * whatever they are, the intake ends, the counts add up, and a reader gives
 * every point that was counted. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "data/chunks.h"
#include "data/json_scan.h"
#include "data/payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                               \
    do                                                                         \
        if (!(x))                                                              \
            abort();                                                           \
    while (0)

static bool is_json(struct str bytes) {
    struct json_scan scan;
    json_scan_memory(&scan, bytes);
    return json_scan_skip(&scan, json_scan_next(&scan)) &&
           json_scan_next(&scan) == SCAN_END;
}

static void check_point(const struct chunk *chunk, const struct collection *c,
                        struct memory *memory) {
    struct strbuf out = strbuf_make(memory);
    CHECK(utf8_valid_prefix(chunk->text) == chunk->text.size);
    CHECK(utf8_valid_prefix(chunk->chunk_id) == chunk->chunk_id.size);
    CHECK(chunk->text.size > 0 && chunk->chunk_id.size > 0);
    CHECK(is_json(chunk->metadata));
    payload_write(&out, chunk, c, "text");
    CHECK(is_json(strbuf_str(&out)));
    CHECK(!memchr(out.data, '\n', out.size));
    CHECK(json_mend_surrogates(out.data, out.size) == 0);
    strbuf_free(&out);
}

static void check_points(const struct intake *in, struct memory *memory) {
    struct error err = {0};
    struct chunk chunk;
    enum chunk_step step;
    uint64_t points = 0, unique = 0;
    struct chunk_reader *reader = chunk_reader_open(in, &err);
    CHECK(reader);
    while ((step = chunk_reader_next(reader, false, &chunk, &err)) ==
           CHUNK_OK) {
        CHECK(chunk.point == points++);
        unique += !chunk.duplicate;
        check_point(&chunk, in->collection, memory);
    }
    CHECK(step == CHUNK_END);
    CHECK(points == in->counts.points && unique == in->counts.unique);
    chunk_reader_close(reader);
}

static void check_counts(const struct intake *in) {
    const struct intake_counts *c = &in->counts;
    CHECK(c->found == c->points + c->blank + c->failed);
    CHECK(c->points == c->unique + c->duplicate);
    CHECK(in->problems_total >= in->problems_count);
    CHECK(c->blank + c->failed + c->lines_failed + c->repeated_ids <=
          in->problems_total);
    CHECK(!(c->files_failed || c->failed) || in->problems_count);
}

static void read_as(bool lines, const char *path, const char *scratch,
                    const uint8_t *data, size_t size) {
    struct memory memory = {0};
    struct error err = {0};
    struct chunk_file file = {path, "x.json", lines};
    struct collection collection = {.name = "c",
                                    .folder = "c",
                                    .canonical = "c",
                                    .files = &file,
                                    .files_count = 1};
    /* The first bytes choose the window and the options. */
    struct chunk_options options = {
        .read_bytes = size ? 16 + data[0] % 50 : 16,
        .collapse_whitespace = size > 1 && data[1] & 1,
        .trim_chars = size > 1 && data[1] & 2 ? 5 : 0};
    struct intake *in =
        intake_scan(&memory, &collection, &options, scratch, NULL, &err);
    CHECK(in);
    check_counts(in);
    check_points(in, &memory);
    intake_free(in);
    CHECK(memory_live(&memory) == 0);
}

static void read_as_line(const uint8_t *data, size_t size) {
    struct memory memory = {0};
    struct error err = {0};
    struct strbuf out = strbuf_make(&memory);
    if (chunk_line_text((struct str){(const char *)data, size}, "in", 1, &out,
                        &err))
        CHECK(utf8_valid_prefix(strbuf_str(&out)) == out.size);
    else
        CHECK(err.code == ERROR_INPUT);
    strbuf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char scratch[64], path[80];
    /* In memory where the system has such a place: a run is all small files. */
    strcpy(scratch, "/dev/shm/ens-fuzz-XXXXXX");
    if (!mkdtemp(scratch)) {
        strcpy(scratch, "/tmp/ens-fuzz-XXXXXX");
        CHECK(mkdtemp(scratch));
    }
    strcpy(path, scratch);
    strcat(path, "/input");
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(data, 1, size, file) == size && !fclose(file));
    read_as(false, path, scratch, data, size);
    read_as(true, path, scratch, data, size);
    read_as_line(data, size);
    unlink(path);
    CHECK(!rmdir(scratch));
    return 0;
}
