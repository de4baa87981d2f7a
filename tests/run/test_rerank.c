/* test_rerank.c - scores of texts for a question, from their text on, against
 * CrossEncoder of sentence-transformers, and jina-reranker-v3's own formula
 * transcribed (tools/models_heads.py): on each instruction set, each text
 * alone and all together. */

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

#include "base/file.h"
#include "base/json.h"
#include "run/rerank.h"

#define MODELS "tests/fixtures/models/"

enum { FILE_MAX = 16 << 20, TEXTS_MAX = 400 };

/* A model that was opened. */
struct scene {
    struct model_request request;
    struct run_options options;
    struct session session;
    struct member member;
    struct reranker *reranker;
    struct device_bytes ceiling;
    char folder[256];
};

/* How one is opened. */
struct terms {
    const char *folder;
    enum model_use use;
    const char *isa;
    size_t budget;    /* tokens of a batch */
    uint64_t ceiling; /* bytes; 0: none */
};

/* What was opened must be closed also if this fails. */
static bool open_scene(struct scene *s, const struct terms *terms,
                       struct error *err) {
    *s = (struct scene){.ceiling = {"cpu", terms->ceiling}};
    bool whole = terms->folder[0] == '/';
    snprintf(s->folder, sizeof s->folder, "%s%s", whole ? "" : MODELS,
             terms->folder);
    s->request = (struct model_request){.reference = s->folder,
                                        .weight = 1,
                                        .use = terms->use,
                                        .budget = terms->budget};
    if (terms->use == MODEL_DENSE)
        s->request.heads = head_bit(ROW_DENSE);
    s->options = (struct run_options){.models = &s->request,
                                      .models_count = 1,
                                      .threads = 2,
                                      .isa = terms->isa,
                                      .ceilings = &s->ceiling,
                                      .ceilings_count = terms->ceiling > 0};
    if (!session_open(&s->session, &s->options, NULL, err) ||
        !member_open(&s->member, &s->request, &s->session, "query", false, err))
        return false;
    s->reranker = reranker_open(&s->session, &s->member, err);
    return s->reranker != NULL;
}

static void close_scene(struct scene *s) {
    reranker_close(s->reranker);
    member_close(&s->member, &s->session.memory);
    session_close(&s->session);
    assert_int_equal(memory_live(&s->session.memory), 0);
}

static void open_well(struct scene *s, const struct terms *terms) {
    struct error err = {0};
    if (!open_scene(s, terms, &err))
        fail_msg("%s: %s", terms->folder, err.message);
}

static struct str text_of(const json_t *value) {
    return (struct str){json_string_value(value), json_string_length(value)};
}

static void score(struct scene *s, struct str question, const struct str *texts,
                  size_t count, double *scores) {
    struct error err = {0};
    if (!reranker_score(s->reranker, question, texts, count, scores, &err))
        fail_msg("%s: %s", s->folder, err.message);
}

static void near(const char *what, size_t text, double want, double got) {
    if (!(__builtin_fabs(want - got) <= 1e-4))
        fail_msg("%s, text %zu: %.7g, expected %.7g", what, text, got, want);
}

static json_t *read_reference(const char *folder) {
    char path[320];
    struct error err = {0};
    snprintf(path, sizeof path, MODELS "%s/reference-heads.json", folder);
    json_t *reference = json_read_file(path, FILE_MAX, &err);
    if (!reference)
        fail_msg("%s", err.message);
    return reference;
}

/* ---- pairs of different questions --------------------------------------- */

static const char *const of_pairs[] = {
    "cross_bert",  "cross_roberta", "cross_jina2",
    "cross_jina3", "cross_modern",  "cross_gte",
};

static void check_pairs(const char *folder, const char *isa) {
    struct scene s;
    json_t *reference = read_reference(folder);
    const json_t *texts = json_object_get(reference, "texts");
    const json_t *rows = json_object_get(reference, "rows");
    open_well(&s, &(struct terms){folder, MODEL_RERANK, isa, 0, 0});
    assert_true(json_array_size(texts) > 0);
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const json_t *pair = json_array_get(texts, i);
        struct str text = text_of(json_array_get(pair, 1));
        const json_t *want = json_object_get(json_array_get(rows, i), "scores");
        double got;
        score(&s, text_of(json_array_get(pair, 0)), &text, 1, &got);
        near(folder, i, json_number_value(json_array_get(want, 0)), got);
    }
    close_scene(&s);
    json_decref(reference);
}

static void pairs_are_those_of_cross_encoder(void **state) {
    (void)state;
    const char *isa;
    for (size_t n = 0; (isa = device_isa(NUMBER_F32, n)); n++)
        for (size_t i = 0; i < sizeof of_pairs / sizeof *of_pairs; i++)
            check_pairs(of_pairs[i], isa);
}

/* ---- many texts of one question ----------------------------------------- */

