#include "cli/terminal.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

enum {
    REDRAW_MS = 100,
    PLAIN_MS = 30000,
    SHORT_STAGE_MS = 2000, /* reading and writing are not worth a plain line */
    NAME_COLUMNS = 28,
    TITLE_LEAST = 8,
    BAR_LEAST = 8,
    BAR_MOST = 40,
    COLUMNS_DEFAULT = 80,
};

/* ---- text that is safe on a terminal --------------------------------------
 */

void terminal_clean(char *out, size_t capacity, const char *text) {
    struct str from = str_from(text);
    size_t size = 0;
    for (size_t at = 0; at < from.size && size + 1 < capacity;) {
        size_t control = utf8_control(from, at);
        out[size++] = control ? '?' : from.data[at];
        at += control ? control : 1;
    }
    out[size] = '\0';
}

/* Columns of the code point that begins at C: what is beyond Latin may be
 * wide, so it counts as two, but for the blocks (0xE2) that bars are made of.
 * 0 for a byte that continues one. */
static int columns_of(unsigned char c) {
    bool wide = c == 0xE1 || c >= 0xE3;
    return (c & 0xC0) == 0x80 ? 0 : wide ? 2 : 1;
}

static int columns_in(const char *text) {
    int columns = 0;
    for (; *text; text++)
        columns += columns_of((unsigned char)*text);
    return columns;
}

/* Cut TEXT to at most COLUMNS, between code points. */
static void cut(char *text, int columns) {
    for (; *text; text++) {
        columns -= columns_of((unsigned char)*text);
        if (columns < 0) {
            *text = '\0';
            return;
        }
    }
}

static void name_of(char *out, size_t capacity, const char *name) {
    terminal_clean(out, capacity, name ? name : "");
    if (columns_in(out) > NAME_COLUMNS) {
        cut(out, NAME_COLUMNS - 2);
        size_t size = strlen(out);
        snprintf(out + size, capacity - size, "..");
    }
}

