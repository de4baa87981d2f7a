/* main.c - the program: read what was asked for, do it, say how it went. */

#include <errno.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "cli/command.h"
#include "cli/cut_file.h"
#include "cli/help.h"

extern char **environ;

enum {
    PATIENCE_MS = 500,
    BLOCK_BYTES = 256 * 1024,
    STACK_LEAST_BYTES = 1024 * 1024,
};

/* The first signal asks a run to stop at the next batch, a second one ends the
 * process as if we had never caught it. What comes close behind the first is
 * the same wish: timeout(1) and its like tell the process and then its group.
 */
static volatile sig_atomic_t stop_asked;

static void on_signal(int number) {
    static int64_t asked_ms; /* signals wait for each other: sa_mask */
    int64_t now_ms = clock_now_ms();
    if (!stop_asked) {
        asked_ms = now_ms;
        stop_asked = number;
    } else if (now_ms - asked_ms >= PATIENCE_MS) {
        signal(number, SIG_DFL);
        raise(number);
    }
}

/* A standard stream that is closed stays one that cannot be used, but its
 * number is taken: else the next file that is opened gets it, and what is
 * printed ends up in there. */
static void hold_closed_streams(void) {
    static const int useless[] = {O_WRONLY, O_RDONLY, O_RDONLY};
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", useless[fd]) < 0)
            return;
}

static void ignore_signals(void) {
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write, ... */
    signal(SIGXFSZ, SIG_IGN); /* ... and so is a limit on a file's size */
}

/* Blocks of a window or a table go back to the system when they are freed. Left
 * to itself glibc keeps such blocks in its heap after the first, and what a run
 * held while it encoded is still there, in pieces, when it exports. */
static void return_large_blocks(void) {
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, BLOCK_BYTES);
#endif
}

/* A signal that the caller has ignored stays ignored: nohup(1) does so with the
 * hang-up, and a shell without job control with the SIGINT of what it starts in
 * the background. */
static void catch_signal(int number, const struct sigaction *action) {
    struct sigaction before;
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(number, action, NULL);
}

/* Only what asks whether it should stop: any other command would hear the
 * first signal and go on. */
static void catch_signals(enum command command) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    if (command != COMMAND_RUN && command != COMMAND_PLAN &&
        command != COMMAND_PULL)
        return;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(&action.sa_mask, numbers[i]);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        catch_signal(numbers[i], &action);
}

static int (*const commands[COMMAND_COUNT])(const struct program *program,
                                            struct error *err) = {
    [COMMAND_RUN] = command_run,           [COMMAND_EMBED] = command_embed,
    [COMMAND_TOKENIZE] = command_tokenize, [COMMAND_PLAN] = command_plan,
    [COMMAND_SEARCH] = command_search,     [COMMAND_MODELS] = command_models,
    [COMMAND_PULL] = command_pull,         [COMMAND_CACHE] = command_cache,
    [COMMAND_DEVICES] = command_devices,   [COMMAND_DOCTOR] = command_doctor,
    [COMMAND_BENCH] = command_bench,
};

/* The command line as it could be typed again. */
static void join_arguments(struct strbuf *out, int argc, char *const *argv) {
    for (int i = 0; i < argc; i++) {
        bool plain =
            argv[i][0] &&
            !argv[i][strspn(argv[i], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn"
                                     "opqrstuvwxyz0123456789_-./:=,@+%")];
        if (i)
            strbuf_add_char(out, ' ');
        if (!plain)
            strbuf_add_char(out, '\'');
        for (const char *c = argv[i]; *c; c++)
            strbuf_add(out, *c == '\'' ? STR("'\\''") : (struct str){c, 1});
        if (!plain)
            strbuf_add_char(out, '\'');
    }
}

static int do_command(const struct options *options, const char *line,
                      struct memory *memory, struct error *err) {
    struct terminal terminal;
    catch_signals(options->command);
    terminal_open(&terminal, stderr, options);
    terminal.stop = &stop_asked;
    struct program program = {.options = options,
                              .memory = memory,
                              .terminal = &terminal,
                              .sink = terminal_sink(&terminal),
                              .command = line};
    for (size_t i = 0; i < options->warnings.count; i++)
        terminal_log(&terminal, LOG_WARNING, options->warnings.items[i]);
    int status = commands[options->command](&program, err);
    terminal_close(&terminal);
    return status;
}

/* What was printed must have arrived: a full disk behind `>` is a failure. */
static int check_output(int status) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno != EPIPE)
        fprintf(stderr, "ensembed: error: cannot write standard output: %s\n",
                strerror(errno));
    return status ? status : EXIT_FAILED;
}

/* The command line, and the exit status that it comes to. */
struct call {
    int argc;
    char **argv;
    int status;
};

static void *answer(void *context) {
    struct call *call = context;
    struct memory memory = {0};
    struct options options;
    struct error err = {0};
    struct strbuf text = strbuf_make(&memory);
    int status = EXIT_FINE;
    if (!options_parse(call->argc, call->argv, environ, &memory, &options,
                       &err)) {
        /* said below */
    } else if (options.help || options.version ||
               options.command == COMMAND_HELP) {
        help_answer(&text, &options);
        fwrite(text.data, 1, text.size, stdout);
    } else {
        join_arguments(&text, call->argc, call->argv);
        status = do_command(&options, strbuf_str(&text).data, &memory, &err);
    }
    if (err.code) {
        char message[sizeof err.message]; /* may quote a stranger's file */
        terminal_clean(message, sizeof message, err.message);
        fprintf(stderr, "ensembed: error: %s\n", message);
        status = exit_status(err.code);
    }
    strbuf_free(&text);
    options_free(&options);
    call->status = check_output(status);
    return NULL;
}

/* Our deepest calls take about 100 KiB, libraries' have not been measured. */
static bool stack_is_small(void) {
    struct rlimit limit;
    return getrlimit(RLIMIT_STACK, &limit) == 0 &&
           limit.rlim_cur < STACK_LEAST_BYTES;
}

/* Where the shell allows a small stack (ulimit -s) a thread has one that is
 * large enough. */
int main(int argc, char **argv) {
    struct call call = {.argc = argc, .argv = argv};
    pthread_t thread;
    hold_closed_streams();
    ignore_signals();
    cut_file_watch();
    return_large_blocks();
    if (stack_is_small() && thread_start(&thread, answer, &call) == 0)
        pthread_join(thread, NULL);
    else
        answer(&call);
    return call.status;
}
