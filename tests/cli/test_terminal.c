/* test_terminal.c - what stands on the screen, by a small model of one. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/terminal.h"

static int64_t now;
static int64_t fake_now(void) {
    return now;
}

static struct terminal terminal;
static char *written;
static size_t written_size;

/* A terminal of COLUMNS that writes into memory; 0: a pipe. */
static struct sink open_terminal(int columns, bool utf8) {
    struct options options = {
        .progress = true, .verbosity = VERBOSITY_NORMAL, .utf8 = utf8};
    free(written);
    written = NULL;
    terminal_open(&terminal, open_memstream(&written, &written_size), &options);
    terminal.live = columns > 0;
    terminal.columns = columns;
    terminal.now_ms = fake_now;
    now = 1000000;
    return terminal_sink(&terminal);
}

static const char *output(void) {
    if (terminal.out)
        fflush(terminal.out);
    return written;
}

static void close_terminal(void) {
    terminal_close(&terminal);
    fclose(terminal.out);
    terminal.out = NULL;
}

/* What a person sees: \r goes to the line's begin, ESC [K clears the rest.
 * Rows are separated by '\n'. */
static char *screen(void) {
    static char rows[8192];
    size_t row = 0, column = 0, end = 0;
    for (const char *c = output(); *c; c++) {
        if (*c == '\r') {
            column = row;
        } else if (strncmp(c, "\033[K", 3) == 0) {
            end = column;
            c += 2;
        } else if (*c == '\n') {
            rows[end++] = '\n';
            row = column = end;
        } else {
            assert_true(*c != '\033');
            rows[column++] = *c;
            end = column > end ? column : end;
        }
    }
    rows[end] = '\0';
    return rows;
}

static struct progress half(void) {
    return (struct progress){.collection = "Docling",
                             .stage = "embed",
                             .model = "minilm",
                             .pass = 1,
                             .passes = 2,
                             .done = 369,
                             .total = 738,
                             .tokens_per_second = 12345.6,
                             .seconds_left = 72,
                             .memory_live = 180 << 20,
                             .memory_ceiling = 2ull << 30};
}

static void a_bar_shows_all_of_it(void **state) {
    (void)state;
    struct sink sink = open_terminal(120, false);
    struct progress p = half();
    event_progress(&sink, &p);
    const char *line = screen(), *bar = strchr(line, '[') + 1;
    size_t full = strspn(bar, "#"), empty = strspn(bar + full, "-");
    assert_int_equal(strlen(line), 119);
    assert_int_equal(strncmp(line, "Docling: embed minilm (pass 1/2) [", 34),
                     0);
    assert_true(full >= 8 && full <= empty && empty <= full + 1);
    assert_string_equal(bar + full + empty,
                        "]  50% 369/738  1:12 left  12,345 tok/s  180 MiB of "
                        "2.0 GiB");
    close_terminal();
    assert_string_equal(screen(), "");
}

static void no_line_is_wider_than_the_screen(void **state) {
    (void)state;
    for (int columns = 10; columns < 200; columns++)
        for (int utf8 = 0; utf8 < 2; utf8++) {
            struct sink sink = open_terminal(columns, utf8 == 1);
            struct progress p = half();
            event_progress(&sink, &p);
            size_t width = 0;
            for (const char *c = screen(); *c; c++)
                width += ((unsigned char)*c & 0xC0) != 0x80;
            assert_true(width < (size_t)columns);
            assert_int_equal(strncmp(screen(), "Docling", 7), 0);
            if (columns > 22) /* what a person waits for */
                assert_non_null(strstr(screen(), " 50% 369/738"));
            /* No measure is there in part. */
            const char *behind = strstr(screen(), "738  ");
            assert_true(!behind || !strcmp(behind + 3, "  1:12 left") ||
                        !strcmp(behind + 3, "  1:12 left  12,345 tok/s") ||
                        !strcmp(behind + 3, "  1:12 left  12,345 tok/s  180 "
                                            "MiB of 2.0 GiB"));
            if (columns > 32) /* of the title 8 columns remain */
                assert_non_null(behind);
            close_terminal();
        }
}

static void who_asks_for_an_end_is_heard(void **state) {
    (void)state;
    for (int columns = 0; columns < 300; columns += 200) {
        volatile sig_atomic_t stop = 0;
        struct sink sink = open_terminal(columns, false);
        terminal.stop = &stop;
        assert_false(event_interrupted(&sink));
        assert_string_equal(output(), "");
        stop = 1;
        assert_true(event_interrupted(&sink) && event_interrupted(&sink));
        const char *said = strstr(output(), "stopping as soon as");
        assert_true(columns ? said && !strstr(said + 1, "stopping") : !said);
        close_terminal();
    }
}

static void a_utf8_bar_has_eighths(void **state) {
    (void)state;
    struct sink sink = open_terminal(110, true);
    struct progress p = half();
    p.done = 1;
    event_progress(&sink, &p);
    assert_null(strstr(screen(), "█"));
    p = half();
    now += 1000;
    event_progress(&sink, &p);
    assert_non_null(strstr(screen(), "█"));
    assert_null(strchr(screen(), '#'));
    close_terminal();
}

