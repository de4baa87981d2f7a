/* options.h - everything that a user can say to ensembed, in one plain struct.
 *
 *     struct options options;
 *     if (!options_parse(argc, argv, environ, &memory, &options, &err))
 *         ... print err.message, exit(exit_status(err.code)) ...
 *     if (options.help) help_answer(&text, &options) ...        // cli/help.h
 *     options_free(&options);
 *
 * The rows of option_table.c say which options there are; help, man page,
 * completion, environment names and the JSON config file come from the same
 * rows. The command line beats the environment (ENSEMBED_MODEL and so on,
 * HF_HUB_CACHE and its relatives), which beats --config FILE, which beats the
 * default. A list that is given on a higher level replaces the whole list of a
 * lower one. Nothing else in the program reads the environment.
 *
 * Every value has been checked for form and range when parsing succeeds, and
 * what a command requires is there. Whether a model or a folder exists is not
 * looked at here.
 */

#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/http.h"
#include "base/memory.h"
#include "data/fuse.h"
#include "run/session.h"

enum command {
    COMMAND_RUN,
    COMMAND_EMBED,
    COMMAND_TOKENIZE,
    COMMAND_PLAN,
    COMMAND_SEARCH,
    COMMAND_PULL,
    COMMAND_CACHE,
    COMMAND_MODELS,
    COMMAND_DEVICES,
    COMMAND_DOCTOR,
    COMMAND_BENCH,
    COMMAND_HELP,
    COMMAND_COUNT,
};

/* One --model: MODEL[@REVISION][:key=value,...]. */
struct model_option {
    const char *reference; /* folder, registry key or hub id; never empty */
    const char *revision;  /* NULL: not said */
    const char *prompt;    /* NULL: not said */
    const char *task;      /* NULL: not said */
    const char *name;      /* [A-Za-z0-9._-]+, NULL: not said */
    double weight;         /* finite, > 0; 1 if not said */
    size_t dim;            /* 0: not said */
    size_t budget;         /* most tokens in a batch; 0: not said */
    const char *dtype;     /* one of --dtype's, NULL: not said */
    const char *account; /* config.json that simulated cards charge, or NULL */
    /* of BM25 only; NULL, or below 0: not said */
    const char *language, *stopwords;
    double k, b, avg_len;
};

/* Each list ends with what `count` says and is NULL while empty. */
struct model_list {
    struct model_option *items;
    size_t count;
};
struct device_bytes_list {
    struct device_bytes *items; /* bytes > 0 */
    size_t count;
};
struct text_list {
    const char **items;
    size_t count;
};

/* Bits of options.exports. */
enum option_export {
    OPTION_EXPORT_NPY = 1,
    OPTION_EXPORT_POINTS = 2,
    OPTION_EXPORT_TEXTS = 4,
    OPTION_EXPORT_METADATA = 8,
    OPTION_EXPORT_TERMS = 16,
};

/* options.lease_wait_seconds where nobody said how long. */
#define LEASE_WAIT_FOR_EVER SIZE_MAX

enum verbosity { VERBOSITY_QUIET, VERBOSITY_NORMAL, VERBOSITY_VERBOSE };

struct options {
    enum command command;
    bool help;              /* --help: show help_answer, do nothing else */
    bool version;           /* --version: show it, do nothing else */
    const char *topic;      /* command to help with, NULL: the overview */
    bool man;               /* `help --man` */
    const char *completion; /* `help --completion SHELL`, or NULL */

    struct text_list words; /* run, plan: CHUNKS; search: DIR, question; embed,
                               tokenize: texts, none: standard input; pull:
                               models */
    struct model_list models; /* dense; the first is the primary */
    struct model_list sparse, colbert;
    struct model_list rerank; /* one at most */
    struct long_texts long_texts;
    const char *out;    /* folder for what a run makes, NULL: not said */
    const char *device; /* "cpu", or several joined by commas; NULL: not said */
    const char *dtype;  /* one of dtype.h's names, NULL: not said */
    struct device_bytes_list ceilings, margins;
    enum run_mode mode;
    bool warm;
    size_t lease_wait_seconds; /* 0: try once */
    const char *lock_dir;
    const char *sim_script; /* NULL: nothing happens to simulated cards */
    size_t threads;         /* 0: as many as this process may use */
    const char *isa;        /* NULL: the best that the machine has */
    size_t dim;             /* 0: each model's own width */
    enum fuse_method fuse;
    const char *prompt;           /* a prompt's name, or NULL */
    const char *prompt_text;      /* the prompt itself, or NULL */
    const char *task;             /* a task's name, or NULL */
    struct text_list collections; /* empty: all */
    struct text_list by;          /* of a search; empty: all vectors */
    size_t candidates;            /* of a search; 0: not said */
    bool no_rerank;
    const char *as; /* one name for everything, or NULL */
    bool collapse_whitespace;
    size_t trim_chars; /* 0: off */
    bool restart;
    bool skip_existing;
    unsigned exports; /* enum option_export bits */
    const char *text_field;
    const char *summary; /* path of summary.json, NULL: OUT/summary.json */
    const char *npy;     /* embed: file for the vectors, NULL: JSON lines */
    size_t top;          /* search: results, -k */
    const char *config;  /* the config file that was read, or NULL */
    bool json;           /* answer in JSON on standard output */

    enum verbosity verbosity;
    bool progress;
    bool color; /* NO_COLOR is not set and TERM is not dumb */
    bool utf8;  /* the locale's characters are UTF-8 */
    bool dumb;  /* TERM is "dumb": no cursor to move */

    bool offline;               /* make no request, whatever is missing */
    bool refresh;               /* ask the hub for the newest commit */
    struct text_list cuda_libs; /* folders */
    const char *kernel_cache;   /* where a card's kernels are kept */
    const char *const *library_folders; /* of NVIDIA's libraries, NULL at the
                                           end */
    const char *hub_cache;         /* where hub models lie; it may not exist */
    const char *hub_endpoint;      /* never NULL */
    const char *hub_token;         /* NULL: none; never shown */
    bool hub_offline;              /* HF_HUB_OFFLINE says so */
    struct http_settings hub_http; /* proxies, certificates, patience */

    struct text_list warnings; /* sentences for the user, to be logged */
    struct arena arena;        /* owner of everything above */
};

/* ENVIRONMENT is `environ`: "NAME=value" strings, NULL at the end. OPTIONS
 * must be freed whether or not this succeeds; some strings are borrowed from
 * ARGV and ENVIRONMENT. ERROR_USAGE names the option, where it was said and,
 * if it is misspelt, the nearest one. */
bool options_parse(int argc, char *const *argv, char *const *environment,
                   struct memory *memory, struct options *options,
                   struct error *err);
void options_free(struct options *options);

/* The process's exit status for a failure: 2 what was asked for cannot be
 * (usage, refused fingerprint), 75 try the same command again later
 * (interrupted, busy, disk full, device lost), 1 all else, 0 ERROR_NONE. */
int exit_status(enum error_code code);

#endif
