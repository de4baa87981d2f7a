/* test_payload.c - the payload's fields by the rules of the original system.
 * Index and norm of the sparse vector are worked out with Python's hashlib and
 * math; tools/intake_oracle.py compares whole payloads. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "base/json.h"
#include "base/memory.h"
#include "data/derive.h"
#include "data/payload.h"

static struct memory memory;

static const struct collection docs = {
    .name = "My Docs", .folder = "My_Docs", .canonical = "my_docs"};

static struct strbuf write(const char *text, const char *metadata,
                           const char *field) {
    struct strbuf out = strbuf_make(&memory);
    struct chunk chunk = {.text = STR("as embedded"),
                          .original = str_from(text),
                          .metadata = str_from(metadata),
                          .chunk_id = STR("id\"1")};
    payload_write(&out, &chunk, &docs, field);
    assert_true(strbuf_ok(&out, NULL));
    return out;
}

static void expect(const char *text, const char *metadata, const char *whole) {
    struct strbuf out = write(text, metadata, "text");
    assert_string_equal(out.data, whole);
    strbuf_free(&out);
}

#define HEAD                                                                   \
    "{\"text\":\"t\",\"chunk_id\":\"id\\\"1\",\"collection\":\"My Docs\""
#define TAIL                                                                   \
    ",\"qdrant_collection\":\"my_docs\",\"modal_hint\":\"prose\","             \
    "\"hierarchy_path\":null,\"sparse_vector\":null}"

static void metadata_is_carried_as_it_came(void **state) {
    (void)state;
    expect("t", "{}", HEAD TAIL);
    expect("t",
           "{ \"a\" : 1e400,\n\t\"b\":[0.10, \"x  y\\u00e9\\/\"],\"a\":-0 }",
           HEAD ",\"a\":1e400,\"b\":[0.10,\"x  y\\u00e9\\/\"],\"a\":-0" TAIL);
}

static void our_names_are_ours(void **state) {
    (void)state;
    expect("t",
           "{\"text\":1,\"chunk_id\":2,\"collection\":3,\"qdrant_collection\":"
           "4,\"modal_hint\":5,\"hierarchy_path\":6,\"sparse_vector\":7,"
           "\"te\\u0078t\":8,\"content\":9}",
           HEAD ",\"content\":9" TAIL);
    struct strbuf out = write("t", "{\"text\":1,\"body\":2}", "body");
    assert_string_equal(out.data, "{\"body\":\"t\",\"chunk_id\":\"id\\\"1\","
                                  "\"collection\":\"My Docs\",\"text\":1" TAIL);
    strbuf_free(&out);
}

static void expect_field(const char *text, const char *metadata,
                         const char *field, const char *value) {
    struct strbuf out = write(text, metadata, "text");
    json_t *payload = json_parse(strbuf_str(&out), "payload", NULL);
    assert_non_null(payload);
    char *got = json_dumps(json_object_get(payload, field), JSON_ENCODE_ANY);
    if (strcmp(got, value) != 0)
        fail_msg("%s of %s: %s, expected %s", field, metadata, got, value);
    free(got);
    json_decref(payload);
    strbuf_free(&out);
}

static void modal_hints(void **state) {
    (void)state;
    static const char *cases[][3] = {
        {"def f(", "{\"modal_hint\":\"prose\"}", "\"prose\""},
        {"def f(", "{\"modal_hint\":\" \\t\"}", "\"code\""},
        {"x", "{\"content_flags\":{\"has_json\":true,\"has_list\":true}}",
         "\"list\""},
        {"x",
         "{\"content_flags\":{\"has_code_block\":true,\"has_table\":true}}",
         "\"table\""},
        {"x", "{\"content_flags\":{\"has_code_block\":true,\"has_list\":true}}",
         "\"code\""},
        {"x", "{\"content_flags\":{\"has_json\":true,\"has_table\":false}}",
         "\"json\""},
        {"{", "{\"content_flags\":{\"has_table\":\"yes\"}}", "\"json\""},
        {"a\n```\nb", "{}", "\"code\""},
        {"A CLASS Act", "{}", "\"code\""},
        {"a | b\n--|--\n", "{}", "\"table\""},
        {"a | b\nc | d\n", "{}", "\"prose\""},
        {"---\n a", "{}", "\"prose\""},
        {" \n [1]", "{}", "\"json\""},
        {"", "{}", "\"prose\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_field(cases[i][0], cases[i][1], "modal_hint", cases[i][2]);
    /* Only the first 400 characters are looked at, whatever their bytes. */
    char text[2000] = "";
    for (int i = 0; i < 396; i++)
        strcat(text, "\xC3\xA9");
    strcat(text, "def ");
    expect_field(text, "{}", "modal_hint", "\"code\"");
    memmove(text + 2, text, strlen(text) + 1);
    expect_field(text, "{}", "modal_hint", "\"prose\"");
}