static const struct {
    const char *folder;
    enum model_use use;
    bool list; /* scores depend on what is scored with them */
} of_questions[] = {
    {"rank_chat", MODEL_RERANK, false},
    {"rank_yes_no", MODEL_RERANK, false},
    {"rank_yes_no_saved", MODEL_RERANK, false},
    {"rank_list", MODEL_RERANK, true},
    {"rank_dense", MODEL_DENSE, false},
};

static void check_question(const char *folder, struct scene *s,
                           const json_t *row, bool list) {
    static struct str texts[TEXTS_MAX];
    static double scores[TEXTS_MAX];
    const json_t *given = json_object_get(row, "texts");
    const json_t *want = json_object_get(row, "scores");
    struct str question = text_of(json_object_get(row, "question"));
    size_t count = json_array_size(given);
    assert_in_range(count, 1, TEXTS_MAX);
    for (size_t i = 0; i < count; i++)
        texts[i] = text_of(json_array_get(given, i));
    score(s, question, texts, count, scores);
    for (size_t i = 0; i < count; i++) {
        double alone;
        near(folder, i, json_number_value(json_array_get(want, i)), scores[i]);
        if (list)
            continue;
        score(s, question, texts + i, 1, &alone);
        assert_memory_equal(&alone, &scores[i], sizeof alone);
    }
}

static void check_questions(size_t i, const char *isa, size_t budget) {
    struct scene s;
    const char *folder = of_questions[i].folder;
    json_t *reference = read_reference(folder);
    const json_t *rows = json_object_get(reference, "rows");
    open_well(&s, &(struct terms){folder, of_questions[i].use, isa, budget, 0});
    assert_true(json_array_size(rows) > 0);
    for (size_t k = 0; k < json_array_size(rows); k++)
        check_question(folder, &s, json_array_get(rows, k),
                       of_questions[i].list);
    close_scene(&s);
    json_decref(reference);
}

static void texts_of_a_question(void **state) {
    (void)state;
    const char *isa;
    size_t count = sizeof of_questions / sizeof *of_questions;
    for (size_t n = 0; (isa = device_isa(NUMBER_F32, n)); n++)
        for (size_t i = 0; i < count; i++)
            check_questions(i, isa, 0);
}

static void texts_in_many_batches(void **state) {
    (void)state;
    size_t count = sizeof of_questions / sizeof *of_questions;
    for (size_t i = 0; i < count; i++)
        check_questions(i, NULL, 64);
}

/* ---- what is refused ---------------------------------------------------- */

static void refused(const char *folder, enum model_use use, const char *word) {
    struct scene s;
    struct error err = {0};
    assert_false(
        open_scene(&s, &(struct terms){folder, use, NULL, 0, 0}, &err));
    if (err.code != ERROR_UNSUPPORTED || !strstr(err.message, word))
        fail_msg("%s: not about \"%s\": %s", folder, word, err.message);
    close_scene(&s);
}

static void what_cannot_rank(void **state) {
    (void)state;
    refused("cross_labels", MODEL_RERANK, "3 scores");
    refused("cross_qwen3", MODEL_RERANK, "2 scores");
    refused("cross_deberta", MODEL_RERANK, "2 scores");
    refused("jina3_lora", MODEL_DENSE, "without tasks");
}

/* A folder of links to FROM's files but for its tokenizer.json. */
static void make_folder(char folder[64], const char *from,
                        void (*change)(json_t *tokenizer)) {
    static const char *const names[] = {"config.json", "model.safetensors",
                                        "tokenizer_config.json",
                                        "chat_template.jinja"};
    char path[PATH_MAX], to[PATH_MAX], here[PATH_MAX];
    struct error err = {0};
    strcpy(folder, "/tmp/ens-rerank-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_non_null(realpath(MODELS, here));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%.2000s/%s/%s", here, from, names[i]);
        snprintf(to, sizeof to, "%s/%s", folder, names[i]);
        if (file_exists(path))
            assert_int_equal(symlink(path, to), 0);
    }
    snprintf(path, sizeof path, MODELS "%s/tokenizer.json", from);
    json_t *tokenizer = json_read_file(path, FILE_MAX, &err);
    assert_non_null(tokenizer);
    change(tokenizer);
    snprintf(to, sizeof to, "%s/tokenizer.json", folder);
    assert_int_equal(json_dump_file(tokenizer, to, 0), 0);
    json_decref(tokenizer);
}

static void without_yes(json_t *tokenizer) {
    json_t *vocab =
        json_object_get(json_object_get(tokenizer, "model"), "vocab");
    json_t *id = json_incref(json_object_get(vocab, "yes"));
    assert_non_null(id);
    json_object_del(vocab, "yes");
    json_object_set_new(vocab, "yesss", id);
}

static void without_decoder(json_t *tokenizer) {
    json_object_set_new(tokenizer, "decoder", json_null());
}

