/* test_chunk_pieces.c - intake by any number of threads finds what one finds
 * that reads file after file: the same points, digests and problems, in the
 * same order, whatever is wrong in whichever file. */

#include "base/pool.h"
#include "data/chunk_folder.h"
#include "data/chunk_pieces.h"

enum {
    NO_PIECES = 8 << 20,  /* room for one that reads, not for pieces */
    MANY_CHUNKS = 1500,   /* more than a piece has */
    LONG_BYTES = 200000,  /* a line longer than a piece of lines ... */
    LARGE_BYTES = 300000, /* ... and a chunk that no piece has room for */
    HUGE_BYTES = 1200000, /* and one that rooms are given back for */
};

/* ---- input -------------------------------------------------------------- */

static FILE *begin_file(const struct place *place, const char *name) {
    FILE *file = fopen(path_in(place, name), "wb");
    assert_non_null(file);
    return file;
}

static void put_chunk(FILE *file, unsigned i, size_t letters) {
    fprintf(file, "{\"text\":\"chunk %u ", i);
    for (size_t n = 0; n < letters; n++)
        putc('a' + (int)(n % 26), file);
    fprintf(file, "\",\n \"metadata\": {\"chunk_id\": \"c%u\", \"n\": %u.0}}",
            i, i);
}

static void put_chunk_line(FILE *file, unsigned i, size_t letters) {
    fprintf(file, "\"line %u ", i);
    for (size_t n = 0; n < letters; n++)
        putc('a' + (int)(n % 26), file);
    fputs("\"\n", file);
}

/* COUNT chunks from FIRST on; one of them has LETTERS. */
static void put_document(const struct place *place, const char *name,
                         unsigned first, unsigned count, size_t letters,
                         const char *ending) {
    FILE *file = begin_file(place, name);
    fputs("[", file);
    for (unsigned i = first; i < first + count; i++) {
        put_chunk(file, i, i == first + count / 2 ? letters : i % 90);
        fputs(i + 1 < first + count ? ",\n" : ending, file);
    }
    fclose(file);
}

static const struct {
    unsigned at;
    const char *line;
} ODD_LINES[] = {
    {10, "  "},
    {100, "{\"text\": broken"},
    {101, "\xEF\xBB\xBF{\"text\":\"behind a BOM\"}"},
    {300, "[1]"},
    {301, "{\"text\":\"  \"}"},
    {700, "{\"text\":\"not \xFF UTF-8\"}"},
    {701, "\"a bare line\"\r"},
    {900, "{\"text\":\"alone \\ud800\",\"q\":\"\\udc00\"}"},
    {1100, "{\"nothing\":1}"},
    {1101, "{\"text\":\"line 5 \"}"},
    {1102, "{\"text\":\"x\"} more"},
};
enum { ODD = sizeof ODD_LINES / sizeof *ODD_LINES };

static void put_lines(const struct place *place, const char *name, bool odd,
                      const char *ending) {
    FILE *file = begin_file(place, name);
    fputs("\xEF\xBB\xBF", file);
    for (unsigned i = 0; i < MANY_CHUNKS; i++) {
        size_t k = 0;
        while (k < ODD && ODD_LINES[k].at != i)
            k++;
        if (odd && k < ODD) {
            fprintf(file, "%s\n", ODD_LINES[k].line);
            continue;
        }
        fprintf(file, "{\"text\":\"line %u ", i % 1300);
        for (size_t n = 0; n < (odd && i == 500 ? LONG_BYTES : i % 300); n++)
            putc('a' + (int)(n % 26), file);
        fprintf(file, "\",\"source\":\"s%u\"}\n", i);
    }
    fputs(ending, file);
    fclose(file);
}

/* Sound lines; of some in the middle there is something to say all the same. */
static void put_plain(const struct place *place, const char *name) {
    FILE *file = begin_file(place, name);
    for (unsigned i = 0; i < 4 * MANY_CHUNKS; i++) {
        const char *text = i % 1000 == 999 ? "\\u00a0 " : "some words, and";
        fprintf(file,
                "{\"text\":\"%s\",\"metadata\":{\"chunk_id\":\"p%u\","
                "\"path\":\"docs/guide/page.md\"}}\n",
                text, i % 1700 ? i : 0);
    }
    fclose(file);
}

/* A piece of lines ends with the long first one: the next begins with a BOM,
 * which is none in the middle of a file. */
static void put_bom_between(const struct place *place, const char *name) {
    FILE *file = begin_file(place, name);
    put_chunk_line(file, 0, LONG_BYTES);
    fputs("\xEF\xBB\xBF", file);
    for (unsigned i = 1; i < 10; i++)
        put_chunk_line(file, i, 5);
    fclose(file);
}