static void it_is_redrawn_ten_times_a_second(void **state) {
    (void)state;
    struct sink sink = open_terminal(100, false);
    struct progress p = half();
    event_progress(&sink, &p);
    size_t first = strlen(output());
    for (p.done = 1; p.done < 100; p.done++, now++)
        event_progress(&sink, &p);
    assert_int_equal(strlen(output()), first);
    now += 100;
    event_progress(&sink, &p);
    assert_true(strlen(output()) > first);
    now++;
    p.done = p.total; /* the end is always shown */
    event_progress(&sink, &p);
    assert_non_null(strstr(screen(), "100% 738/738"));
    close_terminal();
}

static void log_lines_roll_above_it(void **state) {
    (void)state;
    struct sink sink = open_terminal(60, false);
    struct progress p = half();
    event_log(&sink, LOG_INFO, "first");
    event_progress(&sink, &p);
    event_log(&sink, LOG_WARNING, "%s", "second");
    event_log(&sink, LOG_DEBUG, "not shown");
    char *rows = screen();
    assert_non_null(strstr(rows, "ensembed: first\nensembed: warning: second\n"
                                 "Docling: embed minilm"));
    close_terminal();
    assert_string_equal(screen(),
                        "ensembed: first\nensembed: warning: second\n");
}

static void names_cannot_speak_to_the_terminal(void **state) {
    (void)state;
    struct sink sink = open_terminal(60, true);
    struct progress p = half();
    p.collection = "a\033[2J\n\xC2\x9B"
                   "b";
    event_log(&sink, LOG_ERROR, "x\ry\033]0;title\a.json");
    event_progress(&sink, &p);
    assert_non_null(
        strstr(screen(), "ensembed: error: x?y?]0;title?.json\na?[2J??b: "));
    close_terminal();
}

static void long_names_are_cut_between_characters(void **state) {
    (void)state;
    struct sink sink = open_terminal(200, true);
    struct progress p = half();
    p.collection = "日本語日本語日本語日本語日本語日本語";
    event_progress(&sink, &p);
    assert_non_null(strstr(screen(), "日本語日本語日本語日本語日..: embed"));
    close_terminal();
}

static void a_pipe_gets_few_plain_lines(void **state) {
    (void)state;
    struct sink sink = open_terminal(0, true);
    struct progress read = {.collection = "Docling",
                            .stage = "read",
                            .done = 5,
                            .total = 10,
                            .seconds_left = -1};
    event_progress(&sink, &read);
    read.done = 10;
    event_progress(&sink, &read);
    struct progress p = half();
    for (p.done = 0; p.done < p.total; p.done++, now += 100)
        event_progress(&sink, &p);
    p.done = p.total;
    for (int i = 0; i < 3; i++)
        event_progress(&sink, &p);
    assert_string_equal(
        output(),
        "ensembed: Docling: embed minilm (pass 1/2): 0/738  1:12 left  "
        "12,345 tok/s  180 MiB of 2.0 GiB\n"
        "ensembed: Docling: embed minilm (pass 1/2): 300/738  1:12 left  "
        "12,345 tok/s  180 MiB of 2.0 GiB\n"
        "ensembed: Docling: embed minilm (pass 1/2): 600/738  1:12 left  "
        "12,345 tok/s  180 MiB of 2.0 GiB\n"
        "ensembed: Docling: embed minilm (pass 1/2): done in 1:14, 738/738  "
        "12,345 tok/s  180 MiB of 2.0 GiB\n");
    close_terminal();
}

static void quiet_means_quiet(void **state) {
    (void)state;
    struct options options = {.progress = true, .verbosity = VERBOSITY_QUIET};
    free(written);
    written = NULL;
    terminal_open(&terminal, open_memstream(&written, &written_size), &options);
    terminal.now_ms = fake_now;
    terminal.live = true;
    struct sink sink = terminal_sink(&terminal);
    struct progress p = half();
    event_progress(&sink, &p);
    event_log(&sink, LOG_INFO, "info");
    event_log(&sink, LOG_WARNING, "warning");
    assert_string_equal(output(), "ensembed: warning: warning\n");
    close_terminal();
}

static void a_signal_is_passed_on(void **state) {
    (void)state;
    static volatile sig_atomic_t stop;
    struct sink sink = open_terminal(80, false);
    assert_false(event_interrupted(&sink));
    terminal.stop = &stop;
    assert_false(event_interrupted(&sink));
    stop = 1;
    assert_true(event_interrupted(&sink));
    close_terminal();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bar_shows_all_of_it),
        cmocka_unit_test(no_line_is_wider_than_the_screen),
        cmocka_unit_test(who_asks_for_an_end_is_heard),
        cmocka_unit_test(a_utf8_bar_has_eighths),
        cmocka_unit_test(it_is_redrawn_ten_times_a_second),
        cmocka_unit_test(log_lines_roll_above_it),
        cmocka_unit_test(names_cannot_speak_to_the_terminal),
        cmocka_unit_test(long_names_are_cut_between_characters),
        cmocka_unit_test(a_pipe_gets_few_plain_lines),
        cmocka_unit_test(quiet_means_quiet),
        cmocka_unit_test(a_signal_is_passed_on),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(written);
    return failed;
}