static void without_a_word_for_yes(void **state) {
    (void)state;
    char folder[64];
    make_folder(folder, "rank_yes_no", without_yes);
    refused(folder, MODEL_RERANK, "\"yes\"");
    assert_true(folder_remove(folder, NULL));
}

static void as_it_is(json_t *tokenizer) {
    (void)tokenizer;
}

/* The classifier of rank_chat over plain pairs, with another config.json. */
static void make_classifier(char folder[64], bool causal) {
    char path[PATH_MAX];
    struct error err = {0};
    make_folder(folder, "rank_chat", as_it_is);
    snprintf(path, sizeof path, "%s/chat_template.jinja", folder);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/config.json", folder);
    json_t *config = json_read_file(path, FILE_MAX, &err);
    assert_non_null(config);
    json_object_set_new(config, "is_causal", json_boolean(causal));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(json_dump_file(config, path, 0), 0);
    json_decref(config);
}

/* GenericForSequenceClassification of transformers reads the last token that is
 * not config.json's pad_token_id, also where a text has such ones. */
static void pads_at_the_end_are_passed_over(void **state) {
    (void)state;
    char folder[64];
    struct scene s;
    struct error err = {0};
    struct str texts[] = {STR("the function [PAD] [PAD]"), STR("the function"),
                          STR("[PAD] the function"), STR("[PAD]"), STR("a")};
    struct str empty[] = {STR("[PAD] [PAD]"), STR("[PAD]")};
    double scores[5], of_pads[2], alone;
    make_classifier(folder, true);
    open_well(&s, &(struct terms){folder, MODEL_RERANK, NULL, 0, 0});
    score(&s, STR("a list"), texts, 5, scores);
    score(&s, STR("a list"), texts + 4, 1, &alone);
    assert_memory_equal(&scores[0], &scores[1], sizeof *scores);
    assert_memory_not_equal(&scores[2], &scores[1], sizeof *scores);
    assert_memory_equal(&scores[4], &alone, sizeof alone);
    score(&s, STR("[PAD]"), empty, 2, of_pads);
    assert_memory_equal(&of_pads[0], &of_pads[1], sizeof *of_pads);
    close_scene(&s);
    assert_true(folder_remove(folder, NULL));
    make_classifier(folder, false);
    open_well(&s, &(struct terms){folder, MODEL_RERANK, NULL, 0, 0});
    score(&s, STR("a list"), texts + 1, 2, scores);
    assert_false(
        reranker_score(s.reranker, STR("a list"), texts, 5, scores, &err));
    assert_int_equal(err.code, ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "pad_token_id"));
    close_scene(&s);
    assert_true(folder_remove(folder, NULL));
}

/* What fits is scored; what would have to be cut is refused. */
static void lists_of_another_tokenizer(void **state) {
    (void)state;
    char folder[64];
    static char words[3 * 2048];
    struct scene s;
    struct error err = {0};
    double score;
    struct str small = STR("the function"), large = {words, sizeof words};
    memset(words, '!', sizeof words);
    make_folder(folder, "rank_list", without_decoder);
    open_well(&s, &(struct terms){folder, MODEL_RERANK, NULL, 0, 0});
    assert_true(
        reranker_score(s.reranker, STR("a list"), &small, 1, &score, &err));
    assert_false(
        reranker_score(s.reranker, STR("a list"), &large, 1, &score, &err));
    assert_int_equal(err.code, ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "ByteLevel"));
    close_scene(&s);
    assert_true(folder_remove(folder, NULL));
}

/* Wherever memory ends, it is told and nothing stays. */
static void low_ceilings(void **state) {
    (void)state;
    const char *const folders[] = {"cross_bert", "rank_chat", "rank_list",
                                   "rank_dense"};
    struct str texts[] = {STR("the function returns a list"), STR("b")};
    size_t failed = 0;
    for (size_t i = 0; i < 4; i++) {
        bool done = false;
        for (uint64_t kib = 16; !done && kib < 1 << 20; kib += kib / 16) {
            struct scene s;
            struct error err = {0};
            double scores[2];
            struct terms terms = {folders[i], MODEL_RERANK, NULL, 0, kib << 10};
            if (i == 3)
                terms.use = MODEL_DENSE;
            done = open_scene(&s, &terms, &err) &&
                   reranker_score(s.reranker, STR("a list"), texts, 2, scores,
                                  &err);
            if (!done && err.code != ERROR_MEMORY)
                fail_msg("%s: %s", folders[i], err.message);
            failed += !done;
            close_scene(&s);
        }
        assert_true(done);
    }
    assert_true(failed > 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_those_of_cross_encoder),
        cmocka_unit_test(texts_of_a_question),
        cmocka_unit_test(texts_in_many_batches),
        cmocka_unit_test(what_cannot_rank),
        cmocka_unit_test(without_a_word_for_yes),
        cmocka_unit_test(lists_of_another_tokenizer),
        cmocka_unit_test(pads_at_the_end_are_passed_over),
        cmocka_unit_test(low_ceilings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
