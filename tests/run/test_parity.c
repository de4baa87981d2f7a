/* test_parity.c - small models with random weights against what
 * sentence-transformers makes of them (tests/fixtures/README.md): ids equal,
 * vectors within a cosine of 0.99999 of its float32 and no element farther
 * than 1e-4 (hidden states, where a folder pools the first and the greatest
 * and does not normalise), on every instruction set that this machine has.
 *
 *     test_run_parity table     prints docs/models.md's table of families
 */

#include "model/family.h"
#include "run/engine.h"
#include "run/question.h"
#include "run/reference.h"
#include "run/roster.h"
#include "run/session.h"

#define MODELS "tests/fixtures/models/"

enum { FAMILIES_MAX = 64 };

/* What was compared of each family, in the order of family_at. */
static struct {
    size_t references; /* on all instruction sets together ... */
    size_t formulas;   /* ... and those of them that no program made, but the
                          authors' formula, transcribed */
    double lowest;     /* cosine */
} compared[FAMILIES_MAX];

/* A folder and the file with what it should give. */
struct reference {
    const char *folder;
    const char *file;
};

static const struct reference references[] = {
    {"mean", "reference.json"},
    {"dense", "reference.json"},
    {"layer_norm", "reference.json"},
    {"cls", "reference.json"},
    {"max_pooling", "reference.json"},
    {"weightedmean", "reference.json"},
    {"lasttoken", "reference.json"},
    {"mean_sqrt_len", "reference.json"},
    {"concat", "reference.json"},
    {"concat_old", "reference.json"},
    {"gelu_new", "reference.json"},
    {"relu", "reference.json"},
    {"cased", "reference.json"},
    {"lower_case", "reference.json"},
    {"prompts", "reference.json"},
    {"prompts", "reference-query.json"},
    {"prompts", "reference-plain.json"},
    {"prompts_excluded", "reference.json"},
    {"prompts_excluded", "reference-query.json"},
    {"prompts_excluded", "reference-plain.json"},
    {"prompts_behind", "reference-query.json"},
    {"prompts_unnamed", "reference-query.json"},
    {"sharded", "reference.json"},
    {"prefixed", "reference.json"},
    {"pooler", "reference.json"},
    {"gamma", "reference.json"},
    {"f16", "reference.json"},
    {"bf16", "reference.json"},
    {"matryoshka", "reference.json"},
    {"plain", "reference.json"},
    {"subfolder", "reference.json"},
    {"distilbert", "reference.json"},
    {"mpnet", "reference.json"},
    {"mpnet_lm", "reference.json"},
    {"mpnet_long", "reference.json"},
    {"electra", "reference.json"},
    {"electra_small", "reference.json"},
    {"electra_wide", "reference.json"},
    {"roberta", "reference.json"},
    {"roberta_pad", "reference.json"},
    {"xlm_roberta", "reference.json"},
    {"camembert", "reference.json"},
    {"albert", "reference.json"},
    {"albert_groups", "reference.json"},
    {"albert_spare", "reference.json"},
    {"t5", "reference.json"},
    {"t5_gated", "reference.json"},
    {"t5_long", "reference.json"},
    {"t5_dense", "reference.json"},
    {"qwen2", "reference.json"},
    {"qwen2_both_ways", "reference.json"},
    {"qwen2_sliding", "reference.json"},
    {"qwen3", "reference.json"},
    {"qwen3_linear", "reference.json"},
    {"llama", "reference.json"},
    {"llama_both_ways", "reference.json"},
    {"mistral", "reference.json"},
    {"mistral_whole", "reference.json"},
    {"embeddinggemma", "reference.json"},
    {"gemma3", "reference.json"},
    {"embeddinggemma", "reference-query.json"},
    {"llama_bidirec", "reference.json"},
    {"qwen25_vl", "reference.json"},
    {"jina4", "reference-retrieval.json"},
    {"jina4", "reference-code.json"},
    {"deberta", "reference.json"},
    {"deberta_plain", "reference.json"},
    {"deberta_own", "reference.json"},
    {"ernie", "reference.json"},
    {"jina2", "reference.json"},
    {"jina2_reglu", "reference.json"},
    {"jina2_code", "reference.json"},
    {"jina3", "reference.json"},
    {"jina3_lora", "reference.json"},
    {"jina3_lora", "reference-1.json"},
    {"modernbert", "reference.json"},
    {"modernbert_biased", "reference.json"},
    {"eurobert", "reference.json"},
    {"eurobert_biased", "reference.json"},
    {"gte", "reference.json"},
    {"gte_new", "reference.json"},
    {"gte_arctic", "reference.json"},
    {"nomic_bert", "reference.json"},
    {"nomic_hub", "reference.json"},
    {"nomic_moe", "reference.json"},
    {"nomic_plain", "reference.json"},
    {"nomic_geglu", "reference.json"},
    {"static_table", "reference.json"},
    {"static_table", "reference-query.json"},
    {"static_model2vec", "reference.json"},
    {"static_folded", "reference.json"},
};

