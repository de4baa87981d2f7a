/* test_base.c - the parts of base/ that have a right answer to compare with. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/disk_index.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/layout.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/str.h"
#include "base/utf8.h"

static void memory_keeps_its_ceiling(void **state) {
    (void)state;
    struct memory memory = {.ceiling = 10000};
    struct error err = {0};
    void *a = memory_alloc(&memory, 50, 100, &err);
    assert_non_null(a);
    assert_int_equal((uintptr_t)a % 64, 0);
    uint64_t live = memory_live(&memory);
    assert_true(live >= 5000);
    assert_null(memory_alloc(&memory, 50, 100, &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    assert_int_equal(memory_live(&memory), live);
    assert_null(memory_alloc(&memory, SIZE_MAX / 2, 3, &err));
    a = memory_resize(&memory, a, 10, 10, &err);
    assert_non_null(a);
    memory_free(&memory, a);
    assert_int_equal(memory_live(&memory), 0);
    assert_true(memory_peak(&memory) <= memory.ceiling);
}

static void layout_measures_what_it_places(void **state) {
    (void)state;
    struct layout measure = {0};
    assert_null(layout_take(&measure, 3, 5));
    assert_null(layout_take(&measure, 100, 4));
    assert_int_equal(measure.bytes, 64 + 448);
    struct memory memory = {0};
    struct layout real = {.base =
                              memory_alloc(&memory, measure.bytes, 1, NULL)};
    char *first = layout_take(&real, 3, 5);
    char *second = layout_take(&real, 100, 4);
    assert_ptr_equal(first + 64, second);
    assert_int_equal(real.bytes, measure.bytes);
    memory_free(&memory, real.base);
    struct layout absurd = {0};
    layout_take(&absurd, SIZE_MAX / 2, 3);
    assert_true(absurd.overflow);
}

static void errors_are_utf8(void **state) {
    (void)state;
    char text[3000];
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xC3\xA9", 3);
    struct error err = {0};
    assert_false(error_set(&err, ERROR_INPUT, "x%s", text));
    struct str message = str_from(err.message);
    assert_int_equal(utf8_valid_prefix(message), message.size);
    assert_false(error_set(NULL, ERROR_INPUT, "nobody listens"));
    error_set(&err, ERROR_INPUT, "%.2s in \xFFname\xC3\xA4: %.3s", "\xC3\xA4",
              "\x82\xAC");
    assert_string_equal(err.message, "\xC3\xA4 in ?name\xC3\xA4: ??");
}

/* What to do about it is another thing for each of them. */
static void a_refused_write_says_what_helps(void **state) {
    (void)state;
    static const struct {
        int cause;
        enum error_code code;
        const char *remedy;
    } cases[] = {{ENOSPC, ERROR_FULL, "free some and run the same command"},
                 {EDQUOT, ERROR_FULL, "(its quota); free some and run"},
                 {EFBIG, ERROR_FULL, "(ulimit -f); raise that and run"},
                 {EMFILE, ERROR_IO, "(ulimit -n)"},
                 {ENFILE, ERROR_IO, "other programs hold them"},
                 {ENOMEM, ERROR_MEMORY, "a limit (ulimit -v)"},
                 {EINTR, ERROR_INTERRUPTED, "run the same command again"},
                 {EAGAIN, ERROR_BUSY, "run the same command again"},
                 {EIO, ERROR_IO, "once that is mended, run the same command"},
                 {EROFS, ERROR_IO, "choose another place"},
                 {EACCES, ERROR_IO, "give this user the right to"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        errno = cases[i].cause;
        assert_false(error_errno(&err, "write %s", "o/x.npy"));
        assert_int_equal(err.code, cases[i].code);
        assert_non_null(strstr(err.message, "cannot write o/x.npy: "));
        assert_non_null(strstr(err.message, cases[i].remedy));
    }
}

static void *no_room(size_t size) {
    (void)size;
    errno = ENOMEM;
    return NULL;
}

/* A sound document is not said to be broken for want of memory. */
static void json_without_memory_is_not_broken(void **state) {
    (void)state;
    struct error err = {0};
    json_t *document = json_parse(STR("\xEF\xBB\xBF{\"a\": 1}"), "x", &err);
    assert_non_null(document);
    json_decref(document);
    json_set_alloc_funcs(no_room, free);
    assert_null(json_parse(STR("{\"a\": 1}"), "x.json", &err));
    json_set_alloc_funcs(malloc, free);
    assert_int_equal(err.code, ERROR_MEMORY);
    assert_non_null(strstr(err.message, "x.json: no memory"));
    assert_null(json_parse(STR("{\"a\": }"), "x.json", &err));
    assert_int_equal(err.code, ERROR_INPUT);
}

static void strbuf_writes_json_strings(void **state) {
    (void)state;
    struct memory memory = {0};
    struct strbuf buf = strbuf_make(&memory);
    strbuf_add_json(&buf, (struct str){"a\"\\\n\x01\xC3\xA9\0z", 9});
    assert_string_equal(buf.data, "\"a\\\"\\\\\\n\\u0001\xC3\xA9\\u0000z\"");
    strbuf_free(&buf);

    struct memory tight = {.ceiling = 1000};
    buf = strbuf_make(&tight);
    for (int i = 0; i < 1000; i++)
        strbuf_add(&buf, STR("0123456789"));
    struct error err = {0};
    assert_false(strbuf_ok(&buf, &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    strbuf_free(&buf);
    assert_int_equal(memory_live(&tight), 0);
}

static void map_finds_what_was_put(void **state) {
    (void)state;
    struct memory memory = {0};
    struct arena arena = arena_make(&memory);
    struct map map = map_make(&memory);
    uint64_t value = 0;
    assert_false(map_get(&map, STR("absent"), &value));
    for (uint64_t i = 0; i < 5000; i++) {
        char *key = arena_printf(&arena, NULL, "key %d", (int)i);
        assert_true(map_put(&map, str_from(key), i, NULL));
    }
    assert_true(map_put(&map, STR(""), 77, NULL));
    assert_true(map_put(&map, STR("key 7"), 70, NULL));
    assert_int_equal(map.count, 5001);
    for (uint64_t i = 0; i < 5000; i++) {
        char key[32];
        snprintf(key, sizeof key, "key %d", (int)i);
        assert_true(map_get(&map, str_from(key), &value));
        assert_int_equal(value, i == 7 ? 70 : i);
    }
    assert_true(map_get(&map, STR(""), &value));
    assert_int_equal(value, 77);
    map_free(&map);
    arena_free(&arena);
    assert_int_equal(memory_live(&memory), 0);
}

/* RFC 9562 appendix A.4 and the vectors of FIPS 180. */
static void digests_match_their_standards(void **state) {
    (void)state;
    uint8_t digest[32], uuid[16];
    char hex[65], text[37];
    hash_sha256(STR("abc"), digest);
    hash_hex(digest, 32, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb"
                             "410ff61f20015ad");
    hash_sha1(STR("abc"), digest);
    hash_hex(digest, 20, hex);
    assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    uuid5(UUID_DNS, STR("www.example.com"), uuid);
    uuid_text(uuid, text);
    assert_string_equal(text, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

static void utf8_follows_the_table_of_well_formed_sequences(void **state) {
    (void)state;
    for (uint32_t code = 0; code < 0x110000; code++) {
        char bytes[4];
        size_t size = utf8_put(code, bytes);
        size_t at = 0;
        uint32_t back = utf8_next((struct str){bytes, size}, &at);
        bool surrogate = code >= 0xD800 && code < 0xE000;
        assert_int_equal(back, surrogate ? UTF8_REPLACEMENT : code);
        assert_int_equal(at, surrogate ? 1 : size);
    }
    static const char *const bad[] = {"\xC0\x80",
                                      "\xC1\xBF",
                                      "\xE0\x9F\xBF",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80",
                                      "\xF8\x88\x80\x80",
                                      "\x80",
                                      "\xE2\x82"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(utf8_valid_prefix(str_from(bad[i])), 0);
    assert_int_equal(utf8_valid_prefix(STR("12345678\xC3\xA9\xFF")), 10);
}

/* U+0000 to U+001F, U+007F and U+0080 to U+009F, as Unicode's category Cc. */
static void control_characters_are_known(void **state) {
    (void)state;
    for (uint32_t code = 0; code < 0x200; code++) {
        char bytes[UTF8_MAX_BYTES];
        size_t size = utf8_put(code, bytes);
        bool control = code < 0x20 || (code >= 0x7F && code < 0xA0);
        assert_int_equal(utf8_control((struct str){bytes, size}, 0),
                         control ? size : 0);
    }
    assert_int_equal(utf8_control((struct str){"\xC2\x80", 1}, 0), 0);
    assert_int_equal(utf8_control(STR("a\x1B"), 1), 1);
}

static void disk_index_grows_and_finds(void **state) {
    (void)state;
    struct memory memory = {0};
    struct disk_index index;
    struct error err = {0};
    char path[] = "/tmp/ensembed_index_XXXXXX";
    close(mkstemp(path));
    assert_true(disk_index_open(&index, path, &memory, &err));
    enum { COUNT = 200000 }; /* more than it holds */
    for (uint64_t i = 0; i < COUNT; i++) {
        uint8_t key[32];
        hash_sha256((struct str){(char *)&i, sizeof i}, key);
        if (i % 3 == 0)
            memset(key, 0, 8); /* all at home in one bucket */
        assert_true((i % 3 == 0 && i > 3000) ||
                    disk_index_put(&index, key, i, &err));
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        uint8_t key[32];
        hash_sha256((struct str){(char *)&i, sizeof i}, key);
        if (i % 3 == 0)
            memset(key, 0, 8);
        bool found;
        uint64_t value = 0;
        assert_true(disk_index_find(&index, key, &found, &value, &err));
        assert_int_equal(found, i % 3 != 0 || i <= 3000);
        assert_true(!found || value == i);
    }
    uint8_t key[32];
    uint64_t five = 5, value = 0;
    bool found;
    hash_sha256((struct str){(char *)&five, sizeof five}, key);
    assert_true(disk_index_replace(&index, key, 55, &err));
    assert_true(disk_index_find(&index, key, &found, &value, &err));
    assert_int_equal(value, 55);
    assert_true(memory_peak(&memory) < DISK_INDEX_HELD_MAX);
    disk_index_close(&index);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(memory_live(&memory), 0);
}

static void number_key(uint64_t number, uint8_t key[32]) {
    hash_sha256((struct str){(char *)&number, sizeof number}, key);
}

/* Every even number below COUNT is there with its value, no odd one is. */
static void check_evens(struct disk_index *index, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        uint8_t key[32];
        bool found = false;
        uint64_t value = 0;
        number_key(i, key);
        assert_true(disk_index_find(index, key, &found, &value, NULL));
        assert_int_equal(found, i % 2 == 0);
        assert_int_equal(value, found ? i + 7 : 0);
    }
}

/* Young keys and old ones: found wherever they are, and changed there; a table
 * that is far larger than what comes is filled a bucket at a time, others by
 * windows. What is held is what was said. */
static void disk_index_keeps_what_is_young(void **state) {
    (void)state;
    static const uint64_t rooms[] = {0, 60000, 8000000};
    enum { COUNT = 260000 };
    for (size_t r = 0; r < sizeof rooms / sizeof *rooms; r++) {
        struct memory memory = {0};
        struct disk_index index;
        char path[] = "/tmp/ensembed_young_XXXXXX";
        close(mkstemp(path));
        assert_true(disk_index_open_for(&index, path, rooms[r], &memory, NULL));
        uint64_t held = memory_live(&memory), said = disk_index_bytes(rooms[r]);
        assert_true(held >= said && held < said + 256);
        for (uint64_t i = 0; i < COUNT; i += 2) {
            uint8_t key[32], early[32];
            number_key(i, key);
            assert_true(disk_index_put(&index, key, i, NULL));
            number_key(i / 4 * 2, early); /* young or old, each once or twice */
            assert_true(disk_index_replace(&index, early, i / 4 * 2 + 7, NULL));
            bool found =
                true; /* one that has just gone to the file, at times */
            uint64_t value;
            number_key(i < 2000 ? i : i - 2000, key);
            assert_true(disk_index_find(&index, key, &found, &value, NULL));
            assert_true(found);
        }
        for (uint64_t i = COUNT / 2; i < COUNT; i += 2) {
            uint8_t key[32];
            number_key(i, key);
            assert_true(disk_index_replace(&index, key, i + 7, NULL));
        }
        assert_int_equal(index.count, COUNT / 2);
        check_evens(&index, COUNT);
        assert_true(memory_peak(&memory) < DISK_INDEX_HELD_MAX);
        disk_index_close(&index);
        assert_int_equal(memory_live(&memory), 0);
    }
}

struct counts {
    _Atomic size_t sum;
    _Atomic unsigned threads;
};

static void add_up(void *context, size_t begin, size_t end, unsigned thread) {
    struct counts *counts = context;
    counts->threads |= 1u << thread;
    for (size_t i = begin; i < end; i++)
        counts->sum += i;
}

static void pool_does_each_item_once(void **state) {
    (void)state;
    struct memory memory = {0};
    struct pool *pool = pool_create(&memory, 3, NULL);
    assert_non_null(pool);
    for (size_t round = 0; round < 200; round++) {
        struct counts counts = {0};
        pool_each(pool, round, 7, add_up, &counts);
        assert_int_equal(counts.sum, round ? round * (round - 1) / 2 : 0);
    }
    pool_free(pool);
    assert_int_equal(memory_live(&memory), 0);
}

/* What was added comes back, and what has left the buffer are whole pieces at
 * multiples of their size, whatever was added at a time. */
static void a_file_is_written_in_whole_pieces(void **state) {
    (void)state;
    enum { BYTES = 5000011, SMALL = 256 << 10, LARGE = 2 << 20 };
    struct memory memory = {0};
    char path[64] = "/tmp/ensembed_pieces_XXXXXX", part[80];
    assert_non_null(mkdtemp(path));
    char folder[64];
    strcpy(folder, path);
    strcat(path, "/f");
    snprintf(part, sizeof part, "%s.part", path);
    char *data = memory_alloc(&memory, BYTES, 1, NULL);
    for (size_t i = 0; i < BYTES; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    static const uint64_t told[] = {0, LARGE - 1, LARGE, UINT64_MAX};
    for (size_t t = 0; t < sizeof told / sizeof *told; t++) {
        size_t piece = told[t] < LARGE ? SMALL : LARGE, some = 1, patched = 0;
        uint64_t bytes, taken = memory_live(&memory);
        struct file_writer writer;
        assert_true(t == 0 ? file_writer_open(&writer, path, &memory, NULL)
                           : file_writer_open_large(&writer, path, told[t],
                                                    &memory, NULL));
        taken = memory_live(&memory) - taken;
        assert_true(taken >= file_writer_large_bytes(told[t]) &&
                    taken < file_writer_large_bytes(told[t]) + 1024);
        for (size_t at = 0; at < BYTES; at += some) {
            some = some * 7 % 900001;
            if (some > BYTES - at)
                some = BYTES - at;
            assert_true(file_writer_add(&writer, data + at, some, NULL));
            assert_true(file_size(part, &bytes, NULL));
            size_t whole = (at + some) / piece * piece;
            assert_int_equal(bytes, whole > patched ? whole : patched);
            if (patched || at < BYTES / 2)
                continue;
            patched = at + some; /* the buffer leaves before its time */
            assert_true(file_writer_patch(&writer, 5, data + 5, 1, NULL));
        }
        assert_true(file_writer_commit(&writer, NULL));
        file_writer_close(&writer);
        struct file_map map;
        assert_true(file_map_open(&map, path, NULL));
        file_map_read_through(&map);
        assert_int_equal(map.size, BYTES);
        assert_memory_equal(map.data, data, BYTES);
        file_map_close(&map);
    }
    memory_free(&memory, data);
    assert_int_equal(memory_live(&memory), 0);
    assert_true(folder_remove(folder, NULL));
}

/* ---- a system that refuses ----------------------------------------------- */

enum call { NO_CALL, WRITE, FSYNC, CLOSE, RENAME };
static enum call refused; /* the next one of these fails, once */
static int interruptions; /* so many syncs are interrupted */

static bool refuse(enum call call) {
    if (refused != call)
        return false;
    refused = NO_CALL;
    errno = EIO;
    return true;
}

static bool interrupt(void) {
    if (!interruptions)
        return false;
    interruptions--;
    errno = EINTR;
    return true;
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

ssize_t __wrap_write(int fd, const void *data, size_t size) {
    return refuse(WRITE) ? -1 : __real_write(fd, data, size);
}

int __wrap_fsync(int fd) {
    return interrupt() || refuse(FSYNC) ? -1 : __real_fsync(fd);
}

int __wrap_fdatasync(int fd) {
    return interrupt() ? -1 : __real_fdatasync(fd);
}

/* The number is free again, whatever it says (Linux). */
int __wrap_close(int fd) {
    return __real_close(fd) != 0 || refuse(CLOSE) ? -1 : 0;
}

int __wrap_rename(const char *from, const char *to) {
    return refuse(RENAME) ? -1 : __real_rename(from, to);
}

static void a_refused_commit_leaves_the_former_file(void **state) {
    (void)state;
    static const struct {
        enum call call;
        const char *says; /* before the name */
    } cases[] = {{WRITE, "cannot write "},
                 {FSYNC, "cannot sync "},
                 {CLOSE, "cannot close "},
                 {RENAME, "cannot rename "}};
    struct memory memory = {0};
    char folder[] = "/tmp/ensembed_file_XXXXXX", path[128], part[140];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/artefact", folder);
    snprintf(part, sizeof part, "%s.part", path);
    assert_true(file_write(path, STR("former"), &memory, NULL));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        struct strbuf there = strbuf_make(&memory);
        refused = cases[i].call;
        assert_false(file_write(path, STR("new"), &memory, &err));
        assert_int_equal(refused, NO_CALL);
        assert_int_equal(err.code, ERROR_IO);
        assert_int_equal(
            strncmp(err.message, cases[i].says, strlen(cases[i].says)), 0);
        assert_non_null(strstr(err.message, path));
        assert_false(file_exists(part));
        assert_true(file_read(path, 100, &there, NULL));
        assert_string_equal(strbuf_str(&there).data, "former");
        strbuf_free(&there);
    }
    assert_true(folder_remove(folder, NULL));
    assert_int_equal(memory_live(&memory), 0);
}

/* What is on its way to a file system in a network is synced all the same. */
static void a_sync_that_is_interrupted_is_done(void **state) {
    (void)state;
    static bool (*const syncs[])(int fd, const char *path,
                                 struct error *err) = {file_sync,
                                                       file_sync_data};
    char path[] = "/tmp/ensembed_file_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof syncs / sizeof *syncs; i++) {
        interruptions = 3;
        assert_true(syncs[i](fd, path, NULL));
        assert_int_equal(interruptions, 0);
    }
    close(fd);
    assert_true(file_remove(path, NULL));
}

static void a_file_is_whole_or_not_there(void **state) {
    (void)state;
    struct memory memory = {0};
    struct error err = {0};
    char folder[] = "/tmp/ensembed_file_XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[128], part[140], deep[140];
    snprintf(path, sizeof path, "%s/artefact", folder);
    snprintf(part, sizeof part, "%s.part", path);
    struct file_writer writer;
    assert_true(file_writer_open(&writer, path, &memory, &err));
    assert_true(file_writer_add(&writer, "0123456789", 10, &err));
    assert_false(file_exists(path));
    file_writer_close(&writer);
    assert_false(file_exists(path));
    assert_false(file_exists(part));

    assert_true(file_writer_open(&writer, path, &memory, &err));
    for (int i = 0; i < 100000; i++)
        assert_true(file_writer_add(&writer, "0123456789", 10, &err));
    assert_true(file_writer_patch(&writer, 3, "abc", 3, &err));
    assert_true(file_writer_add(&writer, "end", 3, &err));
    assert_true(file_writer_commit(&writer, &err));
    file_writer_close(&writer);
    struct file_map map;
    assert_true(file_map_open(&map, path, &err));
    assert_int_equal(map.size, 1000003);
    assert_memory_equal(map.data, "012abc6789012", 13);
    assert_memory_equal(map.data + 1000000, "end", 3);
    file_map_close(&map);

    assert_true(file_copy(path, part, &memory, &err));
    uint64_t copied = 0;
    assert_true(file_size(part, &copied, &err));
    assert_int_equal(copied, 1000003);

    snprintf(deep, sizeof deep, "%s/a/b/c", folder);
    assert_true(folder_make(deep, &err));
    assert_false(folder_make(path, &err));
    uint64_t bytes = 0;
    strcat(deep, "/none/yet");
    assert_true(disk_free(deep, &bytes, &err));
    assert_true(bytes > 0);
    /* The nearest folder that is there counts: /proc has no blocks, / has. */
    assert_true(disk_free("/proc/none", &bytes, &err));
    assert_int_equal(bytes, 0);
    assert_true(disk_free("/proc/none/yet", &bytes, &err));
    assert_int_equal(bytes, 0);
    assert_true(folder_remove(folder, &err));
    assert_false(folder_exists(folder));
    assert_int_equal(memory_live(&memory), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_keeps_its_ceiling),
        cmocka_unit_test(layout_measures_what_it_places),
        cmocka_unit_test(errors_are_utf8),
        cmocka_unit_test(a_refused_write_says_what_helps),
        cmocka_unit_test(json_without_memory_is_not_broken),
        cmocka_unit_test(strbuf_writes_json_strings),
        cmocka_unit_test(map_finds_what_was_put),
        cmocka_unit_test(digests_match_their_standards),
        cmocka_unit_test(utf8_follows_the_table_of_well_formed_sequences),
        cmocka_unit_test(control_characters_are_known),
        cmocka_unit_test(disk_index_grows_and_finds),
        cmocka_unit_test(disk_index_keeps_what_is_young),
        cmocka_unit_test(pool_does_each_item_once),
        cmocka_unit_test(a_file_is_whole_or_not_there),
        cmocka_unit_test(a_refused_commit_leaves_the_former_file),
        cmocka_unit_test(a_sync_that_is_interrupted_is_done),
        cmocka_unit_test(a_file_is_written_in_whole_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
