/* head_rerank.c - scores of a query with a document, as CrossEncoder of
 * sentence-transformers 6 reads a folder, and jina-reranker-v3 by its own
 * modeling.py (JinaForRanking). */

#include "hub/reading.h"

#include <string.h>

#include "base/json.h"

static bool has_logit_score(const struct reading *r) {
    for (size_t i = 1; r->has_modules && i < r->modules_count; i++)
        if (r->modules[i].kind == MODULE_LOGIT_SCORE)
            return true;
    return false;
}

static bool first_architecture_ends(const struct reading *r, struct str end) {
    const char *name = json_string_value(
        json_array_get(json_object_get(r->config, "architectures"), 0));
    return name && str_ends(str_from(name), end);
}

static enum rerank_kind kind_of(const struct reading *r) {
    if (reading_architecture(r, STR("JinaForRanking")))
        return RERANK_LISTWISE;
    if (has_logit_score(r) ||
        (!r->has_modules && first_architecture_ends(r, STR("ForCausalLM"))))
        return RERANK_YES_NO;
    return RERANK_CLASSIFIER;
}

bool rerank_need(struct reading *r, struct error *err) {
    if (r->files.use == MODEL_RERANK) {
        const char *name =
            reading_join(r, modules_transformer(r), "chat_template.jinja", err);
        return name && (whole_maybe(&r->whole, name), true);
    }
    return true;
}

/* transformers counts num_labels, which makes new names where id2label has
 * another number of them; without it id2label; without both 2, but
 * sentence-transformers makes that 1 for a model that was never a classifier.
 */
static bool read_labels(struct reading *r, struct error *err) {
    const json_t *names = json_object_get(r->config, "id2label");
    struct rerank_files *rerank = &r->files.rerank;
    rerank->labels = 2;
    if (!reading_architecture(r, STR("ForSequenceClassification"))) {
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: no classifier among its architectures (the "
                         "library would put an untrained one behind it), so "
                         "it is no reranker",
                         r->files.config_path);
    }
    if (json_is_object(names))
        rerank->labels = json_object_size(names);
    return json_member_size(r->config, "num_labels", r->files.config_path,
                            &rerank->labels, err);
}

/* The file of sentence-transformers 5, then config.json's new place, then its
 * old one; 1 score a pair is a probability where nothing is said. */
static bool read_activation(struct reading *r, struct error *err) {
    struct rerank_files *rerank = &r->files.rerank;
    const json_t *newer = json_object_get(r->config, "sentence_transformers");
    const char *name = r->files.config_path, *type = NULL;
    const char *otherwise = rerank->labels == 1 ? "Sigmoid" : "Identity";
    if (!json_member_string(r->sentence, "activation_fn", r->sentence_path,
                            &type, err))
        return false;
    if (type && strncmp(type, "torch.", 6) != 0)
        type = NULL; /* not trusted: the next place counts */
    if (!type && json_object_get(newer, "activation_fn"))
        return json_member_string(newer, "activation_fn", name, &type, err) &&
               reading_activation(r, type, otherwise, &rerank->activation, err);
    if (!type &&
        !json_member_string(r->config, "sbert_ce_default_activation_function",
                            name, &type, err))
        return false;
    return reading_activation(r, type, otherwise, &rerank->activation, err);
}

/* Yes and no. */

static bool read_token_id(const json_t *config, const char *key,
                          const char *name, size_t *id, struct error *err) {
    const json_t *value = json_object_get(config, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return error_set(err, ERROR_INPUT, "%s: %s is not the id of a token",
                         name, key);
    *id = (size_t)json_integer_value(value);
    return true;
}

static bool read_logit_score(struct reading *r, const struct module *module,
                             struct error *err) {
    struct rerank_files *rerank = &r->files.rerank;
    const char *name;
    json_t *config = NULL;
    if (!reading_object(r, module->path, "config.json", &config, &name, err))
        return false;
    const json_t *no = json_object_get(config, "false_token_id");
    rerank->no_none = !no || json_is_null(no);
    bool fine =
        read_token_id(config, "true_token_id", name, &rerank->yes_id, err) &&
        (rerank->no_none ||
         read_token_id(config, "false_token_id", name, &rerank->no_id, err)) &&
        reading_must_be(config, "module_input_name", "causal_logits", name,
                        err);
    json_decref(config);
    return fine;
}

static bool read_yes_no(struct reading *r, struct error *err) {
    struct rerank_files *rerank = &r->files.rerank;
    rerank->labels = 1;
    if (!r->has_modules) {
        rerank->yes_token = "yes";
        rerank->no_token = "no";
    }
    for (size_t i = 1; r->has_modules && i < r->modules_count; i++)
        if (r->modules[i].kind == MODULE_LOGIT_SCORE &&
            !read_logit_score(r, &r->modules[i], err))
            return false;
    if (!r->chat)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: a language model as a reranker needs a chat "
                         "template with places for a query and a document, and "
                         "it has none",
                         r->files.folder);
    return read_activation(r, err);
}

/* The default prompt is the message of the system: the instruction. */
static bool read_pair(struct reading *r, struct error *err) {
    struct pair_template *pair = &r->files.rerank.pair;
    const char *prompt;
    if (!model_files_prompt(&r->files, "", NULL, &prompt, err) ||
        (r->chat && !chat_pair_read(r, pair, err)))
        return false;
    if (prompt && pair->head)
        pair->instruction = prompt;
    return !prompt || pair->head ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: default_prompt_name: a prompt before a pair of texts "
                     "cannot be run here",
                     r->sentence_path);
}

/* Many documents. */

static void set_projector(struct reading *r, const char *weight,
                          const char *activation) {
    struct rerank_files *rerank = &r->files.rerank;
    rerank->dense[rerank->dense_count++] =
        (struct tensor_source){.paths = r->files.weights,
                               .paths_count = r->files.weights_count,
                               .weight = weight,
                               .activation = activation};
}

static bool read_listwise(struct reading *r, struct error *err) {
    struct rerank_files *rerank = &r->files.rerank;
    (void)err;
    rerank->labels = 1;
    rerank->activation = "Identity";
    rerank->query_token = "<|rerank_token|>";
    rerank->document_token = "<|embed_token|>";
    set_projector(r, "projector.0.weight", "ReLU");
    set_projector(r, "projector.2.weight", "Identity");
    return true;
}

bool rerank_read(struct reading *r, struct error *err) {
    struct rerank_files *rerank = &r->files.rerank;
    if (r->files.use != MODEL_RERANK)
        return true;
    rerank->kind = kind_of(r);
    if (rerank->kind == RERANK_LISTWISE)
        return read_listwise(r, err);
    if (!read_pair(r, err))
        return false;
    if (rerank->kind == RERANK_YES_NO)
        return read_yes_no(r, err);
    return read_labels(r, err) && read_activation(r, err);
}
