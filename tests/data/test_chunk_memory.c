/* test_chunk_memory.c - reading takes as much memory for many chunks as for
 * few, and for a very long one what it has, or leaves it out by name. */

#include "base/disk_index.h"
#include "data/chunk_folder.h"

static FILE *open_big(const struct place *place, const char *name) {
    FILE *file = fopen(path_in(place, name), "wb");
    assert_non_null(file);
    return file;
}

static void write_many(const struct place *place, unsigned count, bool lines) {
    FILE *file = open_big(place, lines ? "big.jsonl" : "big.json");
    unlink(path_in(place, lines ? "big.json" : "big.jsonl"));
    fputs(lines ? "" : "[", file);
    for (unsigned i = 0; i < count; i++)
        fprintf(file,
                "%s{\"text\":\"chunk %u of a large corpus\",\"metadata\":{"
                "\"chunk_id\":\"c%u\",\"n\":%u}}\n",
                i && !lines ? "," : "", i % (count / 10 * 9), i, i);
    fputs(lines ? "" : "]", file);
    fclose(file);
}

static uint64_t peak_of(const struct place *place, unsigned count, bool lines) {
    write_many(place, count, lines);
    memory.peak = memory_live(&memory);
    struct read r = read_all(place);
    assert_int_equal(r.in->counts.points, count);
    assert_int_equal(r.in->counts.unique, count / 10 * 9);
    struct chunk chunk;
    struct chunk_reader *reader = chunk_reader_open(r.in, NULL);
    uint64_t points = 0;
    while (chunk_reader_next(reader, true, &chunk, NULL) == CHUNK_OK)
        points++;
    assert_int_equal(points, count / 10 * 9);
    chunk_reader_close(reader);
    done(&r);
    return memory_peak(&memory);
}

static void memory_does_not_grow(void **state) {
    const struct place *place = *state;
    /* Both have more ids and texts than an index holds. */
    uint64_t small = peak_of(place, 100000, true);
    uint64_t large = peak_of(place, 200000, true);
    uint64_t array = peak_of(place, 200000, false);
    assert_int_equal(small, large);
    assert_true(array <= large + 4096);
    assert_true(large < 1024 * 1024 + 2 * DISK_INDEX_HELD_MAX);
}

static void a_hundred_megabytes_of_text(void **state) {
    const struct place *place = *state;
    const size_t size = 100 * 1000 * 1000;
    FILE *file = open_big(place, "big.json");
    fputs("[{\"id\":1,\"text\":\"", file);
    for (size_t i = 0; i < size / 10; i++)
        fputs("012345678 ", file);
    fputs("\"},{\"id\":2,\"text\":\"small\"}]", file);
    fclose(file);
    memory.peak = memory_live(&memory);
    struct read r = read_all(place);
    assert_int_equal(r.in->counts.points, 2);
    assert_int_equal(r.in->counts.text_bytes_longest, size);
    struct chunk chunk;
    struct chunk_reader *reader = chunk_reader_open(r.in, NULL);
    assert_int_equal(chunk_reader_next(reader, false, &chunk, NULL), CHUNK_OK);
    assert_int_equal(chunk.text.size, size);
    assert_int_equal(chunk_reader_next(reader, false, &chunk, NULL), CHUNK_OK);
    assert_true(str_equal(chunk.text, STR("small")));
    assert_true(memory_live(&memory) < 1024 * 1024);
    chunk_reader_close(reader);
    done(&r);
    assert_true(memory_peak(&memory) < size + 1024 * 1024);
    /* Below a ceiling it is left out by name, and the run goes on. */
    memory.ceiling = 50 * 1000 * 1000;
    r = read_all(place);
    memory.ceiling = 0;
    assert_int_equal(r.in->counts.points, 1);
    assert_int_equal(r.in->counts.failed, 1);
    assert_string_equal(r.in->problems[0].code, "chunk_too_long");
    assert_int_equal(r.in->problems[0].column, 2);
    done(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(memory_does_not_grow),
        IN_A_FOLDER(a_hundred_megabytes_of_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
