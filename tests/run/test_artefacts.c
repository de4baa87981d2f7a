/* test_artefacts.c - the files of a collection whose models give dense, sparse
 * and multi vectors: what stands in which row, what is left out, what is
 * written again and what goes. Stores are filled by hand; no model runs.
 *
 * With SCENE_FOLDER the first scene's files stay there, for artefacts.py. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/pool.h"
#include "data/csr.h"
#include "data/multi.h"
#include "model/family.h"
#include "run/artefacts.h"
#include "run/scanned.h"

enum { TEXTS = 60, WIDTH = 4, TERMS = 500, TOKEN_WIDTH = 3, ITEMS_MAX = 6 };
enum { MEMBERS = 3 }; /* alpha: all heads; beta: sparse; gamma: multi */

static const unsigned ALL_HEADS[MEMBERS] = {7, 1 << ROW_SPARSE, 1 << ROW_MULTI};

/* ---- what the model MEMBER says of "text N"; artefacts.py has the same ----
 */

static size_t count_of(size_t member, unsigned n) {
    return (n * 5 + member) % (ITEMS_MAX + 1);
}

static uint32_t index_of(size_t member, unsigned n, size_t j) {
    return (uint32_t)(n + 70 * j + member);
}

static float value_of(size_t member, unsigned n, size_t j) {
    return (float)(n * 8 + j + member * 3 + 1) / 16;
}

struct stage {
    struct run_options options;
    struct session session;
    struct family family;
    struct model_files files;
    struct model_request requests[MEMBERS];
    struct member members[MEMBERS];
    struct roster roster;
    struct chunk_listing *list;
    struct intake *intake;
    struct head_stores stores[MEMBERS];
    struct artefacts artefacts;
    struct scanned_places at;
};

/* ---- the stage ------------------------------------------------------------
 */

/* Some texts come twice: every sixth chunk has that of the one before. */
static unsigned text_of_chunk(unsigned i) {
    return i % 6 == 5 ? i - 1 : i;
}

static void write_chunks(const char *path) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (unsigned i = 0; i < TEXTS; i++) {
        fprintf(f,
                "{\"text\": \"text %u\", \"metadata\": {\"chunk_id\": \"c%u\"",
                text_of_chunk(i), i);
        if (i % 4) /* not by the text: two chunks with one differ */
            fprintf(f,
                    ", \"sparse_features\": {\"term_weights\": ["
                    "{\"term\": \"t%u\", \"weight\": 3}, "
                    "{\"term\": \"u\", \"weight\": 4}]}",
                    i);
        fprintf(f, "}}\n");
    }
    assert_int_equal(fclose(f), 0);
}

static void set_members(struct stage *s, const unsigned *heads) {
    static const char *const keys[MEMBERS] = {"alpha", "beta", "gamma"};
    s->family.title = "none";
    s->files.similarity = "cosine";
    for (size_t m = 0; m < MEMBERS; m++) {
        s->requests[m] =
            (struct model_request){.reference = keys[m], .weight = 1};
        struct member *member = &s->members[m];
        *member = (struct member){
            .request = &s->requests[m],
            .heads = heads[m],
            .files = &s->files,
            .spec = {.family = &s->family,
                     .width = WIDTH,
                     .vocab = TERMS,
                     .multi_width = TOKEN_WIDTH},
            .key = (char *)(uintptr_t)keys[m],
            .width = WIDTH,
        };
    }
    s->roster = (struct roster){.memory = &s->session.memory,
                                .requests = s->requests,
                                .members = s->members,
                                .count = MEMBERS,
                                .usable = MEMBERS,
                                .dense = (heads[0] & 1) != 0};
}

static void open_stores(struct stage *s) {
    json_t *fingerprint = json_pack("{s:s}", "commit", "c0ffee");
    for (size_t m = 0; m < MEMBERS; m++)
        for (enum row_kind h = 0; h < ROW_KINDS; h++) {
            if (!member_has(&s->members[m], h))
                continue;
            char folder[700];
            snprintf(folder, sizeof folder, "%s/.ensembed/%s/%s", s->at.folder,
                     s->members[m].key, row_kind_name(h));
            struct store_request request = {
                .folder = folder,
                .kind = h,
                .fingerprint = fingerprint,
                .isa = "none",
                .width = member_head_width(&s->members[m], h)};
            struct error err = {0};
            s->stores[m].of[h] = store_open(&s->session.memory, &request, &err);
            if (!s->stores[m].of[h])
                fail_msg("%s", err.message);
        }
    json_decref(fingerprint);
}

