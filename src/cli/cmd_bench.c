/* cmd_bench.c - `ensembed bench`: rates beside the machine's own ceiling. */

#include <stdio.h>

#include "cli/command.h"
#include "run/bench.h"
#include "run/engine.h"
#include "run/roster.h"

enum { WIDTHS = 3, HEIGHTS = 3, CARD_BATCH = 65536 };

/* What is asked of a device: rows that a product has, the last many; tokens of
 * a text, 0 at the end. */
struct questions {
    size_t rows[HEIGHTS];
    size_t text_tokens[4];
};
static const struct questions CPU = {{8, 64, 384}, {160}};
static const struct questions CARD = {{64, 1024, 16384}, {50, 150, 512}};

/* What --json prints. */
struct lists {
    json_t *gemm, *models, *queries;
};

static const struct questions *questions_for(const struct session *session) {
    return session->device->host_memory ? &CPU : &CARD;
}

static bool bench_widths(struct session *session, bool json, json_t *list,
                         struct error *err) {
    static const size_t widths[WIDTHS] = {384, 768, 1024};
    const size_t *rows = questions_for(session)->rows;
    for (size_t i = 0; i < WIDTHS; i++)
        for (size_t j = 0; j < HEIGHTS; j++) {
            double gflops;
            if (!bench_gemm(session, widths[i], 4 * widths[i], rows[j], &gflops,
                            err))
                return false;
            json_array_append_new(
                list, json_pack("{s:I, s:I, s:f}", "width",
                                (json_int_t)widths[i], "rows_per_thread",
                                (json_int_t)rows[j], "gflops", gflops));
            if (!json)
                printf("gemm  width %4zu, %3zu rows a thread: %7.1f GFLOP/s\n",
                       widths[i], rows[j], gflops);
        }
    return true;
}

/* CEILING: the gemm's rate. A table of words has no products to hold to it. */
static void print_model(const struct engine *engine,
                        const struct bench_model *result, double ceiling) {
    printf("model %s: %.0f tokens/s in texts of %zu tokens, ",
           engine->member->key, result->tokens_per_second,
           result->tokens / result->texts);
    if (result->gflops > 0)
        printf("%.1f GFLOP/s in its matrix products, %.0f %% of the gemm's "
               "%.1f in its shapes; ",
               result->gflops, 100 * result->gflops / ceiling, ceiling);
    else
        printf("no matrix products; ");
    printf("loaded in %.0f ms\n", engine->load_ms);
}

static bool bench_length(struct engine *engine, size_t text_tokens,
                         double ceiling, bool json, json_t *list,
                         struct error *err) {
    const char *key = engine->member->key;
    struct bench_model result;
    if (!bench_engine(engine, text_tokens, &result, err))
        return false;
    json_array_append_new(
        list,
        json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:f}", "model", key,
                  "text_tokens", (json_int_t)(result.tokens / result.texts),
                  "tokens_per_second", result.tokens_per_second, "gflops",
                  result.gflops, "gemm_gflops", ceiling, "fraction_of_gemm",
                  result.gflops / ceiling, "load_ms", engine->load_ms));
    if (!json)
        print_model(engine, &result, ceiling);
    return true;
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

/* Milliseconds in which the matrices are read at RATE. */
static double read_ms(const struct bench_read *read, double rate) {
    return rate > 0 ? read->weights_bytes / rate * 1e3 : 0;
}

static void print_read(const struct bench_read *read) {
    if (read->memory > 0 && read->weights_bytes > 0)
        printf("reading the layers' %.1f MB: %.2f ms at memory's %.1f GB/s, "
               "%.2f ms at %.1f GB/s when read again and again\n",
               read->weights_bytes / 1e6, read_ms(read, read->memory),
               read->memory / 1e9, read_ms(read, read->again),
               read->again / 1e9);
}