static void put_all(const struct place *place) {
    put_document(place, "01.json", 0, 100, 0, "]");
    put_document(place, "02.json", 50, 100, 0, "]"); /* ids come again */
    put_document(place, "03.json", 200, 50, 0, "");  /* cut off */
    put_document(place, "04.json", 300, 50, 0, ",\"bare \\ud800\",{}]");
    put_document(place, "05.json", 400, 50, 0, ",{\"text\":\" \"},[]]");
    put(place, "06.json", "");
    put(place, "07.json", " [ ] ");
    put(place, "08.json", "{\"chunks\":[{\"text\":\"wrapped\"}]}");
    put(place, "09.json", "{\"text\":\"one\",\"id\":7}");
    put(place, "10.json",
        "\xEF\xBB\xBF[{\"content\":\"c\",\"page\":1},\n\"s\"]");
    put_document(place, "11.json", 500, 20, LARGE_BYTES, "]");
    put_document(place, "12.json", 600, 20, HUGE_BYTES, "]");
    put_document(place, "13.json", 1000, MANY_CHUNKS, 0, "]");
    put_lines(place, "14.jsonl", false, "");
    put_lines(place, "15.jsonl", true, "{\"text\":\"no line end\"}");
    put_lines(place, "16.jsonl", true, "{\"text\":\"cut");
    put(place, "17.jsonl", "");
    put(place, "18.jsonl", "\n \n\n");
    put_document(place, "19.json", 9000, 10, 0, "]");
    put_document(place, "20.json", 9100, 10, 0, "] more");
    put_plain(place, "21.jsonl");
    put(place, "22.json", "[{\"text\":\"alone \\ud800\"},\"s \\udc00\"]");
    put_bom_between(place, "23.jsonl");
}

/* ---- what is found ------------------------------------------------------ */

static void add_problems(struct strbuf *out, const struct intake *in) {
    for (size_t i = 0; i < in->problems_count; i++) {
        const struct chunk_problem *p = &in->problems[i];
        strbuf_printf(out, "%s %s %d %s\n", p->file, p->code, p->failed,
                      p->message);
    }
}

static void add_points(struct strbuf *out, const struct intake *in) {
    struct error err = {0};
    struct chunk chunk;
    struct chunk_reader *reader = chunk_reader_open(in, &err);
    assert_non_null(reader);
    enum chunk_step step;
    while ((step = chunk_reader_next(reader, false, &chunk, &err)) ==
           CHUNK_OK) {
        strbuf_printf(out, "%s %d ", chunk.file, chunk.duplicate);
        strbuf_add(out, chunk.chunk_id);
        strbuf_add(out, (struct str){(char *)chunk.digest, SHA256_BYTES});
        strbuf_add(out, chunk.text);
        strbuf_add(out, chunk.metadata);
        strbuf_add_char(out, '\n');
    }
    if (step != CHUNK_END)
        fail_msg("%s", err.message);
    chunk_reader_close(reader);
}

/* All that an intake says, by THREADS (0: one that has no room for pieces). */
static struct strbuf look(const struct place *place,
                          const struct chunk_options *how, unsigned threads) {
    static struct memory other;
    struct error err = {0};
    struct chunk_options options = *how;
    struct strbuf out = strbuf_make(&other);
    struct chunk_listing *list = list_of(place, &options);
    assert_int_equal(list->count, 1);
    options.pool = threads ? pool_create(&other, threads, NULL) : NULL;
    memory.ceiling = threads ? 0 : memory_live(&memory) + NO_PIECES;
    struct intake *in = intake_scan(&memory, list->collections, &options,
                                    place->scratch, NULL, &err);
    if (!in)
        fail_msg("%s", err.message);
    strbuf_add(&out, (struct str){(char *)&in->counts, sizeof in->counts});
    strbuf_add(&out, (struct str){(char *)in->digest, SHA256_BYTES});
    strbuf_printf(&out, "%llu\n", (unsigned long long)in->problems_total);
    add_problems(&out, in);
    add_points(&out, in);
    memory.ceiling = 0;
    intake_free(in);
    pool_free(options.pool);
    chunks_free(list);
    return out;
}

static void compare(const struct place *place,
                    const struct chunk_options *options) {
    static const unsigned threads[] = {1, 2, 3, 8, 11};
    struct strbuf alone = look(place, options, 0);
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        struct strbuf text = look(place, options, threads[t]);
        assert_int_equal(text.size, alone.size);
        assert_memory_equal(text.data, alone.data, alone.size);
        strbuf_free(&text);
    }
    strbuf_free(&alone);
}

/* ---- tests -------------------------------------------------------------- */

static void threads_find_what_one_finds(void **state) {
    put_all(*state);
    compare(*state, &(struct chunk_options){0});
    compare(*state, &(struct chunk_options){.read_bytes = 64});
}

