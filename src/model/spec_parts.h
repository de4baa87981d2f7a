/* spec_parts.h - between the files that read config.json: what all families
 * share (spec.c), rotary positions (spec_rope.c), and each family's own
 * (spec_*.c).
 */

#ifndef MODEL_SPEC_PARTS_H
#define MODEL_SPEC_PARTS_H

#include "base/json.h"
#include "model/spec.h"

/* No model has a size above this. */
enum { SIZE_LIMIT = 1 << 24 };

/* config.json, or an object inside it, and its path for messages. */
struct config_source {
    const json_t *config;
    const char *path;
    size_t length; /* what a missing "max_position_embeddings" means */
};

/* A size of 1 ... SIZE_LIMIT; *OUT is what a missing (or null) member means,
 * 0: it must be there. */
bool config_size(const struct config_source *from, const char *key, size_t *out,
                 struct error *err);
/* ERROR_INPUT, unless VALUE, which KEY says, is at most MOST. */
bool config_at_most(const struct config_source *from, const char *key,
                    size_t value, size_t most, struct error *err);
/* What a missing member means is in *OUT. */
bool config_flag(const struct config_source *from, const char *key, bool *out,
                 struct error *err);
bool config_real(const struct config_source *from, const char *key, double *out,
                 struct error *err);
/* *OUT is borrowed from the config; NULL and "" mean what the caller says. */
bool config_word(const struct config_source *from, const char *key,
                 const char **out, struct error *err);
/* *OBJECT is borrowed from the config; NULL: there is none, or nothing in it.
 */
bool config_object(const struct config_source *from, const char *key,
                   const json_t **object, struct error *err);
/* ERROR_UNSUPPORTED that names the key unless it is missing, null, or WANTED
 * (a word, "true", "false" or a number as %.9g). */
bool config_only(const struct config_source *from, const char *key,
                 const char *wanted, struct error *err);
/* TRAIT is set or not, as the flag KEY says; *missing means FALLBACK. */
bool config_trait(const struct config_source *from, const char *key,
                  bool fallback, enum trait trait, struct model_spec *spec,
                  struct error *err);

/* type_vocab_size, where there may be no such table: *missing means FALLBACK, 0
 * none. Sets TRAIT_TYPES. */
bool config_types(const struct config_source *from, size_t fallback,
                  struct model_spec *spec, struct error *err);

/* transformers' or torch's name. */
bool activation_named(const char *name, enum activation *activation);
/* The same of the name that KEY says in the file PATH; ERROR_UNSUPPORTED lists
 * those that there are. */
bool activation_read(const char *path, const char *key, const char *name,
                     enum activation *activation, struct error *err);

/* num_key_value_heads and head_dim. What missing ones mean is in SPEC: heads,
 * and 0 for hidden / heads, unless the caller has set others. A null
 * num_key_value_heads means as many as heads. */
bool config_heads(const struct config_source *from, struct model_spec *spec,
                  struct error *err);
/* "layer_types" (full_attention, sliding_attention), if it is there: SPEC's
 * local layers. *FOUND says whether. */
bool config_layer_types(const struct config_source *from,
                        struct model_spec *spec, bool *found,
                        struct error *err);

/* ---- spec_rope.c -------------------------------------------------------- */

/* The rotary positions that "rope_parameters" (KIND NULL, or a member of it:
 * "full_attention") or the older "rope_theta" and "rope_scaling" ask for: DIMS
 * numbers of each head, THETA where the config says none. Types default,
 * linear, llama3, yarn; others are refused by name. */
bool config_rotary(const struct config_source *from, const char *kind,
                   size_t dims, double theta, struct rotary_spec *rotary,
                   struct error *err);
/* Likewise, where PARAMETERS is the object that says so (NULL: nobody does);
 * FROM is then asked for max_position_embeddings and partial_rotary_factor. */
bool config_rotary_object(const struct config_source *from,
                          const json_t *parameters, size_t dims, double theta,
                          struct rotary_spec *rotary, struct error *err);

/* ERROR_UNSUPPORTED, unless ROTARY turns all DIMS numbers of a head: for
 * families in which upstream knows no part of them. */
bool config_rotary_whole(const struct config_source *from,
                         const struct rotary_spec *rotary, size_t dims,
                         struct error *err);

/* ---- spec_heads.c ------------------------------------------------------- */

/* What FILES say that the model is used for. */
bool read_heads_of_files(const struct model_files *files,
                         struct model_spec *spec, struct error *err);

/* ---- spec_adapter.c ----------------------------------------------------- */

/* Rank and scale of the adapters that lie in a file of their own. */
bool read_adapter_file(const struct model_files *files, struct model_spec *spec,
                       struct error *err);

/* ---- the families' own -------------------------------------------------- */

bool read_deberta(const struct config_source *from, struct model_spec *spec,
                  struct error *err);
bool read_jina2(const struct config_source *from, struct model_spec *spec,
                struct error *err);
bool is_jina2(const json_t *config);
bool is_jina2_code(const json_t *config);
bool read_jina3(const struct config_source *from, struct model_spec *spec,
                struct error *err);
bool read_jina3_hub(const struct config_source *from, struct model_spec *spec,
                    struct error *err);
bool is_jina3_hub(const json_t *config);
bool read_t5(const struct config_source *from, struct model_spec *spec,
             struct error *err);
bool read_table(const struct config_source *from, struct model_spec *spec,
                struct error *err);
bool read_bert(const struct config_source *from, struct model_spec *spec,
               struct error *err);
bool read_ernie(const struct config_source *from, struct model_spec *spec,
                struct error *err);
bool read_qwen2(const struct config_source *from, struct model_spec *spec,
                struct error *err);
bool read_qwen3(const struct config_source *from, struct model_spec *spec,
                struct error *err);
bool read_llama(const struct config_source *from, struct model_spec *spec,
                struct error *err);
bool read_llama_bidirec(const struct config_source *from,
                        struct model_spec *spec, struct error *err);
bool read_mistral(const struct config_source *from, struct model_spec *spec,
                  struct error *err);
bool read_qwen25_vl(const struct config_source *from, struct model_spec *spec,
                    struct error *err);
bool read_gemma3(const struct config_source *from, struct model_spec *spec,
                 struct error *err);
bool read_modernbert(const struct config_source *from, struct model_spec *spec,
                     struct error *err);
bool read_nomic(const struct config_source *from, struct model_spec *spec,
                struct error *err);
bool read_gte(const struct config_source *from, struct model_spec *spec,
              struct error *err);
bool read_gte_new(const struct config_source *from, struct model_spec *spec,
                  struct error *err);
bool read_eurobert(const struct config_source *from, struct model_spec *spec,
                   struct error *err);

#endif
