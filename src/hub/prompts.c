/* prompts.c - config_sentence_transformers.json, and which prompt goes before
 * a text.
 *
 * sentence-transformers 6 starts with the prompts "query" and "document", both
 * empty, and lets the file fill them. So encode_document always finds a
 * "document", and a "passage" in the file is used only when it is asked for. */

#include "hub/reading.h"

#include <string.h>

#include "base/json.h"

static const struct model_prompt *find(const struct model_files *files,
                                       const char *name) {
    for (size_t i = 0; i < files->prompts_count; i++)
        if (strcmp(files->prompts[i].name, name) == 0)
            return &files->prompts[i];
    return NULL;
}

static bool set_prompt(struct reading *r, struct model_prompt *prompts,
                       const char *key, const char *text, struct error *err) {
    size_t i = 0, count = r->files.prompts_count;
    while (i < count && strcmp(prompts[i].name, key) != 0)
        i++;
    if (i == count) {
        if (!reading_keep(r, key, &prompts[i].name, err))
            return false;
        r->files.prompts_count++;
    }
    return reading_keep(r, text ? text : "", &prompts[i].text, err);
}

static bool fill_prompts(struct reading *r, const json_t *saved,
                         const char *name, struct error *err) {
    const json_t *tasks = json_object_get(r->config, "task_instructions");
    struct model_prompt *prompts = arena_alloc(
        &r->arena, json_object_size(saved) + json_object_size(tasks) + 2,
        sizeof *prompts, err);
    if (!prompts)
        return false;
    r->files.prompts = prompts;
    if (!set_prompt(r, prompts, "query", "", err) ||
        !set_prompt(r, prompts, "document", "", err))
        return false;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)saved, key, value) {
        const char *text = NULL;
        if (!json_member_string(saved, key, name, &text, err) ||
            !set_prompt(r, prompts, key, text, err))
            return false;
    }
    return true;
}

static bool read_default_prompt(struct reading *r, const json_t *config,
                                const char *name, struct error *err) {
    const char *key = NULL;
    if (!json_member_string(config, "default_prompt_name", name, &key, err))
        return false;
    if (key && !find(&r->files, key))
        return error_set(err, ERROR_INPUT,
                         "%s: default_prompt_name is %s, which is not among "
                         "its prompts",
                         name, key);
    return reading_keep(r, key, &r->files.default_prompt, err);
}

/* A name that the library does not know counts as none. */
static void read_similarity(struct reading *r) {
    static const struct {
        const char *names[4]; /* the first where nothing is said */
    } USES[] = {
        [MODEL_DENSE] = {{"cosine", "dot", "euclidean", "manhattan"}},
        [MODEL_SPARSE] = {{"dot", "cosine", "euclidean", "manhattan"}},
        [MODEL_MULTI] = {{"maxsim", "meanmaxsim", NULL, NULL}},
        [MODEL_RERANK] = {{"dot", NULL, NULL, NULL}}, /* scores as they are */
    };
    const char *const *names = USES[r->files.use].names;
    const char *text =
        json_string_value(json_object_get(r->sentence, "similarity_fn_name"));
    r->files.similarity = names[0];
    for (size_t i = 0; text && i < 4 && names[i]; i++)
        if (strcmp(text, names[i]) == 0)
            r->files.similarity = names[i];
}

/* Instructions that only config.json has (jina-embeddings-v3): prompts by the
 * names of the tasks. */
static bool add_instructions(struct reading *r, struct error *err) {
    const json_t *tasks = json_object_get(r->config, "task_instructions");
    struct model_prompt *prompts =
        (struct model_prompt *)(uintptr_t)r->files.prompts;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)tasks, key, value) {
        const char *text = NULL;
        if (!json_member_string(tasks, key, r->files.config_path, &text, err))
            return false;
        if (!find(&r->files, key) && !set_prompt(r, prompts, key, text, err))
            return false;
    }
    return true;
}

