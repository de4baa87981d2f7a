/* test_report.c - the page is written whatever the summary looks like.
 * tests/run/report.py reads it as browsers do. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "run/report.h"
#include "run/report_html.h"
#include "run/scene.h"

static void to_recorder(void *context, int64_t t_ms, const char *type,
                        json_t *fields) {
    recorder_event(context, t_ms, type, fields);
    json_decref(fields);
}

static void a_run_as_a_page(void **state) {
    (void)state;
    struct memory memory = {0};
    struct error err = {0};
    struct samples series;
    struct recorder *recorder = recorder_create(&memory, NULL);
    assert_true(samples_open(&series, &memory, 2, NULL));
    scene_play(to_recorder, recorder);
    scene_samples(&series);
    recorder_log(recorder, 420, LOG_WARNING,
                 "x/\xff<script>alert(1)</script>: \"bytes\" & 'quotes'");
    json_t *summary = json_read_file(SCENE_SUMMARY, 1 << 20, &err);
    assert_non_null(summary);
    assert_true(report_write(scene_path("report.html"), summary, recorder,
                             &series, &memory, &err));
    json_decref(summary);
    samples_close(&series);
    recorder_free(recorder);
    assert_int_equal(memory_live(&memory), 0);
    scene_remove("report.html");
}

/* Every member of OBJECT, at every depth, replaced by something else in turn:
 * the page must be written each time. */
static void spoil(json_t *root, json_t *part, struct memory *memory) {
    static const char *const other[] = {
        "null", "[]", "{}", "-7", "1e300", "\"<\"", "[null,{\"a\":[]},3]"};
    void *at = json_object_iter(part);
    while (at) {
        const char *key = json_object_iter_key(at);
        json_t *value = json_incref(json_object_iter_value(at));
        for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
            json_object_iter_set_new(
                part, at, json_loads(other[i], JSON_DECODE_ANY, NULL));
            assert_true(report_write(scene_path("odd.html"), root, NULL, NULL,
                                     memory, NULL));
            at = json_object_iter_at(part, key);
        }
        json_object_iter_set(part, at, value);
        spoil(root, value, memory);
        json_t *entry = json_array_get(value, 0);
        if (entry)
            spoil(root, entry, memory);
        json_decref(value);
        at = json_object_iter_next(part, json_object_iter_at(part, key));
    }
}

static void odd_summaries_do_no_harm(void **state) {
    (void)state;
    struct memory memory = {0};
    json_t *summary = json_read_file(SCENE_SUMMARY, 1 << 20, NULL);
    assert_non_null(summary);
    spoil(summary, summary, &memory);
    json_decref(summary);
    assert_true(
        report_write(scene_path("odd.html"), NULL, NULL, NULL, &memory, NULL));
    struct error err = {0};
    memory.ceiling = 4096;
    assert_false(
        report_write(scene_path("odd.html"), NULL, NULL, NULL, &memory, &err));
    assert_int_equal(err.code, ERROR_MEMORY);
    assert_int_equal(memory_live(&memory), 0);
    scene_remove("odd.html");
}

static void odd_events_do_no_harm(void **state) {
    (void)state;
    struct memory memory = {0};
    struct recorder *recorder = recorder_create(&memory, NULL);
    struct samples series;
    assert_true(samples_open(&series, &memory, 1, NULL));
    struct sample nothing_read = {.cpu_percent = -1};
    samples_add(&series, &nothing_read);
    for (int e = 0; e < SCENE_EACH; e++) {
        recorder_event(recorder, -5, scene_each[e][0], NULL);
        json_t *fields =
            scene_fields("{'model':[],'device':{},'bytes_before':'x','t_ms':{},"
                         "'duration_ms':-3,'pass':[],'load_ms':1e300}");
        recorder_event(recorder, INT64_MAX, scene_each[e][0], fields);
        json_decref(fields);
        fields = scene_fields(scene_each[e][1]);
        recorder_event(recorder, 9, scene_each[e][0], fields);
        json_decref(fields);
        assert_true(report_write(scene_path("odd.html"), NULL, recorder,
                                 &series, &memory, NULL));
    }
    samples_close(&series);
    recorder_free(recorder);
    scene_remove("odd.html");
}

/* What stands between the first <h1> and </h1>, and the mark before it. */
static void assert_verdict(const char *fields, const char *mark,
                           const char *sentence) {
    struct memory memory = {0};
    struct strbuf page = strbuf_make(&memory);
    char wanted[512];
    const char *path = scene_path("verdict.html");
    json_t *summary = scene_fields(fields);
    assert_non_null(summary);
    assert_true(report_write(path, summary, NULL, NULL, &memory, NULL));
    assert_true(file_read(path, 1 << 20, &page, NULL));
    snprintf(wanted, sizeof wanted, "<header class=\"mark %s\"><h1>%s</h1>",
             mark, sentence);
    const char *at = strstr(page.data, "<header");
    assert_non_null(at);
    if (strncmp(at, wanted, strlen(wanted)) != 0)
        fail_msg("%.200s\ninstead of\n%s", at, wanted);
    strbuf_free(&page);
    json_decref(summary);
    scene_remove("verdict.html");
}

static void assert_on_page(const char *fields, const char *wanted) {
    struct memory memory = {0};
    struct strbuf page = strbuf_make(&memory);
    const char *path = scene_path("wanted.html");
    json_t *summary = scene_fields(fields);
    assert_non_null(summary);
    assert_true(report_write(path, summary, NULL, NULL, &memory, NULL));
    assert_true(file_read(path, 1 << 20, &page, NULL));
    assert_non_null(strstr(page.data, wanted));
    strbuf_free(&page);
    json_decref(summary);
    scene_remove("wanted.html");
}

