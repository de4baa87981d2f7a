/* test_search.c - a search while a run writes the files that it reads: an
 * answer is of one run, or there is none. What is in an answer is compared with
 * NumPy and SciPy (search.py). */

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "run/lock.h"
#include "run/search.h"
#include "run/trial.h"

/* What another process does to the files of the collection, once they were
 * found: the warning that a ceiling is above all memory comes then. */
struct meanwhile {
    const char *folder; /* of the trial */
    enum { NOTHING, WRITES_ANEW, WRITES, TAKES_ROWS_AWAY } what;
    unsigned calls;
};

static void act(void *context, enum log_level level, const char *message) {
    struct meanwhile *m = context;
    struct memory memory = {0};
    struct strbuf text = strbuf_make(&memory);
    char stats[128], rows[128];
    (void)level;
    (void)message;
    m->calls++;
    snprintf(stats, sizeof stats, "%s/out/c0/stats.json", m->folder);
    snprintf(rows, sizeof rows, "%s/out/c0/embeddings.npy", m->folder);
    assert_true(file_read(stats, 1 << 20, &text, NULL));
    if (m->what != NOTHING)
        assert_true(file_remove(stats, NULL)); /* a run begins with that */
    if (m->what == WRITES_ANEW)
        assert_true(file_write(stats, strbuf_str(&text), &memory, NULL));
    if (m->what == TAKES_ROWS_AWAY)
        assert_true(file_remove(rows, NULL));
    strbuf_free(&text);
}

static bool ask(struct meanwhile *m, struct error *err) {
    static const struct device_bytes above = {"sim:a", (uint64_t)1 << 40};
    char folder[128];
    snprintf(folder, sizeof folder, "%s/out", m->folder);
    struct run_options machine = {.threads = 1,
                                  .devices = "sim:a=64MiB",
                                  .ceilings = &above,
                                  .ceilings_count = 1};
    struct search_request request = {.folder = folder,
                                     .question = "memory device",
                                     .top = 3,
                                     .machine = &machine};
    struct sink sink = {.context = m, .log = act};
    struct search_result result;
    *err = (struct error){0};
    bool fine = search_run(&request, &sink, &result, err);
    if (fine) {
        assert_int_equal(result.count, 3);
        search_result_free(&result);
    }
    assert_int_equal(m->calls, 1);
    return fine;
}

static void an_answer_is_of_one_run(void **state) {
    (void)state;
    struct trial t;
    struct error err;
    trial_run_well(&t, &(struct trial_terms){.models = "mean", .texts = 20});
    struct meanwhile m = {.folder = t.folder, .what = NOTHING};
    if (!ask(&m, &err))
        fail_msg("%s", err.message);
    m = (struct meanwhile){.folder = t.folder, .what = WRITES_ANEW};
    assert_false(ask(&m, &err));
    assert_int_equal(err.code, ERROR_BUSY);
    assert_non_null(strstr(err.message, "/out/c0 anew"));
    /* What the files seem to lack then is no news of them. */
    m = (struct meanwhile){.folder = t.folder, .what = TAKES_ROWS_AWAY};
    assert_false(ask(&m, &err));
    assert_int_equal(err.code, ERROR_BUSY);
    trial_end(&t);
}

static void a_run_at_work_is_said(void **state) {
    (void)state;
    struct trial t;
    struct error err;
    char path[128];
    trial_run_well(&t, &(struct trial_terms){.models = "mean", .texts = 20});
    struct meanwhile m = {.folder = t.folder, .what = WRITES};
    assert_false(ask(&m, &err));
    assert_int_equal(err.code, ERROR_BUSY);
    /* The next question does not find stats.json any more. */
    struct run_options machine = {.threads = 1};
    struct search_result result;
    snprintf(path, sizeof path, "%s/out", t.folder);
    struct search_request request = {
        .folder = path, .question = "q", .top = 1, .machine = &machine};
    assert_false(search_run(&request, NULL, &result, &err));
    assert_int_equal(err.code, ERROR_MISSING);
    assert_non_null(strstr(err.message, "make one with"));
    char private[160];
    int lock;
    snprintf(private, sizeof private, "%s/.ensembed", path);
    assert_true(lock_take(private, path, &lock, &err));
    static const char *const names[] = {"c0"};
    request.collections = names;
    for (size_t named = 0; named <= 1; named++) {
        request.collections_count = named;
        assert_false(search_run(&request, NULL, &result, &err));
        assert_int_equal(err.code, ERROR_BUSY);
        assert_non_null(strstr(err.message, "a run is at work there"));
    }
    lock_drop(lock);
    assert_false(search_run(&request, NULL, &result, &err));
    assert_int_equal(err.code, ERROR_MISSING);
    trial_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_of_one_run),
        cmocka_unit_test(a_run_at_work_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