/* FOLDER is made if it is not there. */
static void stage_open(struct stage *s, const char *folder,
                       const unsigned *heads) {
    struct stage begun = {.options.exports = EXPORT_ALL | EXPORT_TERMS};
    scanned_name(&begun.at, folder);
    *s = begun; /* FOLDER may have been its own */
    assert_true(folder_make(s->at.scratch, NULL));
    write_chunks(s->at.chunks);
    s->session.options = &s->options;
    s->intake =
        scanned(&s->session.memory, &s->at, &s->options.chunk, &s->list);
    set_members(s, heads);
    open_stores(s);
    s->artefacts = (struct artefacts){.session = &s->session,
                                      .roster = &s->roster,
                                      .intake = s->intake,
                                      .stores = s->stores,
                                      .folder = s->at.folder,
                                      .scratch = s->at.folder};
}

static void stage_close(struct stage *s) {
    artefacts_free(&s->artefacts);
    for (size_t m = 0; m < MEMBERS; m++)
        head_stores_close(&s->stores[m]);
    intake_free(s->intake);
    chunks_free(s->list);
    assert_int_equal(memory_live(&s->session.memory), 0);
}

static void store_text(struct stage *s, size_t m, enum row_kind head,
                       unsigned n) {
    uint8_t digest[SHA256_BYTES];
    char text[32];
    uint32_t indices[ITEMS_MAX];
    float values[ITEMS_MAX * TOKEN_WIDTH + WIDTH];
    snprintf(text, sizeof text, "text %u", n);
    hash_sha256(str_from(text), digest);
    for (size_t j = 0; j < ITEMS_MAX; j++)
        indices[j] = index_of(m, n, j);
    for (size_t j = 0; j < sizeof values / sizeof *values; j++)
        values[j] = value_of(m, n, j);
    struct row_span span = {0, count_of(m, n)};
    struct row_batch batch = {.kind = head,
                              .width = member_head_width(&s->members[m], head),
                              .count = 1,
                              .spans = &span,
                              .indices = indices,
                              .values = values};
    assert_true(store_append_rows(s->stores[m].of[head], digest, &batch, NULL));
}

/* All texts to all stores, but LACKING to member LACKS's HEAD. */
static void fill_stores(struct stage *s, size_t lacks, enum row_kind head,
                        unsigned lacking) {
    for (size_t m = 0; m < MEMBERS; m++)
        for (enum row_kind h = 0; h < ROW_KINDS; h++)
            for (unsigned i = 0; s->stores[m].of[h] && i < TEXTS; i++)
                if (text_of_chunk(i) == i &&
                    !(m == lacks && h == head && i == lacking))
                    store_text(s, m, h, i);
}

static void write_files(struct stage *s) {
    struct error err = {0};
    if (!artefacts_write(&s->artefacts, &err))
        fail_msg("%s", err.message);
}

static const char *const FILES[] = {
    "embeddings.npy",          "alpha.sparse.npz", "alpha.multi.npy",
    "alpha.multi.offsets.npy", "beta.sparse.npz",  "gamma.multi.npy",
    "gamma.multi.offsets.npy", "points.jsonl",     "texts.jsonl",
    "chunk-terms.sparse.npz",  "metadata.jsonl",   "stats.json"};
enum { FILES_COUNT = sizeof FILES / sizeof *FILES };

static uint64_t hash_of(const struct stage *s, const char *name) {
    char path[700];
    struct strbuf text = strbuf_make(NULL);
    struct memory memory = {0};
    text.memory = &memory;
    snprintf(path, sizeof path, "%s/%s", s->at.folder, name);
    assert_true(file_read(path, 1 << 20, &text, NULL));
    uint64_t hash = hash_bytes(text.data, text.size);
    strbuf_free(&text);
    return hash;
}

static bool is_there(const struct stage *s, const char *name) {
    char path[700];
    snprintf(path, sizeof path, "%s/%s", s->at.folder, name);
    return file_exists(path);
}

static const char *own_folder(const char *name) {
    static char folder[512];
    snprintf(folder, sizeof folder, "%s", scene_path(name));
    assert_true(folder_remove(folder, NULL));
    return folder;
}

/* -------------------------------------------------------------------------- */

