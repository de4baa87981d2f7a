/* test_tokenizer.c - the tokenizer against what Hugging Face's gives.
 *
 * With arguments it is a small tokenize program for tools/tokenizer_oracle.py:
 *
 *     test_text_tokenizer --tokenize TOKENIZER.JSON [LIMIT [THREADS]]
 *
 * reads JSON strings, one a line, and writes {"ids", "truncated"} lines.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/utf8.h"
#include "text/tokenizer.h"
#include "text/tokenizer_parts.h"

static struct memory heap;

static void check(bool fine, const struct error *err) {
    if (fine)
        return;
    fprintf(stderr, "test_text_tokenizer: %s\n", err->message);
    exit(1);
}

static struct tokenizer *open_tokenizer(const char *path) {
    struct error err = {0};
    struct file_map map;
    check(file_map_open(&map, path, &err), &err);
    struct tokenizer *tokenizer =
        tokenizer_create(&heap, (struct str){map.data, map.size}, path, &err);
    check(tokenizer, &err);
    file_map_close(&map);
    return tokenizer;
}

/* Everything a batch needs, for as many texts as come. */
struct bench {
    struct tokenizer *tokenizer;
    struct pool *pool;
    struct tokenizer_scratch *scratch[64];
    struct tokens tokens;
    size_t *starts;
    size_t *cut;
};

static struct bench bench_open(const char *path, unsigned threads) {
    struct error err = {0};
    struct bench bench = {.tokenizer = open_tokenizer(path),
                          .pool = pool_create(&heap, threads, &err),
                          .tokens = tokens_make(&heap)};
    check(bench.pool, &err);
    for (unsigned i = 0; i < threads; i++) {
        bench.scratch[i] =
            tokenizer_scratch_create(bench.tokenizer, &heap, &err);
        check(bench.scratch[i], &err);
    }
    return bench;
}

static void bench_close(struct bench *bench) {
    for (unsigned i = 0; i < pool_threads(bench->pool); i++)
        tokenizer_scratch_free(bench->scratch[i]);
    memory_free(&heap, bench->starts);
    memory_free(&heap, bench->cut);
    tokens_free(&bench->tokens);
    pool_free(bench->pool);
    tokenizer_free(bench->tokenizer);
}

static void bench_run(struct bench *bench, const struct str *texts,
                      size_t count, size_t limit) {
    struct error err = {0};
    memory_free(&heap, bench->starts);
    memory_free(&heap, bench->cut);
    bench->tokens.count = 0;
    bench->starts = memory_alloc(&heap, count + 1, sizeof *bench->starts, &err);
    bench->cut = memory_alloc(&heap, count, sizeof *bench->cut, &err);
    check(bench->starts && bench->cut &&
              tokenizer_encode_batch(bench->tokenizer, bench->scratch,
                                     bench->pool, texts, count, limit,
                                     TOKENIZER_COUNT, &bench->tokens,
                                     bench->starts, bench->cut, &err),
          &err);
}

/* The JSON values of LINES, one a line; the caller owns them. */
static json_t **read_lines(struct str lines, size_t *count) {
    json_t **values = NULL;
    *count = 0;
    for (size_t at = 0; at < lines.size;) {
        const char *line = lines.data + at;
        const char *newline = memchr(line, '\n', lines.size - at);
        size_t size = newline ? (size_t)(newline - line) : lines.size - at;
        values = realloc(values, (*count + 1) * sizeof *values);
        struct error err = {0};
        values[*count] = json_parse((struct str){line, size}, "a line", &err);
        check(values[(*count)++], &err);
        at += size + 1;
    }
    return values;
}

static int tokenize(const char *path, size_t limit, unsigned threads) {
    struct strbuf input = strbuf_make(&heap);
    char buffer[1 << 16];
    size_t size;
    while ((size = fread(buffer, 1, sizeof buffer, stdin)) > 0)
        strbuf_add(&input, (struct str){buffer, size});
    size_t count;
    json_t **values = read_lines(strbuf_str(&input), &count);
    struct str *texts = calloc(count + 1, sizeof *texts);
    for (size_t i = 0; i < count; i++)
        texts[i] = (struct str){json_string_value(values[i]),
                                json_string_length(values[i])};
    struct bench bench = bench_open(path, threads);
    int64_t begin_ns = clock_now_ns();
    bench_run(&bench, texts, count, limit);
    double seconds = (double)(clock_now_ns() - begin_ns) / 1e9;
    for (size_t i = 0; i < count; i++) {
        fputs("{\"ids\":[", stdout);
        for (size_t k = bench.starts[i]; k < bench.starts[i + 1]; k++)
            printf("%s%u", k > bench.starts[i] ? "," : "", bench.tokens.ids[k]);
        printf("],\"truncated\":%zu}\n", bench.cut[i]);
    }
    fprintf(stderr, "%zu texts, %zu tokens, %.3f s, %.0f tokens/s\n", count,
            bench.tokens.count, seconds, (double)bench.tokens.count / seconds);
    bench_close(&bench);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--tokenize") == 0)
        return tokenize(argv[2], argc > 3 ? strtoul(argv[3], NULL, 10) : 0,
                        argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 2);
    return 0;
}
