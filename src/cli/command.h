/* command.h - one function a subcommand, one file each (cmd_NAME.c).
 *
 * A command prints its answer on standard output and returns the process's
 * exit status. When it could not do its work it fills ERR instead, and main
 * prints that.
 */

#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdio.h>

#include "base/error.h"
#include "base/event.h"
#include "base/memory.h"
#include "base/str.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "run/session.h"

struct program {
    const struct options *options;
    struct memory *memory; /* for the command's own small things */
    struct terminal *terminal;
    struct sink sink;    /* draws on the terminal */
    const char *command; /* the command line, for the summary */
};

enum { EXIT_FINE = 0, EXIT_FAILED = 1 };

int command_run(const struct program *program, struct error *err);
int command_embed(const struct program *program, struct error *err);
int command_tokenize(const struct program *program, struct error *err);
int command_plan(const struct program *program, struct error *err);
int command_search(const struct program *program, struct error *err);
int command_pull(const struct program *program, struct error *err);
int command_cache(const struct program *program, struct error *err);
int command_models(const struct program *program, struct error *err);
int command_devices(const struct program *program, struct error *err);
int command_doctor(const struct program *program, struct error *err);
int command_bench(const struct program *program, struct error *err);

/* The options as run/ takes them. MODELS is [options->models.count], or NULL
 * for commands without; OUT borrows all of it. */
void command_run_options(const struct program *program,
                         struct model_request *models, struct run_options *out);

/* A request for each --model; NULL and ERR without memory. */
struct model_request *command_models_requested(const struct program *program,
                                               struct error *err);

/* Texts from the arguments behind the first SKIP words, or as JSON Lines from
 * standard input, one at a time. */
struct text_source {
    const struct program *program;
    size_t next; /* of the words */
    bool lines;  /* standard input */
    uint64_t line_number;
    char *line; /* getline's */
    size_t line_capacity;
    struct strbuf text;
};
void text_source_open(struct text_source *source,
                      const struct program *program);
void text_source_close(struct text_source *source);
enum text_step { TEXT_OK, TEXT_END, TEXT_ERROR };
/* TEXT is valid until the next call. */
enum text_step text_source_next(struct text_source *source, struct str *text,
                                struct error *err);

/* OBJECT as JSON on standard output, with a newline; takes it over. */
void command_print_json(json_t *object);

/* TEXT, such as a name, an id or a path, on standard output, its control
 * characters as blanks. */
void command_print_clean(struct str text);

/* "1.5 GiB" into TEXT. */
void command_bytes(uint64_t bytes, char text[32]);

#endif
