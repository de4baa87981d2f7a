/* engine.h - a model ready to turn texts into vectors: its tokenizer, and
 * where vectors are wanted outside of a pass, the model on the first device
 * that has room.
 *
 *     struct engine *e = engine_load(session, member, 0, err);
 *     engine_tokenize(e, texts, count, ...);
 *     engine_encode(e, ...);
 *     engine_free(e);
 *
 * A pass needs the tokenizer only (engine_load_tokenizer): its vectors come
 * from the crew (run/crew.h). One thread drives an engine; it spreads the work
 * over the session's pool.
 */

#ifndef RUN_ENGINE_H
#define RUN_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "run/head_rules.h"
#include "run/long_text.h"
#include "run/roster.h"
#include "run/session.h"
#include "run/station.h"
#include "text/tokenizer.h"

struct engine {
    struct session *session;     /* borrowed */
    const struct member *member; /* borrowed */
    struct tokenizer *tokenizer;
    struct tokenizer_scratch **scratch; /* [threads] */
    struct resident *resident;          /* NULL: only the tokenizer */
    const char *prompt;                 /* before each text; the member's */
    size_t batch_tokens;                /* most that engine_encode takes */
    size_t prompt_tokens;               /* to keep out of pooling; 0: none */
    struct long_frame frame;            /* limit 0: long texts are cut */
    struct head_rules rules;
    uint64_t tokenizer_bytes;
    double load_ms;
};

/* BATCH_TOKENS 0: the default budget. There is room for texts of 32768 tokens,
 * or of the model's limit; for longer ones it is made when they come. Members
 * that are not usable must not come here. The engine leases its device while it
 * has a model there. */
struct engine *engine_load(struct session *session, const struct member *member,
                           size_t batch_tokens, struct error *err);
/* Only its tokenizer: encoding is not possible. */
struct engine *engine_load_tokenizer(struct session *session,
                                     const struct member *member,
                                     struct error *err);
void engine_free(struct engine *engine); /* NULL is fine */

/* The model as well, with room for texts of LONGEST tokens, where it is not
 * there yet or has less: for an engine with its tokenizer only, whose texts are
 * known before its weights are needed. The budget is the default one. */
bool engine_bring(struct engine *engine, size_t longest, struct error *err);

/* From now on PROMPT (borrowed; NULL: none) instead of the member's. */
bool engine_use_prompt(struct engine *engine, const char *prompt,
                       struct error *err);

/* COUNT texts, the prompt put before each, cut to the model's length limit: the
 * ids of text i at [starts[i], starts[i + 1]) of OUT; STARTS [count + 1]. */
bool engine_tokenize(struct engine *engine, const struct str *texts,
                     size_t count, struct tokens *out, size_t *starts,
                     struct error *err);

/* The same for texts that have the prompt already; see tokenizer_encode_batch
 * for the rest. Takes tokenizer_batch_bytes while it works. */
bool engine_tokenize_prompted(struct engine *engine, const struct str *texts,
                              size_t count, enum tokenizer_count counting,
                              struct tokens *out, size_t *starts, size_t *cut,
                              struct error *err);

/* A packed batch into VECTORS [texts, spec.width]. False and ERROR_INPUT if an
 * id is none of the model's. */
bool engine_encode(struct engine *engine, const uint32_t *ids,
                   const uint32_t *starts, size_t texts, float *vectors,
                   struct error *err);

/* Is every id one of the model's? ERROR_INPUT. */
bool engine_check_ids(const struct member *member, const uint32_t *ids,
                      size_t count, struct error *err);

/* One text from end to end: what `search` does with a question. VECTOR
 * [member.width], cut and checked. */
bool engine_embed_text(struct engine *engine, struct str text, float *vector,
                       struct error *err);

/* Finite, not zero, and of length 1 where the model normalises. The reason in
 * REASON (a literal) if not. */
bool vector_is_sound(const struct member *member, const float *vector,
                     const char **reason);

#endif