static void compare_ids(const char *name, size_t text, const json_t *want,
                        const uint32_t *ids, size_t count) {
    if (json_array_size(want) != count)
        fail_msg("%s, text %zu: %zu ids, expected %zu", name, text, count,
                 json_array_size(want));
    for (size_t i = 0; i < count; i++)
        if (json_integer_value(json_array_get(want, i)) != ids[i])
            fail_msg("%s, text %zu: id %zu is %u", name, text, i, ids[i]);
}

/* Gives the cosine. */
static double compare_vector(const char *name, size_t text, const json_t *want,
                             const float *vector, size_t width) {
    double dot = 0, ours = 0, theirs = 0, farthest = 0;
    assert_int_equal(json_array_size(want), width);
    for (size_t i = 0; i < width; i++) {
        double reference = json_number_value(json_array_get(want, i));
        double apart = reference - (double)vector[i];
        farthest = __builtin_fmax(farthest, __builtin_fabs(apart));
        dot += reference * vector[i];
        ours += (double)vector[i] * vector[i];
        theirs += reference * reference;
    }
    double cosine = dot / __builtin_sqrt(ours * theirs);
    double length = __builtin_sqrt(ours / theirs);
    if (!(cosine >= 0.99999) || !(length > 0.9999 && length < 1.0001) ||
        !(farthest <= 1e-4))
        fail_msg("%s, text %zu: cosine %.9f, length %.6f of the reference's, "
                 "farthest element %.3g",
                 name, text, cosine, length, farthest);
    return cosine;
}

/* What member_cut makes of a vector is of unit length; sentence-transformers
 * leaves a cut one as it is. The direction is compared. */
static void make_unit(json_t *vector) {
    double sum = 0;
    for (size_t i = 0; i < json_array_size(vector); i++) {
        double x = json_number_value(json_array_get(vector, i));
        sum += x * x;
    }
    for (size_t i = 0; i < json_array_size(vector); i++)
        json_array_set_new(
            vector, i,
            json_real(json_number_value(json_array_get(vector, i)) /
                      __builtin_sqrt(sum)));
}

static void note(const struct family *family, bool formula, double lowest) {
    size_t i = 0;
    while (family_at(i) != family)
        i++;
    assert_true(i < FAMILIES_MAX);
    if (!compared[i].references++ || lowest < compared[i].lowest)
        compared[i].lowest = lowest;
    compared[i].formulas += formula;
}

/* A text without a token, for which upstream gives zeros. */
static void check_empty(const char *name, struct engine *engine,
                        struct str text, const json_t *want, float *vector) {
    struct error err = {0};
    for (size_t i = 0; i < json_array_size(want); i++)
        assert_true(json_number_value(json_array_get(want, i)) == 0);
    if (engine_embed_text(engine, text, vector, &err) ||
        err.code != ERROR_INPUT || !strstr(err.message, "empty text"))
        fail_msg("%s: a text without a token: \"%s\"", name, err.message);
}

