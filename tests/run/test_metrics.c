/* test_metrics.c - metrics.prom of a made-up run. tests/run/metrics.py lets
 * Prometheus' own parser read what this writes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "run/metrics.h"
#include "run/scene.h"

static void to_recorder(void *context, int64_t t_ms, const char *type,
                        json_t *fields) {
    recorder_event(context, t_ms, type, fields);
    json_decref(fields);
}

static bool contains(const char *path, const char *text) {
    struct memory memory = {0};
    struct strbuf content = strbuf_make(&memory);
    assert_true(file_read(path, 1 << 20, &content, NULL));
    bool found = strstr(content.data, text) != NULL;
    if (!found)
        fprintf(stderr, "not in %s: %s\n", path, text);
    strbuf_free(&content);
    return found;
}

static void a_run_in_numbers(void **state) {
    (void)state;
    struct memory memory = {0};
    struct error err = {0};
    struct recorder *recorder = recorder_create(&memory, NULL);
    json_t *summary = json_read_file(SCENE_SUMMARY, 1 << 20, &err);
    assert_non_null(summary);
    scene_play(to_recorder, recorder);
    const char *path = scene_path("metrics.prom");
    assert_true(metrics_write(path, summary, recorder, &memory, &err));
    static const char *const lines[] = {
        "\nensembed_run_duration_seconds 126.433\n",
        "\nensembed_chunks_total{collection=\"Docling\",state=\"found\"} 738\n",
        ("\nensembed_pass_duration_seconds{collection=\"Docling\",model="
         "\"bge-m3\",pass=\"2\",device=\"sim:t4-0,sim:t4-1\"} 27.31\n"),
        ",kind=\"planned\"} 7900000000\n",
        "\nensembed_mitigations_total{action=\"budget_shrunk\"} 2\n",
        "model=\"<script>alert(\\\"model\\\")</script>\"",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_true(contains(path, lines[i]));
    json_decref(summary);
    recorder_free(recorder);
    assert_int_equal(memory_live(&memory), 0);
    scene_remove("metrics.prom");
}

/* Names that would break a line, and members that are not what they should be.
 */
static void odd_summaries(void **state) {
    (void)state;
    struct memory memory = {0};
    json_t *odd = json_pack(
        "{s:[{s:s,s:s,s:{s:i,s:s},s:[{s:s,s:i,s:f,s:[i,n,{}]},n,i]},n,s]}",
        "collections", "collection", "a\"b\\c\nd", "status", "failed", "chunks",
        "found", 3, "embedded", "many", "passes", "model", "\\\"\n", "tokens",
        5, "duration_ms", 1e300, "leases", 7, 8, "no collection");
    assert_non_null(odd);
    /* The same pass and the same device twice. */
    json_t *list = json_object_get(odd, "collections");
    json_t *collection = json_array_get(list, 0);
    json_t *pass =
        json_pack("{s:s,s:i,s:i,s:[{s:s,s:i},{s:s,s:i}]}", "model", "m", "pass",
                  1, "tokens", 9, "leases", "device", "d", "peak_bytes", 1,
                  "device", "d", "peak_bytes", 2);
    json_array_append(json_object_get(collection, "passes"), pass);
    json_array_append_new(json_object_get(collection, "passes"), pass);
    const char *path = scene_path("odd.prom");
    assert_true(metrics_write(path, odd, NULL, &memory, NULL));
    assert_true(
        contains(path, "{collection=\"a\\\"b\\\\c\\nd\",state=\"found\"} 3\n"));
    json_t *members = json_object(), *value;
    static const char *const types[] = {"[]", "{}", "null", "7", "\"x\""};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        value = json_loads(types[i], JSON_DECODE_ANY, NULL);
        json_object_set(members, "collections", value);
        json_object_set(members, "date", value);
        json_object_set_new(members, "duration_ms", value);
        assert_true(metrics_write(scene_path("odder.prom"), members, NULL,
                                  &memory, NULL));
    }
    assert_true(
        metrics_write(scene_path("odder.prom"), NULL, NULL, &memory, NULL));
    json_decref(members);
    json_decref(odd);
    scene_remove("odd.prom");
    scene_remove("odder.prom");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_in_numbers),
        cmocka_unit_test(odd_summaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