static void with_options_too(void **state) {
    put_all(*state);
    compare(*state, &(struct chunk_options){.collapse_whitespace = true,
                                            .trim_chars = 9});
}

enum { TITLES = 5000 };

/* As short as lines are. */
static void put_titles(const struct place *place, const char *name) {
    FILE *file = begin_file(place, name);
    for (int i = 0; i < TITLES; i++)
        fprintf(file, "\"the %d\"\n", i + 10000);
    fclose(file);
}

/* That there are pieces, and sound ones, where all is well; and none without
 * room. */
static void sound_files_are_pieces(void **state) {
    const struct place *place = *state;
    put_document(place, "a.json", 0, 100, 0, "]");
    put_lines(place, "b.jsonl", false, "");
    put_document(place, "c.json", 0, 20, LARGE_BYTES, "]");
    put_document(place, "d.json", 0, 10, 0, ",7]");
    put_titles(place, "e.jsonl");
    struct chunk_options options = {0};
    struct chunk_listing *list = list_of(place, &options);
    struct intake in = {.memory = &memory, .collection = list->collections};
    struct chunk_pieces pieces;
    chunk_pieces_open(&pieces, &in);
    size_t sound = 0, chunks = 0;
    for (uint32_t f = 0; f < 5; f++) {
        struct piece_where where = {.file = f, .lines = f == 1 || f == 4};
        const char *path = list->collections[0].files[f].path;
        assert_true(file_open_sized(path, &where.fd, &where.size, NULL));
        while (where.begin < where.size) {
            size_t count = pieces.count;
            const struct chunk_piece *piece = chunk_pieces_get(&pieces, &where);
            assert_true((piece != NULL) == (f != 2));
            /* those behind a large document are not read again */
            assert_true(f != 2 || (count && pieces.count == count));
            sound += piece && piece->sound;
            chunks += piece && piece->sound ? piece->count : 0;
            where.begin = piece ? piece->end : where.size;
        }
        close(where.fd);
    }
    assert_true(sound >= 1 + 4); /* some lines of 280 KB */
    assert_int_equal(chunks, 100 + MANY_CHUNKS + TITLES);
    chunk_pieces_close(&pieces);
    memory.ceiling = memory_live(&memory) + NO_PIECES;
    chunk_pieces_open(&pieces, &in);
    assert_int_equal(pieces.room, 0);
    chunk_pieces_close(&pieces);
    memory.ceiling = 0;
    chunks_free(list);
}

/* What an intake holds while it reads its first bytes, and its last. */
struct holding {
    uint64_t first, last;
};

static void note_holding(void *context, const struct progress *progress) {
    struct holding *holding = context;
    if (!holding->first)
        holding->first = progress->memory_live;
    holding->last = progress->memory_live;
}

/* For a large chunk pieces give back what they hold, and take it again behind
 * it. */
static void pieces_come_back_behind_a_large_chunk(void **state) {
    enum { PIECES_HOLD = 1 << 20 }; /* at least */
    const struct place *place = *state;
    struct chunk_options options = {.read_bytes = 4096};
    struct holding holding = {0};
    struct sink sink = {.context = &holding, .progress = note_holding};
    struct error err = {0};
    FILE *file = begin_file(place, "a.jsonl");
    for (unsigned i = 0; i < MANY_CHUNKS; i++)
        put_chunk_line(file, i, i == MANY_CHUNKS / 2 ? HUGE_BYTES : 90);
    fclose(file);
    struct chunk_listing *list = list_of(place, &options);
    struct intake *in = intake_scan(&memory, list->collections, &options,
                                    place->scratch, &sink, &err);
    assert_non_null(in);
    assert_int_equal(in->counts.points, MANY_CHUNKS);
    assert_true(holding.first > PIECES_HOLD);
    assert_true(holding.last > PIECES_HOLD);
    intake_free(in);
    chunks_free(list);
}

static bool stop_at_once(void *context) {
    return ++*(int *)context > 1;
}

/* The first question is asked before the first file. */
static void an_interruption_ends_it(void **state) {
    const struct place *place = *state;
    struct chunk_options options = {0};
    struct error err = {0};
    int asked = 0;
    struct sink sink = {.context = &asked, .interrupted = stop_at_once};
    put_document(place, "a.json", 0, 100, 0, "]");
    struct chunk_listing *list = list_of(place, &options);
    assert_null(intake_scan(&memory, list->collections, &options,
                            place->scratch, &sink, &err));
    assert_int_equal(err.code, ERROR_INTERRUPTED);
    assert_non_null(strstr(err.message, "stopped while reading a.json"));
    chunks_free(list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(threads_find_what_one_finds),
        IN_A_FOLDER(with_options_too),
        IN_A_FOLDER(sound_files_are_pieces),
        IN_A_FOLDER(pieces_come_back_behind_a_large_chunk),
        IN_A_FOLDER(an_interruption_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