static void check_texts(const char *name, struct engine *engine,
                        const json_t *reference, const json_t *texts) {
    struct memory *memory = &engine->session->memory;
    const struct member *member = engine->member;
    struct error err = {0};
    double lowest = 2;
    float *vector =
        memory_alloc(memory, member->spec.width, sizeof *vector, &err);
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const json_t *text = json_array_get(texts, i);
        struct str bytes = {json_string_value(text), json_string_length(text)};
        struct tokens tokens = tokens_make(memory);
        size_t starts[2];
        if (!engine_tokenize(engine, &bytes, 1, &tokens, starts, &err))
            fail_msg("%s, text %zu: %s", name, i, err.message);
        compare_ids(name, i,
                    json_array_get(json_object_get(reference, "ids"), i),
                    tokens.ids, tokens.count);
        json_t *want = json_array_get(json_object_get(reference, "vectors"), i);
        size_t count = tokens.count;
        tokens_free(&tokens);
        if (!count) {
            check_empty(name, engine, bytes, want, vector);
            continue;
        }
        if (!engine_embed_text(engine, bytes, vector, &err))
            fail_msg("%s, text %zu: %s", name, i, err.message);
        if (member->width < member->spec.width && member->spec.normalize)
            make_unit(want);
        lowest = __builtin_fmin(
            lowest, compare_vector(name, i, want, vector, member->width));
    }
    note(member->spec.family,
         json_is_true(json_object_get(reference, "formula")), lowest);
    memory_free(memory, vector);
}

static void check_reference(const struct reference *r, const char *isa) {
    char folder[256], path[320], name[300];
    snprintf(folder, sizeof folder, MODELS "%s", r->folder);
    snprintf(path, sizeof path, "%s/%s", folder, r->file);
    snprintf(name, sizeof name, "%s/%s on %s", r->folder, r->file, isa);
    json_t *reference = read_json(path);
    json_t *texts =
        read_json(json_string_value(json_object_get(reference, "texts_file")));
    struct model_request request = {
        .reference = folder,
        .weight = 1,
        .task = json_string_value(json_object_get(reference, "task"))};
    struct run_options options = {
        .models = &request, .models_count = 1, .threads = 2, .isa = isa};
    struct session session;
    struct roster roster = {0};
    struct error err = {0};
    struct engine *engine = NULL;
    if (session_open(&session, &options, NULL, &err) &&
        roster_open(&roster, &session,
                    json_string_value(json_object_get(reference, "encoded_as")),
                    false, &err)) {
        if (roster.members[0].error.code)
            err = roster.members[0].error;
        else
            engine = engine_load(&session, &roster.members[0], 0, &err);
    }
    if (!engine)
        fail_msg("%s: %s", name, err.message);
    check_texts(name, engine, reference, texts);
    engine_free(engine);
    roster_free(&roster);
    session_close(&session);
    assert_int_equal(memory_live(&session.memory), 0);
    json_decref(reference);
    json_decref(texts);
}

static void vectors_are_those_of_sentence_transformers(void **state) {
    (void)state;
    const char *isa;
    size_t count = sizeof references / sizeof *references;
    for (size_t n = 0; (isa = device_isa(NUMBER_F32, n)); n++)
        for (size_t i = 0; i < count; i++)
            check_reference(&references[i], isa);
}

/* ---- without a limit ----------------------------------------------------- */

/* The mean of one row, however often it stands there, is that row; and room for
 * so long a text is only made when it comes. */
static void check_long(struct engine *engine, size_t words) {
    struct memory *memory = &engine->session->memory;
    struct strbuf text = strbuf_make(memory);
    struct question question = {.memory = memory};
    struct error err = {0};
    float one[16], many[16];
    for (size_t i = 0; i < words; i++)
        strbuf_add(&text, STR("the "));
    struct str all = strbuf_str(&text);
    if (!engine_embed_text(engine, STR("the"), one, &err) ||
        !(words % 2 ? question_ask(engine, all, &question, &err)
                    : engine_embed_text(engine, all, many, &err)))
        fail_msg("%zu words: %s", words, err.message);
    assert_true(engine->resident->budget.longest >= words);
    const float *got = words % 2 ? question.dense : many;
    for (size_t i = 0; i < engine->member->width; i++)
        assert_float_equal(got[i], one[i], 1e-5);
    question_free(&question);
    strbuf_free(&text);
}

static void texts_of_any_length(void **state) {
    (void)state;
    struct model_request request = {.reference = MODELS "static_model2vec",
                                    .weight = 1};
    struct run_options options = {
        .models = &request, .models_count = 1, .threads = 2};
    struct session session;
    struct roster roster = {0};
    struct error err = {0};
    assert_true(session_open(&session, &options, NULL, &err) &&
                roster_open(&roster, &session, "", false, &err));
    struct engine *engine = engine_load(&session, &roster.members[0], 0, &err);
    if (!engine)
        fail_msg("%s", err.message);
    assert_int_equal(engine->resident->budget.longest, 32768);
    check_long(engine, 100000);
    check_long(engine, 200001); /* as a question */
    engine_free(engine);
    roster_free(&roster);
    session_close(&session);
}

