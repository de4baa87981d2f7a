/* cmd_cache.c - `ensembed cache`: what is in the Hugging Face cache. */

#include "cli/command.h"
#include "hub/cache_list.h"

static void print_refs(const json_t *refs) {
    for (size_t i = 0; i < json_array_size(refs); i++)
        printf("%s%s", i ? ", " : " (",
               json_string_value(json_array_get(refs, i)));
    if (json_array_size(refs))
        putchar(')');
}

static void print_commit(const json_t *commit) {
    const char *state = json_string_value(json_object_get(commit, "state"));
    const char *reason = json_string_value(json_object_get(commit, "reason"));
    printf("  %s", json_string_value(json_object_get(commit, "commit")));
    print_refs(json_object_get(commit, "refs"));
    printf(": %s\n", strcmp(state, "whole") == 0 ? state
                     : reason                    ? reason
                                                 : state);
}

static void print_repo(const json_t *repo) {
    char bytes[32];
    json_int_t part =
        json_integer_value(json_object_get(repo, "incomplete_bytes"));
    const json_t *commit;
    size_t i;
    command_bytes((uint64_t)json_integer_value(json_object_get(repo, "bytes")),
                  bytes);
    printf("%s  %s", json_string_value(json_object_get(repo, "id")), bytes);
    command_bytes((uint64_t)part, bytes);
    if (part)
        printf(", and %s of unfinished downloads", bytes);
    putchar('\n');
    json_array_foreach(json_object_get(repo, "commits"), i, commit)
        print_commit(commit);
}

int command_cache(const struct program *program, struct error *err) {
    const char *cache = program->options->hub_cache;
    json_t *list = cache_list(program->memory, cache, err), *repo;
    size_t i;
    if (!list)
        return EXIT_FAILED;
    if (program->options->json) {
        command_print_json(list);
        return EXIT_FINE;
    }
    json_array_foreach(list, i, repo) print_repo(repo);
    printf("cache: %s\n", cache);
    json_decref(list);
    return EXIT_FINE;
}