static void all_heads_are_written(void **state) {
    (void)state;
    struct stage s;
    stage_open(&s, own_folder("all"), ALL_HEADS);
    fill_stores(&s, MEMBERS, ROW_DENSE, 0);
    assert_false(artefacts_complete(&s.artefacts));
    write_files(&s);
    assert_int_equal(s.artefacts.points, TEXTS);
    assert_int_equal(s.artefacts.left_out, 0);
    assert_int_equal(json_object_size(s.artefacts.files), FILES_COUNT);
    for (size_t f = 0; f < FILES_COUNT; f++) {
        assert_true(is_there(&s, FILES[f]));
        assert_non_null(json_object_get(s.artefacts.files, FILES[f]));
    }
    /* The dense rows stand in the array; the others keep theirs. */
    assert_true(store_is_retired(s.stores[0].of[ROW_DENSE]));
    assert_true(store_rows(s.stores[1].of[ROW_SPARSE]) > 0);
    assert_true(artefacts_complete(&s.artefacts));
    stage_close(&s);
    scanned_remove(&s.at);
}

static void the_same_bytes_again(void **state) {
    (void)state;
    struct stage s;
    uint64_t before[FILES_COUNT];
    stage_open(&s, own_folder("again"), ALL_HEADS);
    fill_stores(&s, MEMBERS, ROW_DENSE, 0);
    write_files(&s);
    for (size_t f = 0; f < FILES_COUNT; f++)
        before[f] = hash_of(&s, FILES[f]);
    stage_close(&s);
    stage_open(&s, s.at.folder, ALL_HEADS); /* rows from what is on disk */
    assert_true(artefacts_complete(&s.artefacts));
    write_files(&s);
    for (size_t f = 0; f < FILES_COUNT; f++)
        assert_true(before[f] == hash_of(&s, FILES[f]));
    /* One file cut short, and the set is not whole. */
    char path[700];
    snprintf(path, sizeof path, "%s/gamma.multi.offsets.npy", s.at.folder);
    assert_int_equal(truncate(path, 200), 0);
    assert_false(artefacts_complete(&s.artefacts));
    stage_close(&s);
    scanned_remove(&s.at);
}

/* A text that one head of one model lacks is in no file. */
static void a_text_without_all_heads_is_left_out(void **state) {
    (void)state;
    static const struct {
        size_t member;
        enum row_kind head;
    } lacks[] = {{0, ROW_DENSE},
                 {0, ROW_SPARSE},
                 {0, ROW_MULTI},
                 {1, ROW_SPARSE},
                 {2, ROW_MULTI}};
    for (size_t l = 0; l < sizeof lacks / sizeof *lacks; l++) {
        struct stage s;
        struct csr_map csr;
        struct multi_map multi;
        struct npy_map npy;
        char paths[4][700];
        static const char *const names[] = {"embeddings.npy", "beta.sparse.npz",
                                            "gamma.multi.npy",
                                            "gamma.multi.offsets.npy"};
        stage_open(&s, own_folder("lacks"), ALL_HEADS);
        fill_stores(&s, lacks[l].member, lacks[l].head, 4); /* twice there */
        s.artefacts.failed_texts = 1;
        write_files(&s);
        assert_int_equal(s.artefacts.points, TEXTS - 2);
        assert_int_equal(s.artefacts.left_out, 2);
        for (size_t n = 0; n < 4; n++)
            snprintf(paths[n], sizeof paths[n], "%s/%s", s.at.folder, names[n]);
        assert_true(npy_map_open(&npy, paths[0], NULL));
        assert_true(csr_map_open(&csr, paths[1], &s.session.memory, NULL));
        assert_true(multi_map_open(&multi, paths[2], paths[3], NULL));
        assert_int_equal(npy.rows, TEXTS - 2);
        assert_int_equal(csr.rows, TEXTS - 2);
        assert_int_equal(multi.points, TEXTS - 2);
        npy_map_close(&npy);
        csr_map_close(&csr);
        multi_map_close(&multi);
        assert_false(artefacts_complete(&s.artefacts));
        assert_false(artefacts_exist(s.at.folder));
        stage_close(&s);
        scanned_remove(&s.at);
    }
}

/* A set without what a model that failed would have given is no whole one; and
 * the next set knows which files it had. */
static void a_set_without_a_model_is_not_whole(void **state) {
    (void)state;
    static const unsigned fewer[MEMBERS] = {1, 0, 0};
    for (size_t failed = 0; failed < MEMBERS; failed++) {
        struct stage s;
        stage_open(&s, own_folder("failed"), ALL_HEADS);
        fill_stores(&s, MEMBERS, ROW_DENSE, 0);
        head_stores_close(&s.stores[failed]);
        write_files(&s);
        assert_int_equal(is_there(&s, "beta.sparse.npz"), failed != 1);
        assert_false(artefacts_complete(&s.artefacts));
        assert_false(artefacts_exist(s.at.folder));
        stage_close(&s);
        stage_open(&s, s.at.folder, ALL_HEADS); /* the same command again */
        assert_false(artefacts_complete(&s.artefacts));
        stage_close(&s);
        stage_open(&s, s.at.folder, fewer);
        write_files(&s);
        for (size_t f = 0; f < FILES_COUNT; f++)
            if (strstr(FILES[f], "beta") || strstr(FILES[f], "gamma"))
                assert_false(is_there(&s, FILES[f]));
        assert_true(artefacts_complete(&s.artefacts));
        assert_true(artefacts_exist(s.at.folder));
        stage_close(&s);
        scanned_remove(&s.at);
    }
}

