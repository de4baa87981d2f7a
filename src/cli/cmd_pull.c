/* cmd_pull.c - `ensembed pull`: models into the cache, and where they are. */

#include <inttypes.h>

#include "base/json.h"
#include "cli/command.h"
#include "cli/option_value.h"
#include "run/fetching.h"

/* Does a look at the cache leave more to say than the pull itself? Files of an
 * architecture that this release does not compute are fetched all the same. */
static void print_pulled(const struct model_files *files,
                         const struct cache_use *use) {
    char bytes[32];
    command_bytes(use->bytes, bytes);
    printf("%s: %s, %s in %" PRIu64 " requests\n  commit %s\n  %s\n",
           files->id ? files->id : files->key,
           use->status ? use->status : "a folder, nothing to fetch", bytes,
           use->requests, files->commit ? files->commit : "not known",
           files->folder);
}

static json_t *describe(const char *word, const struct model_files *files,
                        const struct cache_use *use,
                        const struct error *cause) {
    json_t *object = use->status ? cache_use_json(use) : json_object();
    json_object_set_new(object, "model", json_any_text(word));
    if (files) {
        json_object_set_new(object, "id", json_any_text(files->id));
        json_object_set_new(object, "path", json_any_text(files->folder));
    } else {
        json_object_set_new(object, "error",
                            json_pack("{s:s, s:s}", "code",
                                      error_name(cause->code), "message",
                                      cause->message));
    }
    return object;
}

/* One model; its failure does not keep the others from being fetched. */
static void pull_one(const struct program *program, struct run_options *run,
                     const char *word, json_t *list, struct arena *arena,
                     struct error *cause) {
    struct model_option model;
    struct cache_use use = {0};
    struct model_files *files = NULL;
    if (value_model(word, "pull", arena, &model, cause)) {
        struct model_request request = {.reference = model.reference,
                                        .revision = model.revision};
        files = fetching_open(program->memory, run, &program->sink, &request,
                              "", &use, cause);
    }
    terminal_close(program->terminal);
    if (program->options->json)
        json_array_append_new(list, describe(word, files, &use, cause));
    else if (files)
        print_pulled(files, &use);
    model_files_free(files);
}

int command_pull(const struct program *program, struct error *err) {
    const struct options *options = program->options;
    struct arena arena = arena_make(program->memory);
    json_t *list = json_array();
    struct run_options run;
    command_run_options(program, NULL, &run);
    run.hub.insist = true;
    for (size_t i = 0; i < options->words.count; i++) {
        struct error cause = {0};
        pull_one(program, &run, options->words.items[i], list, &arena, &cause);
        if (cause.code && (!err->code || cause.code == ERROR_INTERRUPTED))
            *err = cause;
        else if (cause.code)
            terminal_log(program->terminal, LOG_ERROR, cause.message);
        if (cause.code == ERROR_INTERRUPTED)
            break;
    }
    if (options->json)
        command_print_json(json_incref(list));
    json_decref(list);
    arena_free(&arena);
    return EXIT_FINE;
}