static void one_sentence_says_how_it_went(void **state) {
    (void)state;
    assert_verdict("{}", "bad", "No collection was worked on.");
    assert_verdict("{'collections':[{'status':'completed','chunks':{"
                   "'found':1,'embedded':1}}]}",
                   "good", "The only chunk is embedded.");
    assert_verdict("{'collections':[{'status':'completed','chunks':{"
                   "'found':1234,'embedded':1234}}]}",
                   "good", "All 1,234 chunks are embedded.");
    assert_verdict("{'collections':[{'status':'completed','chunks':{"
                   "'found':5,'embedded':4,'blank':1}}]}",
                   "good", "4 of 5 chunks are embedded; 1 was blank.");
    assert_verdict("{'collections':[{'status':'skipped_existing'}]}", "good",
                   "Nothing had to be done.");
    assert_verdict("{'collections':[{'status':'skipped_no_chunks'}]}", "bad",
                   "No chunks were found.");
    assert_verdict("{'collections':[{'status':'failed'}]}", "bad",
                   "1 of 1 collection failed; no chunks were found.");
    assert_verdict("{'collections':[{'status':'completed','chunks':{"
                   "'found':5,'embedded':4,'failed':1}}]}",
                   "bad", "4 of 5 chunks are embedded.");
    assert_verdict("{'models':[{'error':{'code':'missing'}}],'collections':[{"
                   "'status':'completed','chunks':{'found':5,'embedded':5}}]}",
                   "bad",
                   "1 model could not be used; all 5 chunks are embedded.");
    assert_verdict("{'collections':[{'status':'completed','chunks':{"
                   "'found':5,'embedded':5},'passes':[{'status':'failed'}]}]}",
                   "bad", "1 model pass failed; all 5 chunks are embedded.");
    assert_verdict("{'collections':[{'status':'failed','error':{'code':'io'},"
                   "'chunks':{'found':5,'embedded':0}},{'status':'completed',"
                   "'chunks':{'found':2,'embedded':2}}]}",
                   "bad",
                   "1 of 2 collections failed; 2 of 7 chunks are embedded.");
    assert_verdict("{'models':[{'error':{'code':'missing'}}],'collections':[{"
                   "'status':'completed','chunks':{'found':1,'embedded':1}}]}",
                   "bad",
                   "1 model could not be used; the only chunk is embedded.");
    assert_verdict("{'collections':[{'status':'failed','error':{'code':'io'}},"
                   "{'status':'failed','error':{'code':'disk_full'},'passes':[{"
                   "'computed':1}]}]}",
                   "wait",
                   "The disk is full: 1 text so far, and nothing of it is "
                   "lost.");
    assert_verdict("{'status':'busy','collections':[{'status':'completed'}]}",
                   "wait",
                   "Another run is at work there: 0 texts so far, and nothing "
                   "of it is lost.");
    assert_verdict("{'collections':[{'status':'failed','error':{'code':"
                   "'interrupted'},'chunks':{'found':9},'passes':[{"
                   "'computed':3,'reused':1}]}]}",
                   "wait",
                   "Interrupted: 4 texts so far, and nothing of it is lost.");
}

/* How it goes on, for a run that was told to begin anew: the same command would
 * do so once more. */
static void how_it_goes_on_is_true(void **state) {
    (void)state;
    assert_on_page("{'status':'interrupted','collections':[{}]}",
                   "<p>The same command goes on where");
    assert_on_page("{'status':'interrupted','restart':true,'collections':[{}]}",
                   "<p>The same command without <code>--restart</code> goes "
                   "on where");
    assert_on_page("{'status':'input','restart':true,'collections':[{}]}",
                   "run the same command again without <code>--restart</code>: "
                   "it computes");
}

static void numbers_have_units(void **state) {
    (void)state;
    char text[HTML_NUMBER_BYTES];
    static const struct {
        uint64_t bytes;
        const char *text;
    } bytes[] = {{0, "0 B"},
                 {1023, "1023 B"},
                 {1024, "1.00 KiB"},
                 {1048576 - 1, "1.00 MiB"},
                 {INT64_C(15828320256), "14.7 GiB"},
                 {UINT64_MAX, "16384 PiB"}};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        text_bytes(text, bytes[i].bytes);
        assert_string_equal(text, bytes[i].text);
    }
    static const struct {
        double ms;
        const char *text;
    } times[] = {{0, "0.0 ms"},
                 {-1, "0.0 ms"},
                 {999, "999 ms"},
                 {999.6, "1.0 s"},
                 {59949, "59.9 s"},
                 {59960, "1 min 00 s"},
                 {126433, "2 min 06 s"},
                 {3599600, "1 h 00 min"},
                 {86400e3, "24 h 00 min"},
                 {1e300, "0.0 ms"}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        text_ms(text, times[i].ms);
        assert_string_equal(text, times[i].text);
    }
    text_count(text, 999);
    assert_string_equal(text, "999");
    text_count(text, UINT64_MAX);
    assert_string_equal(text, "18,446,744,073,709,551,615");
}

static void text_is_escaped(void **state) {
    (void)state;
    struct memory memory = {0};
    struct strbuf out = strbuf_make(&memory);
    html_text(&out, "<a href=\"x\" b='y'>&amp;\x01\xff\xe2\x80\xae\xc3\xa9\n");
    assert_string_equal(out.data,
                        "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;"
                        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9\n");
    strbuf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_as_a_page),
        cmocka_unit_test(odd_summaries_do_no_harm),
        cmocka_unit_test(odd_events_do_no_harm),
        cmocka_unit_test(one_sentence_says_how_it_went),
        cmocka_unit_test(how_it_goes_on_is_true),
        cmocka_unit_test(numbers_have_units),
        cmocka_unit_test(text_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