/* ---- docs/models.md ----------------------------------------------------- */

static size_t isas(void) {
    size_t count = 0;
    while (device_isa(NUMBER_F32, count))
        count++;
    return count;
}

/* A row of the table. The cosine is cut, not rounded: never more than it is. */
static void table_row(size_t i, char *row, size_t capacity) {
    const struct family *family = family_at(i);
    size_t millionths = (size_t)(compared[i].lowest * 1e6);
    size_t formulas = compared[i].formulas / isas();
    char only[40] = "";
    if (formulas)
        snprintf(only, sizeof only, ", %zu formula only", formulas);
    snprintf(row, capacity, "| %s | `%s` | %s | %zu%s | %zu.%06zu |\n",
             family->title, family->model_type, family->examples,
             compared[i].references / isas(), only, millionths / 1000000,
             millionths % 1000000);
}

static const char table_head[] =
    "| family | `model_type` | such models | references | lowest cosine |\n"
    "|---|---|---|---:|---:|\n";

static void the_manual_has_every_family(void **state) {
    (void)state;
    static char text[1 << 16], row[1024];
    FILE *file = fopen("docs/models.md", "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    const char *at = strstr(text, table_head);
    if (!at)
        fail_msg("docs/models.md lacks the line\n%s", table_head);
    at += strlen(table_head);
    for (size_t i = 0; family_at(i); i++, at += strlen(row)) {
        if (compared[i].references == 0)
            fail_msg("%s was compared with nothing", family_at(i)->title);
        table_row(i, row, sizeof row);
        if (strncmp(at, row, strlen(row)) != 0)
            fail_msg("docs/models.md should say here (see above how to print "
                     "it)\n%sbut says"
                     "\n%.200s",
                     row, at);
    }
    assert_int_not_equal(*at, '|');
}

static int print_table(void) {
    char row[1024];
    vectors_are_those_of_sentence_transformers(NULL);
    fputs(table_head, stdout);
    for (size_t i = 0; family_at(i); i++) {
        table_row(i, row, sizeof row);
        fputs(row, stdout);
    }
    return 0;
}

/* Folders that must be refused, and a word that the sentence must have. */
static void broken_models_are_refused_by_name(void **state) {
    (void)state;
    static const struct {
        const char *folder, *word;
        enum error_code code;
    } cases[] = {
        {"broken_no_weights", "model.safetensors", ERROR_MISSING},
        {"broken_truncated", "model.safetensors", ERROR_INPUT},
        {"broken_offset", "model.safetensors", ERROR_INPUT},
        {"broken_shape", "shape", ERROR_INPUT},
        {"broken_missing", "missing", ERROR_INPUT},
        {"broken_unexpected", "unexpected", ERROR_INPUT},
        {"broken_dtype", "F32", ERROR_UNSUPPORTED},
        {"unsupported", "funnel", ERROR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char folder[256];
        snprintf(folder, sizeof folder, MODELS "%s", cases[i].folder);
        struct model_request request = {.reference = folder, .weight = 1};
        struct run_options options = {
            .models = &request, .models_count = 1, .threads = 1};
        struct session session;
        struct roster roster;
        struct error err = {0};
        assert_true(session_open(&session, &options, NULL, &err));
        assert_true(roster_open(&roster, &session, "", false, &err));
        struct engine *engine = NULL;
        if (roster.members[0].error.code)
            err = roster.members[0].error;
        else
            engine = engine_load(&session, &roster.members[0], 0, &err);
        if (engine || err.code != cases[i].code ||
            !strstr(err.message, cases[i].word))
            fail_msg("%s: code %s, \"%s\"", folder, error_name(err.code),
                     err.message);
        roster_free(&roster);
        session_close(&session);
        assert_int_equal(memory_live(&session.memory), 0);
    }
}

int main(int count, char **arguments) {
    if (count == 2 && strcmp(arguments[1], "table") == 0)
        return print_table();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_those_of_sentence_transformers),
        cmocka_unit_test(the_manual_has_every_family),
        cmocka_unit_test(texts_of_any_length),
        cmocka_unit_test(broken_models_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
