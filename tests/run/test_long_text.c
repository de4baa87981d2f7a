/* test_long_text.c - texts longer than their model's limit, in windows: the
 * rule by itself, and whole runs against what sentence-transformers gives for
 * the windows (tools/long_oracle.py). */

#include <unistd.h>

#include "data/npy.h"
#include "run/long_text.h"
#include "run/reference.h"

#define LONG "tests/fixtures/long/"

/* ---- the rule ----------------------------------------------------------- */

/* Head and tail stand in each window, each content id in at least one, and
 * neighbours share exactly the overlap. */
static void check_windows(const struct long_frame *frame, size_t tokens) {
    uint32_t ids[512], out[64];
    size_t seen = frame->head; /* content ids are seen up to here */
    for (size_t i = 0; i < tokens; i++)
        ids[i] = (uint32_t)i;
    size_t count = long_windows(frame, tokens);
    for (size_t w = 0; w < count; w++) {
        size_t size = long_window(frame, ids, tokens, w, out);
        size_t content = long_content(frame, tokens, w);
        bool last = w + 1 == count;
        assert_int_equal(size, frame->head + content + frame->tail);
        assert_true(last ? size <= frame->limit : size == frame->limit);
        for (size_t i = 0; i < frame->head; i++)
            assert_int_equal(out[i], i);
        for (size_t i = 0; i < frame->tail; i++)
            assert_int_equal(out[size - 1 - i], tokens - 1 - i);
        assert_int_equal(out[frame->head], w ? seen - frame->overlap : seen);
        for (size_t i = 1; i < content; i++)
            assert_int_equal(out[frame->head + i], out[frame->head] + i);
        seen = out[frame->head] + content;
    }
    assert_int_equal(seen, tokens - frame->tail);
}

static void windows_cover_the_text(void **state) {
    (void)state;
    for (size_t head = 0; head < 4; head++)
        for (size_t tail = 0; tail < 3; tail++)
            for (size_t overlap = 0; overlap < 9; overlap++) {
                struct long_frame frame = {16, head, tail, overlap};
                assert_true(long_frame_check(&frame, "m", NULL));
                for (size_t tokens = 17; tokens < 200; tokens++)
                    check_windows(&frame, tokens);
                assert_int_equal(long_windows(&frame, 16), 1);
            }
}

static void room_must_be_left(void **state) {
    (void)state;
    struct error err = {0};
    struct long_frame frame = {16, 3, 1, 12};
    assert_false(long_frame_check(&frame, "m", &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.message, "overlap of 12"));
    frame.overlap = 11;
    assert_true(long_frame_check(&frame, "m", &err));
    assert_false(long_frame_check(&(struct long_frame){4, 3, 1, 0}, "m", NULL));
    assert_true(long_frame_check(&(struct long_frame){0}, "m", NULL));
}

/* ---- against sentence-transformers -------------------------------------- */

static void run(const char *folder, const char *model, size_t overlap,
                const char *devices, size_t budget) {
    struct run_result result;
    run_one_model(folder, model, budget,
                  (struct run_options){.models_count = 1,
                                       .devices = devices,
                                       .long_texts = {true, overlap}},
                  &result);
    assert_int_equal(result.truncated, 0);
    run_result_free(&result);
}

static void compare_row(const char *name, size_t row, const json_t *want,
                        const float *have, size_t width) {
    assert_int_equal(json_array_size(want), width);
    for (size_t i = 0; i < width; i++) {
        double x = json_number_value(json_array_get(want, i));
        if (!(__builtin_fabs(x - (double)have[i]) <= 1e-5))
            fail_msg("%s, text %zu: number %zu is %.9g, not %.9g", name, row, i,
                     (double)have[i], x);
    }
}

static void compare(const char *name, const char *folder, const json_t *want) {
    char path[128];
    struct npy_map map;
    struct error err = {0};
    size_t i;
    json_t *row;
    snprintf(path, sizeof path, "%s/out/chunks/embeddings.npy", folder);
    if (!npy_map_open(&map, path, &err))
        fail_msg("%s", err.message);
    assert_int_equal(map.rows, json_array_size(want));
    json_array_foreach(want, i, row)
        compare_row(name, i, row, map.data + i * map.width, map.width);
    npy_map_close(&map);
}

static void check_case(const char *file) {
    char path[128], folder[] = "/tmp/ensembed-long-XXXXXX", command[64];
    snprintf(path, sizeof path, LONG "%s", file);
    json_t *reference = read_json(path);
    json_t *texts = read_json(LONG "texts.json");
    const char *model = json_string_value(json_object_get(reference, "model"));
    size_t overlap =
        (size_t)json_integer_value(json_object_get(reference, "overlap"));
    static const struct {
        const char *devices;
        size_t budget;
    } ways[] = {{"cpu", 0}, {"cpu", 1}, {"sim:a=64MB", 300}};
    assert_non_null(mkdtemp(folder));
    /* Windows and whole texts share the run: texts.json has both. */
    write_chunks(folder, texts);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        run(folder, model, overlap, ways[i].devices, ways[i].budget);
        compare(file, folder, json_object_get(reference, "vectors"));
    }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
    json_decref(reference);
    json_decref(texts);
}

static void vectors_are_those_of_the_windows(void **state) {
    (void)state;
    static const char *const files[] = {
        "mean-0.json",       "mean-7.json",
        "prompts-16.json",   "prompts_excluded-3.json",
        "dense-1.json",      "roberta-5.json",
        "lasttoken-30.json", "qwen3-4.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        check_case(files[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_cover_the_text),
        cmocka_unit_test(room_must_be_left),
        cmocka_unit_test(vectors_are_those_of_the_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
