/* terminal.h - what a run says on standard error while it works.
 *
 * On a terminal: one line at the bottom that is redrawn at most ten times a
 * second, with log lines rolling above it. Anywhere else: few plain lines, one
 * when a pass begins, one when it ends and at most one each half minute.
 *
 *     struct terminal terminal;
 *     terminal_open(&terminal, stderr, &options);
 *     terminal.stop = &interrupted;          // set by a signal handler
 *     struct sink sink = terminal_sink(&terminal);
 *     ... the work, with &sink ...
 *     terminal_close(&terminal);             // takes the line away
 *
 * Names of files and models go to the screen with their control characters
 * replaced, so that none can speak to the terminal. Used by one thread.
 */

#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/event.h"
#include "cli/options.h"

struct terminal {
    FILE *out;   /* borrowed */
    bool live;   /* a line can be redrawn: a terminal that is not dumb */
    bool show;   /* progress is wanted at all */
    bool color;  /* for "warning:" and "error:" */
    bool utf8;   /* for the bar */
    int columns; /* 0: ask the terminal at each drawing */
    enum verbosity verbosity;
    int64_t (*now_ms)(void);           /* clock_now_ms; tests have their own */
    const volatile sig_atomic_t *stop; /* NULL, or: not 0 asks for an end */

    bool drawn;       /* the line is on the screen */
    char line[1024];  /* as it was drawn last */
    int64_t drawn_ms; /* when that was, or the last plain line */
    int64_t began_ms; /* of the stage */
    char stage[512];  /* which stage of what, to see that another begins */
    bool ended;       /* the stage's last line was printed */
    bool stopping;    /* it was said that the end is being waited for */
};

void terminal_open(struct terminal *terminal, FILE *out,
                   const struct options *options);
void terminal_close(struct terminal *terminal);

/* log, progress and interrupted; TERMINAL must outlive it. */
struct sink terminal_sink(struct terminal *terminal);

/* TEXT to OUT, cut to CAPACITY, with its control characters (utf8_control) as
 * '?'. */
void terminal_clean(char *out, size_t capacity, const char *text);

/* A line above the progress: "ensembed: warning: MESSAGE". */
void terminal_log(struct terminal *terminal, enum log_level level,
                  const char *message);

#endif
