/* cmd_search.c - `ensembed search`: the nearest chunks, best first. */

#include <inttypes.h>

#include "cli/command.h"
#include "run/search.h"

enum { TEXT_SHOWN = 600, INDENT = 4 };

/* The beginning of a text, its lines indented, cut between characters. */
static void print_text(struct str text) {
    size_t shown = text.size;
    bool cut = shown > TEXT_SHOWN;
    if (cut)
        for (shown = TEXT_SHOWN;
             ((unsigned char)text.data[shown] & 0xC0) == 0x80;)
            shown--;
    for (size_t begin = 0, end; begin <= shown; begin = end + 1) {
        for (end = begin; end < shown && text.data[end] != '\n';)
            end++;
        printf("%*s", INDENT, "");
        command_print_clean((struct str){text.data + begin, end - begin});
        if (end < shown)
            putchar('\n');
    }
    printf("%s\n", cut ? " ..." : "");
}

static void print_hits(const struct search_result *result) {
    for (size_t i = 0; i < result->count; i++) {
        const struct search_hit *hit = &result->hits[i];
        struct str names[] = {str_from(hit->collection), hit->source,
                              hit->chunk_id};
        printf("%zu. %.4f", i + 1, hit->score);
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (names[k].size) {
                printf("  ");
                command_print_clean(names[k]);
            }
        putchar('\n');
        print_text(hit->text);
    }
}

/* {"KEY-sparse": {"rank": 3, "score": 12.5}, ...} */
static json_t *describe_ranks(const struct search_hit *hit) {
    json_t *ranks = json_object();
    for (size_t i = 0; i < hit->ranks_count; i++)
        json_object_set_new(ranks, hit->ranks[i].source,
                            json_pack("{s:I, s:f}", "rank",
                                      (json_int_t)hit->ranks[i].rank, "score",
                                      hit->ranks[i].score));
    return ranks;
}

static json_t *json_text(struct str text) {
    return json_stringn(text.data, text.size);
}

static json_t *describe(const struct search_result *result) {
    json_t *hits = json_array();
    for (size_t i = 0; i < result->count; i++) {
        const struct search_hit *hit = &result->hits[i];
        json_array_append_new(
            hits,
            json_pack("{s:i, s:f, s:s, s:o, s:o, s:o, s:I, s:o}", "rank",
                      (int)i + 1, "score", hit->score, "collection",
                      hit->collection, "chunk_id", json_text(hit->chunk_id),
                      "source_file", json_text(hit->source), "text",
                      json_text(hit->text), "row", (json_int_t)hit->row, "by",
                      describe_ranks(hit)));
    }
    json_t *earlier = json_array();
    for (size_t i = 0; i < result->earlier_count; i++)
        json_array_append_new(earlier, json_string(result->earlier[i]));
    return json_pack("{s:o, s:I, s:o, s:I, s:s?, s:f, s:f, s:f, s:f}", "hits",
                     hits, "collections", (json_int_t)result->collections,
                     "earlier", earlier, "rows", (json_int_t)result->rows,
                     "reranked_by", result->reranked_by, "load_ms",
                     result->load_ms, "encode_ms", result->encode_ms, "scan_ms",
                     result->scan_ms, "rerank_ms", result->rerank_ms);
}

int command_search(const struct program *program, struct error *err) {
    const struct options *options = program->options;
    struct run_options machine;
    struct model_request *models = command_models_requested(program, err);
    if (!models)
        return EXIT_FAILED;
    command_run_options(program, NULL, &machine);
    struct search_request request = {
        .folder = options->words.items[0],
        .question = options->words.items[1],
        .top = options->top,
        .collections = options->collections.items,
        .collections_count = options->collections.count,
        .by = options->by.items,
        .by_count = options->by.count,
        .rerank = options->rerank.count ? models : NULL,
        .no_rerank = options->no_rerank,
        .candidates = options->candidates,
        .machine = &machine};
    struct search_result result;
    bool fine = search_run(&request, &program->sink, &result, err);
    memory_free(program->memory, models);
    if (!fine)
        return EXIT_FAILED;
    if (!result.rows)
        terminal_log(program->terminal, LOG_WARNING,
                     "there is no row to compare with");
    if (options->json)
        command_print_json(describe(&result));
    else
        print_hits(&result);
    if (options->verbosity == VERBOSITY_VERBOSE)
        fprintf(stderr,
                "%" PRIu64 " rows compared in %.1f ms; model loaded in %.1f "
                "ms, question encoded in %.1f ms\n",
                result.rows, result.scan_ms, result.load_ms, result.encode_ms);
    search_result_free(&result);
    return EXIT_FINE;
}
