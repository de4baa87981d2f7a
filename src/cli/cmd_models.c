/* cmd_models.c - `ensembed models`: the short names, and what of them can be
 * used on this machine. */

#include <stdio.h>

#include "cli/command.h"
#include "hub/registry.h"
#include "model/spec.h"

static const char *const kinds[] = {
    [REGISTRY_DENSE] = "dense",   [REGISTRY_SPARSE] = "sparse",
    [REGISTRY_RERANK] = "rerank", [REGISTRY_BI_ENCODER] = "bi-encoder",
    [REGISTRY_BM25] = "bm25",
};
static const enum model_use uses[] = {
    [REGISTRY_DENSE] = MODEL_DENSE,   [REGISTRY_SPARSE] = MODEL_SPARSE,
    [REGISTRY_RERANK] = MODEL_RERANK, [REGISTRY_BI_ENCODER] = MODEL_DENSE,
    [REGISTRY_BM25] = MODEL_SPARSE, /* not asked for */
};

/* "usable", or why not. */
static bool look(const struct program *program,
                 const struct registry_entry *entry, struct error *why) {
    struct hub_places places = {.cache = program->options->hub_cache};
    if (entry->kind == REGISTRY_BM25)
        return true;
    if (!family_find(entry->family))
        return error_set(why, ERROR_UNSUPPORTED, "not in this release (%s, %s)",
                         kinds[entry->kind], entry->family);
    struct model_files *files = model_files_open(
        program->memory, entry->id, NULL, uses[entry->kind], &places, why);
    struct model_spec spec;
    bool fine = files && model_spec_read(files, &spec, why);
    model_files_free(files);
    return fine;
}

int command_models(const struct program *program, struct error *err) {
    (void)err;
    json_t *list = json_array();
    for (size_t i = 0; registry_at(i); i++) {
        const struct registry_entry *entry = registry_at(i);
        struct error why = {0};
        bool usable = look(program, entry, &why);
        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:s, s:s, s:I, s:b, s:s?}", "key", entry->key,
                      "id", entry->id, "kind", kinds[entry->kind], "family",
                      entry->family, "width", (json_int_t)entry->width,
                      "usable", usable, "reason", usable ? NULL : why.message));
        if (!program->options->json)
            printf("%-26s %-46s %s\n", entry->key, entry->id,
                   usable                          ? "usable"
                   : why.code == ERROR_MISSING     ? "not in the cache"
                   : why.code == ERROR_UNSUPPORTED ? "not in this release"
                                                   : why.message);
    }
    if (program->options->json)
        command_print_json(json_incref(list));
    else
        printf("cache: %s\n", program->options->hub_cache);
    json_decref(list);
    return EXIT_FINE;
}