static void hierarchy_paths(void **state) {
    (void)state;
    static const char *cases[][2] = {
        {"{\"hierarchy_path\":\"A > B\",\"section_path\":[\"C\"]}",
         "\"A > B\""},
        {"{\"hierarchy_path\":\"\",\"section_path\":[\"C\",\"D\\u0041\"]}",
         "\"C > DA\""},
        {"{\"hierarchy_path\":[\"x\",1,\"\",\"y\"]}", "\"x > y\""},
        {"{\"section_path\":[],\"heading_text\":\"H \\\" \"}", "\"H \\\" \""},
        {"{\"heading_text\":\"  \"}", "null"},
        {"{}", "null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_field("x", cases[i][0], "hierarchy_path", cases[i][1]);
}

static void sparse_vectors(void **state) {
    (void)state;
    /* int(hashlib.sha1(term).hexdigest()[:8], 16); weights 3 and 4: norm 5 */
    expect(
        "t",
        "{\"sparse_features\":{\"weighting\":\"tf\",\"total_terms\":12,"
        "\"term_weights\":[{\"term\":\"pydantic\",\"weight\":3},"
        "{\"term\":\"\\u00e9\",\"weight\":4.0},{\"term\":\"\",\"weight\":1},"
        "{\"term\":\"zero\",\"weight\":0},{\"term\":\"big\",\"weight\":"
        "1e400},{\"weight\":1},{\"term\":\"neg\",\"weight\":-1},7]}}",
        HEAD
        ",\"sparse_features\":{\"weighting\":\"tf\",\"total_terms\":12,"
        "\"term_weights\":[{\"term\":\"pydantic\",\"weight\":3},"
        "{\"term\":\"\\u00e9\",\"weight\":4.0},{\"term\":\"\","
        "\"weight\":1},{\"term\":\"zero\",\"weight\":0},{\"term\":"
        "\"big\",\"weight\":1e400},{\"weight\":1},{\"term\":\"neg\","
        "\"weight\":-1},7]},\"qdrant_collection\":\"my_docs\","
        "\"modal_hint\":\"prose\",\"hierarchy_path\":null,"
        "\"sparse_vector\":{\"indices\":[426765925,3205873265],\"values\":[0.6,"
        "0.8],\"tokens\":[\"pydantic\",\"\xC3\xA9\"],\"stats\":{"
        "\"weight_norm\":5.0,\"unique_terms\":null,\"total_terms\":12,"
        "\"weighting\":\"tf\"}}}");
    static const char *none[] = {
        "{}",
        "{\"sparse_features\":null}",
        "{\"sparse_features\":{}}",
        "{\"sparse_features\":{\"term_weights\":{}}}",
        "{\"sparse_features\":{\"term_weights\":[]}}",
        ("{\"sparse_features\":{\"term_weights\":[{\"term\":\"a\",\"weight\":"
         "\"1\"}]}}")};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        expect_field("x", none[i], "sparse_vector", "null");
}

static void canonical_collections(void **state) {
    (void)state;
    static const char *cases[][2] = {
        {"Docling", "docling"},
        {"Sentence_Transformer", "sentence_transformers"},
        {"sentences of mine", "sentence_transformers"},
        {"pydantic_pydantic", "pydantic"},
        {"Qdrant-Client Docs", "qdrant_ecosystem"},
        {"qdrant docling", "qdrant_ecosystem"},
        {" Fast-Docs ", "fast_docs"},
        {"docling_v4_outputs", "docling"},
        {"My Notes", "my_notes"},
        {"my_notes_v4_outputs", "my_notes"},
        {"", "qdrant_ecosystem"},
        {"  ", "qdrant_ecosystem"},
    };
    char name[64], small[5];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        payload_canonical_collection(cases[i][0], name, sizeof name);
        assert_string_equal(name, cases[i][1]);
    }
    payload_canonical_collection("docling", small, sizeof small);
    assert_string_equal(small, "docl");
}

/* The payload's own vector, with equal indices added up, is the judge. */
static void same_terms(struct str metadata, const json_t *vector) {
    struct row_buffer buffer = {.memory = &memory};
    struct row row;
    const json_t *indices = json_object_get(vector, "indices");
    const json_t *values = json_object_get(vector, "values");
    assert_true(derive_terms(metadata, &buffer, &row, NULL));
    for (size_t i = 0; i < row.count; i++) {
        double sum = 0;
        size_t with = 0;
        for (size_t j = 0; j < json_array_size(indices); j++)
            if (json_integer_value(json_array_get(indices, j)) ==
                row.indices[i]) {
                sum += json_real_value(json_array_get(values, j));
                with++;
            }
        assert_true(with > 0);
        assert_true(row.values[i] == (float)sum);
        assert_true(i == 0 || row.indices[i] > row.indices[i - 1]);
    }
    for (size_t j = 0; j < json_array_size(indices); j++) {
        size_t i = 0;
        while (i < row.count &&
               row.indices[i] != json_integer_value(json_array_get(indices, j)))
            i++;
        assert_true(i < row.count);
    }
    row_buffer_free(&buffer);
    assert_int_equal(memory_live(&memory), 0);
}

static void terms_are_a_vector_of_their_own(void **state) {
    (void)state;
    static const char *const cases[] = {
        "{}",
        "{\"sparse_features\":7}",
        "{\"sparse_features\":{\"term_weights\":[]}}",
        "{\"sparse_features\":{\"term_weights\":[{\"term\":\"a\",\"weight\":3},"
        "{\"term\":\"b\",\"weight\":4}]}}",
        /* once more, as an escape, and one that does not count */
        "{\"sparse_features\":{\"term_weights\":[{\"term\":\"b\",\"weight\":1},"
        "{\"term\":\"a\",\"weight\":2},{\"term\":\"\\u0062\",\"weight\":5},"
        "{\"term\":\"c\",\"weight\":-1},{\"term\":\"d\",\"weight\":1e-3}]}}",
    };
    size_t pairs[] = {0, 0, 0, 2, 3};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct strbuf out = write("text", cases[c], "text");
        json_t *payload = json_loadb(out.data, out.size, 0, NULL);
        json_t *vector = json_object_get(payload, "sparse_vector");
        struct row_buffer buffer = {.memory = &memory};
        struct row row;
        assert_true(derive_terms(str_from(cases[c]), &buffer, &row, NULL));
        assert_int_equal(row.count, pairs[c]);
        row_buffer_free(&buffer);
        strbuf_free(&out);
        same_terms(str_from(cases[c]), vector);
        json_decref(payload);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_is_carried_as_it_came),
        cmocka_unit_test(our_names_are_ours),
        cmocka_unit_test(modal_hints),
        cmocka_unit_test(hierarchy_paths),
        cmocka_unit_test(sparse_vectors),
        cmocka_unit_test(canonical_collections),
        cmocka_unit_test(terms_are_a_vector_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
