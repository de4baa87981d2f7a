/* chunk_folder.h - a folder of its own for each test to write chunk files into,
 * and its first collection read. */

#ifndef TESTS_DATA_CHUNK_FOLDER_H
#define TESTS_DATA_CHUNK_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/chunks.h"

static struct memory memory;

struct place {
    char root[64];    /* the input */
    char scratch[64]; /* what is ours */
};

static inline int set_up(void **state) {
    struct place *place = calloc(1, sizeof *place);
    strcpy(place->root, "/tmp/ens-chunks-XXXXXX");
    if (!mkdtemp(place->root))
        return -1;
    snprintf(place->scratch, sizeof place->scratch, "%s/.ensembed",
             place->root);
    *state = place;
    return mkdir(place->scratch, 0777);
}

static inline int tear_down(void **state) {
    struct place *place = *state;
    folder_remove(place->root, NULL);
    free(place);
    uint64_t left = memory_live(&memory);
    memory.live = 0; /* the next test has its own */
    return left != 0;
}

static inline char *path_in(const struct place *place, const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", place->root, name);
    return path;
}

static inline void put_bytes(const struct place *place, const char *name,
                             const void *data, size_t size) {
    char *path = path_in(place, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_true(folder_make(path, NULL));
    *slash = '/';
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static inline void put(const struct place *place, const char *name,
                       const char *text) {
    put_bytes(place, name, text, strlen(text));
}

static inline struct chunk_listing *list_of(
    const struct place *place, const struct chunk_options *options) {
    struct error err = {0};
    struct chunk_listing *list =
        chunks_list(&memory, place->root, options, &err);
    if (!list)
        fail_msg("%s", err.message);
    return list;
}

/* The first collection below the root, scanned. */
struct read {
    struct chunk_listing *list;
    struct intake *in;
};

static inline struct read read_with(const struct place *place,
                                    const struct chunk_options *options,
                                    const struct sink *sink) {
    struct error err = {0};
    struct read r = {.list = list_of(place, options)};
    assert_true(r.list->count > 0);
    r.in = intake_scan(&memory, &r.list->collections[0], options,
                       place->scratch, sink, &err);
    if (!r.in)
        fail_msg("%s", err.message);
    return r;
}

static inline struct read read_all(const struct place *place) {
    struct chunk_options options = {0};
    return read_with(place, &options, NULL);
}

static inline void done(struct read *r) {
    intake_free(r->in);
    chunks_free(r->list);
}

#define IN_A_FOLDER(test)                                                      \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
