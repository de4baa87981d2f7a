/* test_registry.c - the short names. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/registry.h"

static void keys_are_unique_and_all_can_be_found(void **state) {
    (void)state;
    size_t count = 0;
    for (const struct registry_entry *e; (e = registry_at(count)); count++) {
        assert_ptr_equal(registry_find_key(e->key), e);
        assert_non_null(registry_find(e->id));
        assert_non_null(e->family);
        assert_true((e->kind == REGISTRY_DENSE ||
                     e->kind == REGISTRY_BI_ENCODER) == (e->width > 0));
        for (size_t i = 0; i < 8 && e->matryoshka[i]; i++)
            assert_true(e->matryoshka[i] <= e->width);
    }
    assert_int_equal(count, 7 + 4 + 3);
}

static void names_of_any_case(void **state) {
    (void)state;
    const struct registry_entry *e = registry_find("ALL-MINILM-L6");
    assert_string_equal(e->key, "all-miniLM-l6");
    assert_ptr_equal(registry_find("Sentence-Transformers/all-minilm-l6-V2"),
                     e);
    assert_null(registry_find("all-minilm"));
    assert_null(registry_find(""));
}

static void an_onnx_repository_is_stood_for(void **state) {
    (void)state;
    const struct registry_entry *e = registry_find("qdrant-minilm-onnx");
    assert_string_equal(e->id, "sentence-transformers/all-MiniLM-L6-v2");
    assert_ptr_equal(registry_find("qdrant/all-minilm-l6-v2-onnx"), e);
    assert_ptr_equal(registry_find_replaced("Qdrant/all-MiniLM-L6-v2-onnx"), e);
    assert_null(registry_find_replaced(e->id));
    e = registry_find("qdrant-minilm-attention");
    assert_string_equal(e->id, "sentence-transformers/all-MiniLM-L6-v2");
    assert_ptr_equal(registry_find("Qdrant/all_miniLM_L6_v2_with_attentions"),
                     e);
    assert_int_equal(registry_find("qdrant-bm25")->kind, REGISTRY_BM25);
    assert_true(registry_find("naver/splade-v3")->gated);
}

static void widths_are_the_models_own(void **state) {
    (void)state;
    assert_int_equal(registry_find("jina-code-embeddings-1.5b")->width, 1536);
    assert_int_equal(registry_find("bge-m3")->width, 1024);
    assert_int_equal(registry_find("jina-embeddings-v4")->width, 2048);
    assert_int_equal(registry_find("qwen3-embedding-0.6b")->width, 1024);
    assert_int_equal(registry_find("nomic-coderank")->width, 768);
    assert_int_equal(registry_find("nomic-ai/CodeRankEmbed")->kind,
                     REGISTRY_DENSE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_unique_and_all_can_be_found),
        cmocka_unit_test(names_of_any_case),
        cmocka_unit_test(an_onnx_repository_is_stood_for),
        cmocka_unit_test(widths_are_the_models_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
