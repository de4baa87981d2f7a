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

/* What a pass of it gives of a text, as one word for each: of models that are
 * here their files say it. */
static json_t *heads_of(const struct registry_entry *entry,
                        const struct model_files *files) {
    bool sparse =
        entry->kind == REGISTRY_SPARSE || entry->kind == REGISTRY_BM25;
    bool score = entry->kind == REGISTRY_RERANK;
    json_t *list = json_array();
    if (!sparse && !score)
        json_array_append_new(list, json_string("dense"));
    if (sparse || (files && files->sparse.kind != SPARSE_NONE))
        json_array_append_new(list, json_string("sparse"));
    if (files && files->multi.exists)
        json_array_append_new(list, json_string("multi"));
    if (score)
        json_array_append_new(list, json_string("score"));
    return list;
}

/* Usable? Or why not. The caller owns *HEADS. */
static bool look(const struct program *program,
                 const struct registry_entry *entry, json_t **heads,
                 struct error *why) {
    *heads = heads_of(entry, NULL);
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
    json_decref(*heads);
    *heads = heads_of(entry, files);
    model_files_free(files);
    return fine;
}

/* "dense+sparse+multi" */
static void join(const json_t *words, char *text, size_t room) {
    const json_t *word;
    size_t i, used = 0;
    *text = '\0';
    json_array_foreach(words, i, word) {
        int size = snprintf(text + used, room - used, "%s%s", i ? "+" : "",
                            json_string_value(word));
        if (size > 0 && (size_t)size < room - used)
            used += (size_t)size;
    }
}

int command_models(const struct program *program, struct error *err) {
    (void)err;
    json_t *list = json_array();
    for (size_t i = 0; registry_at(i); i++) {
        const struct registry_entry *entry = registry_at(i);
        struct error why = {0};
        json_t *heads;
        bool usable = look(program, entry, &heads, &why);
        char gives[64];
        join(heads, gives, sizeof gives);
        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:s, s:o, s:s, s:I, s:b, s:s?}", "key",
                      entry->key, "id", entry->id, "kind", kinds[entry->kind],
                      "heads", heads, "family", entry->family, "width",
                      (json_int_t)entry->width, "usable", usable, "reason",
                      usable ? NULL : why.message));
        if (!program->options->json)
            printf("%-26s %-46s %-18s %-12s %s\n", entry->key, entry->id, gives,
                   entry->family,
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