/* Widths to which a model says that its vectors may be cut. */
static bool read_matryoshka(struct reading *r, struct error *err) {
    struct model_files *files = &r->files;
    const json_t *list = json_object_get(r->config, "matryoshka_dims");
    if (!list)
        list = json_object_get(r->config, "matryoshka_dimensions");
    size_t count = json_array_size(list);
    if (list && !json_is_null(list) && !json_is_array(list))
        return error_set(err, ERROR_INPUT,
                         "%s: matryoshka_dims is not a list of widths",
                         files->config_path);
    size_t *widths = arena_alloc(&r->arena, count + 1, sizeof *widths, err);
    if (!widths)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *width = json_array_get(list, i);
        if (!json_is_integer(width) || json_integer_value(width) <= 0)
            return error_set(err, ERROR_INPUT,
                             "%s: matryoshka_dims is not a list of widths",
                             files->config_path);
        widths[i] = (size_t)json_integer_value(width);
    }
    if (count == 0 && files->truncate_dim > 0)
        widths[count++] = files->truncate_dim;
    if (count > 0) { /* else the registry's word stands */
        files->matryoshka = widths;
        files->matryoshka_count = count;
    }
    return true;
}

static bool read_config(struct reading *r, const json_t *config,
                        const char *name, struct error *err) {
    const json_t *saved = json_object_get(config, "prompts");
    if (saved && !json_is_null(saved) && !json_is_object(saved))
        return error_set(err, ERROR_INPUT, "%s: prompts is not an object",
                         name);
    return fill_prompts(r, saved, name, err) &&
           read_default_prompt(r, config, name, err) &&
           add_instructions(r, err) &&
           json_member_size(config, "truncate_dim", name,
                            &r->files.truncate_dim, err) &&
           read_matryoshka(r, err);
}

bool prompts_read(struct reading *r, struct error *err) {
    read_similarity(r);
    return read_config(r, r->sentence, r->sentence_path, err);
}

static bool no_such_prompt(const struct model_files *files, const char *name,
                           struct error *err) {
    char list[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < files->prompts_count && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                 i ? ", " : "", files->prompts[i].name);
    return error_set(err, ERROR_USAGE, "%s has no prompt %s: it has %s",
                     files->key, name, list);
}

void model_files_task_names(const struct model_files *files, char *list,
                            size_t bytes) {
    size_t used = 0;
    snprintf(list, bytes, "no tasks");
    for (size_t i = 0; i < files->tasks_count && used < bytes; i++)
        used += (size_t)snprintf(list + used, bytes - used, "%s%s",
                                 i ? ", " : "", files->tasks[i].name);
}

static bool no_such_task(const struct model_files *files, const char *name,
                         struct error *err) {
    char list[512];
    model_files_task_names(files, list, sizeof list);
    return error_set(err, ERROR_USAGE, "%s has no task %s: it has %s",
                     files->key, name, list);
}

bool model_files_prompt(const struct model_files *files, const char *what,
                        const char *name, const char **text,
                        struct error *err) {
    static const char *const DOCUMENT[] = {"document", "passage", "corpus"};
    const struct model_prompt *prompt = NULL;
    if (name) {
        prompt = find(files, name);
        if (!prompt)
            return no_such_prompt(files, name, err);
    } else if (strcmp(what, "query") == 0) {
        prompt = find(files, "query");
    } else if (strcmp(what, "document") == 0) {
        for (size_t i = 0; !prompt && i < 3; i++)
            prompt = find(files, DOCUMENT[i]);
    }
    if (!prompt && files->default_prompt)
        prompt = find(files, files->default_prompt);
    *text = prompt && prompt->text[0] ? prompt->text : NULL;
    return true;
}

bool model_files_task(const struct model_files *files, const char *name,
                      const struct model_task **task, const char **prompt,
                      struct error *err) {
    *task = NULL;
    *prompt = NULL;
    if (!name)
        name = files->default_task;
    if (!name)
        return true;
    for (size_t i = 0; !*task && i < files->tasks_count; i++)
        if (strcmp(files->tasks[i].name, name) == 0)
            *task = &files->tasks[i];
    if (!*task)
        return no_such_task(files, name, err);
    const struct model_prompt *found =
        (*task)->prompt ? find(files, (*task)->prompt) : NULL;
    *prompt = found && found->text[0] ? found->text : NULL;
    return true;
}
