/* markers.h - the tokens that late-interaction models put before a query or a
 * document ("[unused0]", "[Q] "), where they must be one piece.
 *
 *     json_t *patched;
 *     markers_patch(tokenizer, json, path, multi, &patched, err);
 *     if (patched) ... make the tokenizer again, from that ...
 *
 * Such models were trained with the marker's id put in behind CLS. Here, as in
 * sentence-transformers 6, it stands at the begin of the prompt as text, and a
 * tokenizer that would break it is given it as a special token.
 *
 * FACTS: sentence_transformers/multi_vector_encoder/model.py,
 * _register_prefix_tokens.
 */

#ifndef RUN_MARKERS_H
#define RUN_MARKERS_H

#include <stdbool.h>

#include <jansson.h>

#include "base/error.h"
#include "base/str.h"
#include "hub/model_files.h"
#include "text/tokenizer.h"

/* JSON is the tokenizer.json that TOKENIZER was made of. *PATCHED is NULL where
 * each marker is one piece already, or no token at all; else the caller's. */
bool markers_patch(const struct tokenizer *tokenizer,
                   struct tokenizer_scratch *scratch, struct memory *memory,
                   struct str json, const char *path,
                   const struct multi_files *multi, json_t **patched,
                   struct error *err);

#endif