static void print_query(const struct bench_query *query,
                        const struct bench_read *read, double gflops) {
    double product = query->flops / gflops / 1e6;
    printf("query of %3zu tokens: %6.2f ms; ", query->tokens, query->ms);
    if (!(product > 0)) {
        printf("no matrix products\n");
        return;
    }
    printf("its products at the gemm's rate %.2f ms; ", product);
    if (read->memory > 0)
        printf("%.2f times the larger of that and reading from memory, %.2f "
               "of that and reading again\n",
               query->ms / larger(product, read_ms(read, read->memory)),
               query->ms / larger(product, read_ms(read, read->again)));
    else
        printf("%.2f times that\n", query->ms / product);
}

static json_t *describe_query(const struct engine *engine,
                              const struct bench_query *query,
                              const struct bench_read *read, double gflops) {
    return json_pack(
        "{s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "model",
        engine->member->key, "tokens", (json_int_t)query->tokens, "ms",
        query->ms, "products_ms", query->flops / gflops / 1e6, "weights_bytes",
        read->weights_bytes, "read_ms", read_ms(read, read->memory),
        "read_again_ms", read_ms(read, read->again), "read_bytes_per_second",
        read->memory);
}

static bool bench_queries(struct engine *engine, double ceiling, bool json,
                          json_t *list, struct error *err) {
    static const size_t tokens[] = {4, 8, 12, 32, 128};
    struct bench_read read;
    if (!bench_read(engine, &read, err))
        return false;
    if (!json)
        print_read(&read);
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        struct bench_query query;
        if (!bench_query(engine, tokens[i], &query, err))
            return false;
        json_array_append_new(list,
                              describe_query(engine, &query, &read, ceiling));
        if (!json)
            print_query(&query, &read, ceiling);
    }
    return true;
}

static bool bench_member(struct session *session, const struct member *member,
                         bool json, struct lists *lists, struct error *err) {
    const struct questions *questions = questions_for(session);
    if (member->error.code) {
        *err = member->error;
        return false;
    }
    size_t budget = member->request->budget;
    if (!budget && questions == &CARD)
        budget = CARD_BATCH;
    struct engine *engine = engine_load(session, member, budget, err);
    double ceiling;
    bool fine =
        engine && bench_gemm(session, member->spec.hidden, member->spec.inter,
                             questions->rows[HEIGHTS - 1], &ceiling, err);
    for (size_t i = 0; fine && questions->text_tokens[i]; i++)
        fine = bench_length(engine, questions->text_tokens[i], ceiling, json,
                            lists->models, err);
    fine = fine && bench_queries(engine, ceiling, json, lists->queries, err);
    engine_free(engine);
    return fine;
}

int command_bench(const struct program *program, struct error *err) {
    struct model_request *models = command_models_requested(program, err);
    if (!models)
        return EXIT_FAILED;
    struct run_options options;
    struct session session = {0};
    struct roster roster = {0};
    command_run_options(program, models, &options);
    options.fuse = FUSE_CONCAT; /* models of any widths side by side */
    bool json = program->options->json;
    struct lists lists = {json_array(), json_array(), json_array()};
    bool fine = session_open(&session, &options, &program->sink, err);
    if (fine && !json)
        printf("%s, %s, %u threads\n", session.facts.model, session.facts.isa,
               session.facts.threads);
    fine = fine && bench_widths(&session, json, lists.gemm, err) &&
           (!options.models_count ||
            roster_open(&roster, &session, "", false, err));
    for (size_t i = 0; fine && i < roster.count; i++)
        fine = bench_member(&session, &roster.members[i], json, &lists, err);
    if (fine && json)
        command_print_json(json_pack(
            "{s:s, s:s, s:i, s:O, s:O, s:O}", "cpu", session.facts.model, "isa",
            session.facts.isa, "threads", (int)session.facts.threads, "gemm",
            lists.gemm, "models", lists.models, "queries", lists.queries));
    json_decref(lists.gemm);
    json_decref(lists.models);
    json_decref(lists.queries);
    roster_free(&roster);
    session_close(&session);
    memory_free(program->memory, models);
    return fine ? EXIT_FINE : EXIT_FAILED;
}
