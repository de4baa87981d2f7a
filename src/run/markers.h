/* markers.h - the tokens that late-interaction models put before a query or a
 * document ("[unused0]", "[Q] "), where they must be one piece.
 *
 *     struct str broken[MARKERS_MAX];
 *     markers_broken(tokenizer, scratch, memory, multi, broken, &count, err);
 *     if (count) ... make the tokenizer again, with these special tokens ...
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

#include "base/error.h"
#include "base/str.h"
#include "hub/model_files.h"
#include "text/tokenizer.h"

enum { MARKERS_MAX = 2 };

/* The markers (borrowed from MULTI) that are tokens and that TOKENIZER breaks
 * all the same. */
bool markers_broken(const struct tokenizer *tokenizer,
                    struct tokenizer_scratch *scratch, struct memory *memory,
                    const struct multi_files *multi,
                    struct str broken[MARKERS_MAX], size_t *count,
                    struct error *err);

#endif