/* Heads that are not asked for any more: their files go, their rows stay. */
static void files_of_former_heads_go(void **state) {
    (void)state;
    static const unsigned fewer[MEMBERS] = {1, 1 << ROW_SPARSE, 0};
    struct stage s;
    stage_open(&s, own_folder("former"), ALL_HEADS);
    fill_stores(&s, MEMBERS, ROW_DENSE, 0);
    write_files(&s);
    stage_close(&s);
    stage_open(&s, s.at.folder, fewer);
    assert_false(artefacts_complete(&s.artefacts));
    write_files(&s);
    for (size_t f = 0; f < FILES_COUNT; f++) {
        bool stays = !strstr(FILES[f], "alpha") && !strstr(FILES[f], "gamma");
        assert_int_equal(is_there(&s, FILES[f]), stays);
    }
    assert_true(artefacts_complete(&s.artefacts));
    stage_close(&s);
    stage_open(&s, s.at.folder, ALL_HEADS);
    write_files(&s);
    for (size_t f = 0; f < FILES_COUNT; f++)
        assert_true(is_there(&s, FILES[f]));
    stage_close(&s);
    scanned_remove(&s.at);
}

/* No dense model: there is no embeddings.npy, and all else is as it is. */
static void sparse_alone(void **state) {
    (void)state;
    static const unsigned heads[MEMBERS] = {0, 1 << ROW_SPARSE, 0};
    struct stage s;
    stage_open(&s, own_folder("alone"), heads);
    s.options.exports = EXPORT_NPY | EXPORT_TERMS; /* and no lines */
    fill_stores(&s, MEMBERS, ROW_DENSE, 0);
    write_files(&s);
    assert_int_equal(s.artefacts.points, TEXTS);
    assert_int_equal(json_object_size(s.artefacts.files), 3);
    struct csr_map terms;
    char path[700];
    snprintf(path, sizeof path, "%s/chunk-terms.sparse.npz", s.at.folder);
    assert_true(csr_map_open(&terms, path, &s.session.memory, NULL));
    for (uint64_t i = 0; i < TEXTS; i++) {
        struct csr_row row;
        assert_true(csr_map_row(&terms, i, &row, NULL));
        assert_int_equal(row.count, i % 4 ? 2 : 0);
    }
    csr_map_close(&terms);
    assert_true(is_there(&s, "beta.sparse.npz"));
    assert_false(is_there(&s, "embeddings.npy"));
    assert_true(artefacts_complete(&s.artefacts));
    stage_close(&s);
    scanned_remove(&s.at);
}

/* Lines that threads make wait for each other; the last ones wait too. */
static void all_threads_write_the_same_lines(void **state) {
    (void)state;
    enum { LINES = 3, THREADS = 3 };
    static const unsigned heads[MEMBERS] = {1 << ROW_DENSE, 0, 0};
    static const char *const files[LINES] = {"points.jsonl", "texts.jsonl",
                                             "metadata.jsonl"};
    struct memory pools = {0};
    struct pool *pool = pool_create(&pools, THREADS, NULL);
    struct stage s;
    uint64_t alone[LINES];
    stage_open(&s, own_folder("threads"), heads);
    s.options.exports = EXPORT_ALL;
    fill_stores(&s, MEMBERS, ROW_DENSE, 0);
    write_files(&s);
    for (size_t f = 0; f < LINES; f++)
        alone[f] = hash_of(&s, files[f]);
    s.session.pool = pool;
    write_files(&s);
    for (size_t f = 0; f < LINES; f++)
        assert_true(alone[f] == hash_of(&s, files[f]));
    stage_close(&s);
    pool_free(pool);
    scanned_remove(&s.at);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_heads_are_written),
        cmocka_unit_test(the_same_bytes_again),
        cmocka_unit_test(a_text_without_all_heads_is_left_out),
        cmocka_unit_test(a_set_without_a_model_is_not_whole),
        cmocka_unit_test(files_of_former_heads_go),
        cmocka_unit_test(sparse_alone),
        cmocka_unit_test(all_threads_write_the_same_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
