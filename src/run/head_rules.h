/* head_rules.h - the ids of a model's vocabulary that its sparse and multi
 * heads pass over.
 *
 *     struct head_rules rules;
 *     head_rules_find(files, tokenizer, &rules, err);
 *     multi_keep(&rules.rule, ...);
 *
 * RULES is used where it was filled: its parts point to each other.
 *
 * FACTS: lexical weights leave out the cls, eos, pad and unk tokens that the
 * tokenizer's special_tokens_map has (FlagEmbedding, m3.py:
 * _process_token_weights), which is what tokenizer_config.json names, and what
 * transformers' XLMRobertaTokenizer has without being told.
 */

#ifndef RUN_HEAD_RULES_H
#define RUN_HEAD_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "hub/model_files.h"
#include "model/multi_rows.h"
#include "text/tokenizer.h"

struct head_rules {
    uint32_t dropped[4]; /* special tokens, in lexical weights */
    size_t dropped_count;
    uint32_t skipped[MULTI_SKIPLIST_MAX]; /* of the rules' skip */
    struct multi_rule rule;               /* for documents */
    struct multi_rule query_rule;         /* for queries */
};

/* ERROR_INPUT: tokenizer_config.json is broken. */
bool head_rules_find(const struct model_files *files,
                     const struct tokenizer *tokenizer,
                     struct head_rules *rules, struct error *err);

#endif
