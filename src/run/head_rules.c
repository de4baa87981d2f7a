#include "run/head_rules.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

enum { CONFIG_BYTES_MAX = 64 << 20 };

struct special {
    const char *key, *xlm_roberta;
};

static const struct special SPECIALS[] = {{"cls_token", "<s>"},
                                          {"eos_token", "</s>"},
                                          {"pad_token", "<pad>"},
                                          {"unk_token", "<unk>"}};

/* A token stands as text, or in an object as its "content". */
static const char *token_named(const json_t *config,
                               const struct special *special) {
    const json_t *token = json_object_get(config, special->key);
    const char *class =
        json_string_value(json_object_get(config, "tokenizer_class"));
    if (json_is_object(token))
        token = json_object_get(token, "content");
    if (json_is_string(token))
        return json_string_value(token);
    bool known = class && !strncmp(class, "XLMRobertaTokenizer", 19);
    return known ? special->xlm_roberta : NULL;
}

static void find_dropped(const json_t *config,
                         const struct tokenizer *tokenizer,
                         struct head_rules *rules) {
    for (size_t i = 0; i < sizeof SPECIALS / sizeof *SPECIALS; i++) {
        const char *name = token_named(config, &SPECIALS[i]);
        if (name && tokenizer_id(tokenizer, str_from(name),
                                 &rules->dropped[rules->dropped_count]))
            rules->dropped_count++;
    }
}

/* NULL without an error: there is none. */
static bool read_config(const struct model_files *files, json_t **config,
                        struct error *err) {
    char path[PATH_MAX];
    *config = NULL;
    if (!path_join(path, files->tokenizer_folder, "tokenizer_config.json", err))
        return false;
    if (!file_may_exist(path))
        return true;
    *config = json_read_file(path, CONFIG_BYTES_MAX, err);
    return *config != NULL;
}

static int by_id(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* Words of the skiplist that the vocabulary does not have count for nothing. */
static void find_skipped(const struct model_files *files,
                         const struct tokenizer *tokenizer,
                         struct head_rules *rules) {
    const struct multi_files *multi = &files->multi;
    size_t count = 0;
    bool used = multi->skip_in_documents || multi->skip_in_queries;
    for (size_t i = 0; used && i < multi->skiplist_count; i++) {
        if (tokenizer_id(tokenizer, str_from(multi->skiplist[i]),
                         &rules->skipped[count]))
            count++;
    }
    qsort(rules->skipped, count, sizeof *rules->skipped, by_id);
    rules->rule = rules->query_rule = (struct multi_rule){
        .drop_first = multi->drop_first, .skip = rules->skipped};
    rules->rule.skip_count = multi->skip_in_documents ? count : 0;
    rules->query_rule.skip_count = multi->skip_in_queries ? count : 0;
}

bool head_rules_find(const struct model_files *files,
                     const struct tokenizer *tokenizer,
                     struct head_rules *rules, struct error *err) {
    json_t *config = NULL;
    *rules = (struct head_rules){0};
    if (files->sparse.kind == SPARSE_LEXICAL) {
        if (!read_config(files, &config, err))
            return false;
        find_dropped(config, tokenizer, rules);
        json_decref(config);
    }
    find_skipped(files, tokenizer, rules);
    return true;
}