/* 1234567 as "1,234,567". */
static const char *grouped(uint64_t number, char text[32]) {
    char digits[24];
    int size =
        snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    char *out = text;
    for (int i = 0; i < size; i++) {
        if (i && (size - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return text;
}

static const char *duration(double seconds, char text[32]) {
    uint64_t s = seconds < 1e9 ? (uint64_t)(seconds + 0.5) : 1000000000;
    unsigned long long hours = s / 3600, minutes = s / 60 % 60, rest = s % 60;
    if (hours)
        snprintf(text, 32, "%llu:%02llu:%02llu", hours, minutes, rest);
    else
        snprintf(text, 32, "%llu:%02llu", minutes, rest);
    return text;
}

static const char *mebibytes(uint64_t bytes, char text[32]) {
    double mebi = (double)bytes / 1048576;
    if (mebi < 1024)
        snprintf(text, 32, "%.0f MiB", mebi);
    else
        snprintf(text, 32, "%.1f GiB", mebi / 1024);
    return text;
}

/* ---- the pieces of a progress line ----------------------------------------
 */

static double fraction(const struct progress *p) {
    if (!p->total)
        return 0;
    return p->done >= p->total ? 1 : (double)p->done / (double)p->total;
}

static bool is_stage(const struct progress *p, const char *stage) {
    return p->stage && strcmp(p->stage, stage) == 0;
}

/* "Docling: embed all-MiniLM-L6-v2 (pass 1/2)" */
static void title(char *out, size_t capacity, const struct progress *p) {
    char collection[256], model[256], stage[64];
    name_of(collection, sizeof collection, p->collection);
    name_of(model, sizeof model, p->model);
    terminal_clean(stage, sizeof stage, p->stage ? p->stage : "");
    int size =
        snprintf(out, capacity, "%s%s%s%s%s", collection,
                 *collection ? ": " : "", stage, *model ? " " : "", model);
    if (p->passes && size > 0 && (size_t)size < capacity)
        snprintf(out + size, capacity - (size_t)size, " (pass %u/%u)", p->pass,
                 p->passes);
}

/* "332/738", or "12/27 MiB" while reading and pulling. */
static void count(char *out, size_t capacity, const struct progress *p) {
    char done[32], total[32];
    if (is_stage(p, "read") || is_stage(p, "pull"))
        snprintf(out, capacity, "%s/%s", mebibytes(p->done, done),
                 mebibytes(p->total, total));
    else
        snprintf(out, capacity, "%s/%s", grouped(p->done, done),
                 grouped(p->total, total));
}

/* "  0:12 left", or "" where nobody knows. */
static const char *time_left(const struct progress *p, char text[48]) {
    char a[32];
    text[0] = '\0';
    if (p->seconds_left >= 0 && p->total)
        snprintf(text, 48, "  %s left", duration(p->seconds_left, a));
    return text;
}

/* "  0:12 left  1,234 tok/s  180 MiB of 2.0 GiB", what is known of it. */
static void measures(char *out, size_t capacity, const struct progress *p) {
    char a[48], b[32];
    snprintf(out, capacity, "%s", time_left(p, a));
    size_t size = strlen(out);
    if (p->tokens_per_second > 0 && p->tokens_per_second < 1e15) {
        snprintf(out + size, capacity - size, "  %s tok/s",
                 grouped((uint64_t)p->tokens_per_second, a));
        size = strlen(out);
    }
    if (p->memory_live && p->memory_ceiling)
        snprintf(out + size, capacity - size, "  %s of %s",
                 mebibytes(p->memory_live, a), mebibytes(p->memory_ceiling, b));
}

/* Eighths of a cell where the terminal can show them. */
static void bar(char *out, size_t capacity, int width, double part, bool utf8) {
    static const char *const eighths[] = {" ", "▏", "▎", "▍", "▌",
                                          "▋", "▊", "▉", "█"};
    int full = (int)(part * width * 8);
    size_t size = 0;
    for (int i = 0; i < width && size + 4 < capacity; i++) {
        int filled = full - i * 8;
        filled = filled < 0 ? 0 : filled > 8 ? 8 : filled;
        const char *cell = utf8 ? eighths[filled] : filled == 8 ? "#" : "-";
        size += (size_t)snprintf(out + size, capacity - size, "%s", cell);
    }
}

static int width_of(const struct terminal *terminal) {
    struct winsize size;
    if (terminal->columns)
        return terminal->columns;
    int fd = fileno(terminal->out);
    if (fd < 0 || ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return COLUMNS_DEFAULT;
    return size.ws_col;
}

/* Leave out of TAIL the last measures that are not whole in COLUMNS. */
static void drop_measures(char *tail, int columns) {
    while (*tail && columns_in(tail) > columns) {
        char *last = tail;
        for (char *gap = tail; (gap = strstr(gap, "  ")); gap += 2)
            last = gap;
        *last = '\0';
    }
}

/* One line of less than the terminal's width. */
static void compose(struct terminal *terminal, const struct progress *p) {
    char head[640], numbers[96], tail[160], filled[BAR_MOST * 4 + 8] = "";
    int width = width_of(terminal) - 1;
    title(head, sizeof head, p);
    count(numbers, sizeof numbers, p);
    measures(tail, sizeof tail, p);
    if (!p->total) {
        snprintf(terminal->line, sizeof terminal->line, "%s%s", head, tail);
    } else {
        int percent = (int)(fraction(p) * 100);
        /* In a narrow terminal what changes stays, and the title is cut: for
         * the time left too, where a title remains. */
        char last[48];
        int room_for_head = width - (int)strlen(numbers) - 6;
        int beside_time = room_for_head - (int)strlen(time_left(p, last));
        if (beside_time >= TITLE_LEAST)
            cut(head, beside_time);
        else if (room_for_head >= TITLE_LEAST)
            cut(head, room_for_head);
        drop_measures(tail,
                      width - columns_in(head) - (int)strlen(numbers) - 6);
        /* "head [bar] 45% numbers tail" */
        int room = width - columns_in(head) - (int)strlen(numbers) -
                   (int)strlen(tail) - 9;
        room = room > BAR_MOST ? BAR_MOST : room;
        if (room >= BAR_LEAST)
            bar(filled, sizeof filled, room, fraction(p), terminal->utf8);
        snprintf(terminal->line, sizeof terminal->line, "%s %s%s%s%3d%% %s%s",
                 head, *filled ? "[" : "", filled, *filled ? "] " : "", percent,
                 numbers, tail);
    }
    cut(terminal->line, width);
}

/* ---- a live line -----------------------------------------------------------
 */

static void erase(struct terminal *terminal) {
    if (terminal->drawn)
        fputs("\r\033[K", terminal->out);
    terminal->drawn = false;
}

static void draw(struct terminal *terminal) {
    fprintf(terminal->out, "\r%s\033[K", terminal->line);
    fflush(terminal->out);
    terminal->drawn = true;
}

/* ---- plain lines -----------------------------------------------------------
 */

static void plain(struct terminal *terminal, const struct progress *p,
                  const char *what) {
    char head[640], numbers[96], tail[160];
    title(head, sizeof head, p);
    count(numbers, sizeof numbers, p);
    measures(tail, sizeof tail, p);
    fprintf(terminal->out, "ensembed: %s%s%s%s%s\n", head, what,
            p->total ? " " : "", p->total ? numbers : "", tail);
    fflush(terminal->out);
}

static void plain_progress(struct terminal *terminal, const struct progress *p,
                           bool begins, int64_t now) {
    bool embeds = is_stage(p, "embed");
    bool ends = p->total && p->done >= p->total && !terminal->ended;
    if (ends && (embeds || now - terminal->began_ms >= SHORT_STAGE_MS)) {
        char spent[32], what[64];
        snprintf(what, sizeof what, ": done in %s,",
                 duration((double)(now - terminal->began_ms) / 1000, spent));
        struct progress last = *p;
        last.seconds_left = -1;
        plain(terminal, &last, what);
        terminal->drawn_ms = now;
    } else if (!ends &&
               ((embeds && begins) ||
                (!terminal->ended && now - terminal->drawn_ms >= PLAIN_MS))) {
        plain(terminal, p, ":");
        terminal->drawn_ms = now;
    }
    terminal->ended |= ends;
}

/* ---- the sink ---------------------------------------------------------------
 */

/* Does another stage begin with this? */
static bool stage_begins(struct terminal *terminal, const struct progress *p) {
    char stage[sizeof terminal->stage];
    snprintf(stage, sizeof stage, "%s\x1f%s\x1f%s\x1f%u",
             p->collection ? p->collection : "", p->stage ? p->stage : "",
             p->model ? p->model : "", p->pass);
    if (strcmp(stage, terminal->stage) == 0)
        return false;
    memcpy(terminal->stage, stage, sizeof stage);
    return true;
}

static void on_progress(void *context, const struct progress *p) {
    struct terminal *terminal = context;
    if (!terminal->show)
        return;
    int64_t now = terminal->now_ms();
    bool begins = stage_begins(terminal, p);
    if (begins) {
        terminal->began_ms = now;
        terminal->ended = false;
        if (!terminal->live)
            terminal->drawn_ms = now;
    }
    if (!terminal->live) {
        plain_progress(terminal, p, begins, now);
        return;
    }
    bool ends = p->total && p->done >= p->total;
    if (!begins && !ends && now - terminal->drawn_ms < REDRAW_MS)
        return;
    compose(terminal, p);
    draw(terminal);
    terminal->drawn_ms = now;
}

void terminal_log(struct terminal *terminal, enum log_level level,
                  const char *message) {
    static const struct {
        const char *word, *color;
    } kinds[] = {[LOG_DEBUG] = {"", ""},
                 [LOG_INFO] = {"", ""},
                 [LOG_WARNING] = {"warning: ", "\033[33m"},
                 [LOG_ERROR] = {"error: ", "\033[31m"}};
    static const enum log_level least[] = {[VERBOSITY_QUIET] = LOG_WARNING,
                                           [VERBOSITY_NORMAL] = LOG_INFO,
                                           [VERBOSITY_VERBOSE] = LOG_DEBUG};
    if (level < least[terminal->verbosity])
        return;
    char text[4096];
    terminal_clean(text, sizeof text, message);
    bool colored = terminal->color && *kinds[level].color;
    bool drawn = terminal->drawn;
    erase(terminal);
    fprintf(terminal->out, "ensembed: %s%s%s%s\n",
            colored ? kinds[level].color : "", kinds[level].word,
            colored ? "\033[0m" : "", text);
    if (drawn)
        draw(terminal);
    fflush(terminal->out);
}

static void on_log(void *context, enum log_level level, const char *message) {
    terminal_log(context, level, message);
}

/* A batch may take a while: who pressed a key sees that it was heard. */
static bool on_interrupted(void *context) {
    struct terminal *terminal = context;
    bool stop = terminal->stop && *terminal->stop;
    if (stop && terminal->live && !terminal->stopping)
        terminal_log(terminal, LOG_INFO,
                     "stopping as soon as what is being computed is done; a "
                     "second signal does not wait for it");
    terminal->stopping = stop;
    return stop;
}

struct sink terminal_sink(struct terminal *terminal) {
    return (struct sink){.context = terminal,
                         .log = on_log,
                         .progress = on_progress,
                         .interrupted = on_interrupted};
}

void terminal_open(struct terminal *terminal, FILE *out,
                   const struct options *options) {
    int fd = fileno(out);
    bool is_terminal = fd >= 0 && isatty(fd) == 1;
    *terminal = (struct terminal){.out = out,
                                  .live = is_terminal && !options->dumb,
                                  .show = options->progress &&
                                          options->verbosity != VERBOSITY_QUIET,
                                  .color = is_terminal && options->color,
                                  .utf8 = options->utf8,
                                  .verbosity = options->verbosity,
                                  .now_ms = clock_now_ms};
}

void terminal_close(struct terminal *terminal) {
    erase(terminal);
    fflush(terminal->out);
}
