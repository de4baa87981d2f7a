/* roster_describe.c - what a model of the roster is, in JSON: the fingerprints
 * of its rows, and what a report says of it.
 */

#include "run/roster_parts.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "run/dtype.h"

static const char *const pooling_names[] = {
    [POOLING_CLS] = "cls",
    [POOLING_LAST] = "lasttoken",
    [POOLING_MEAN] = "mean",
    [POOLING_MEAN_SQRT] = "mean_sqrt_len_tokens",
    [POOLING_WEIGHTED_MEAN] = "weightedmean",
    [POOLING_MAX] = "max",
};

static const char *sparse_name(const struct member *member) {
    return member->spec.sparse == SPARSE_LEXICAL ? "lexical" : "splade";
}

/* What decides a row of BM25's, and what a report says of it. */
static json_t *describe_formula(const struct member *member) {
    const struct bm25_options *o = &member->formula;
    json_t *made = json_pack("{s:s, s:f, s:f, s:f}", "language", o->language,
                             "k", o->k, "b", o->b, "avg_len", o->avg_len);
    if (made && o->stopwords.data) {
        uint8_t digest[SHA256_BYTES];
        char hex[2 * SHA256_BYTES + 1];
        hash_sha256(o->stopwords, digest);
        hash_hex(digest, sizeof digest, hex);
        json_object_set_new(made, "stopwords_sha256", json_string(hex));
    }
    return made;
}

/* ---- fingerprints ------------------------------------------------------- */

static void pooling_text(const struct model_spec *spec, char *text,
                         size_t capacity) {
    text[0] = '\0';
    for (size_t i = 0; i < spec->pooling_count; i++)
        snprintf(text + strlen(text), capacity - strlen(text), "%s%s",
                 i ? "+" : "", pooling_names[spec->pooling[i]]);
}

/* What all heads' rows depend on, with the digest of the head's WEIGHTS. NULL:
 * the prompt is not valid UTF-8. */
static json_t *common_fingerprint(const struct member *member,
                                  const char *weights) {
    const char *commit = member->files->commit;
    json_t *made = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "commit",
                             commit ? commit : "", "weights_sha256", weights,
                             "tokenizer_sha256", member->tokenizer_sha256,
                             "prompt", member->prompt ? member->prompt : "",
                             "dtype", dtype_name(member_type(member)),
                             "max_length", (json_int_t)member->spec.max_length);
    /* Only where they were asked for, so that older stores stay valid. */
    if (made && member->long_texts.windows)
        json_object_set_new(
            made, "long_overlap",
            json_integer((json_int_t)member->long_texts.overlap));
    if (made && member->task)
        json_object_set_new(made, "task", json_string(member->task));
    return made;
}

static void add_dense_fingerprint(const struct member *member, json_t *to) {
    char pooling[128];
    pooling_text(&member->spec, pooling, sizeof pooling);
    json_object_update_new(
        to, json_pack("{s:s, s:b, s:b, s:I}", "pooling", pooling,
                      "include_prompt", member->spec.pooling_include_prompt,
                      "normalize", member->spec.normalize, "width",
                      (json_int_t)member->spec.width));
}

static void add_sparse_fingerprint(const struct member *member, json_t *to) {
    const struct model_spec *spec = &member->spec;
    json_object_update_new(
        to, json_pack("{s:s, s:I, s:I, s:I}", "sparse", sparse_name(member),
                      "vocab", (json_int_t)spec->vocab, "active_max",
                      (json_int_t)member->files->sparse.active_max, "pooling",
                      (json_int_t)spec->splade + 4 * spec->splade_log +
                          8 * spec->splade_log_twice));
}

static void add_multi_fingerprint(const struct member *member, json_t *to) {
    const struct multi_files *multi = &member->files->multi;
    json_object_update_new(
        to,
        json_pack("{s:b, s:I, s:b, s:I}", "normalize",
                  member->spec.token_normalize, "width",
                  (json_int_t)member->spec.multi_width, "drop_first",
                  multi->drop_first, "skipped",
                  (json_int_t)(multi->skip_in_documents ? multi->skiplist_count
                                                        : 0)));
}

/* The same rows whether the head shares a pass or has it alone: its digest is
 * of the files that it would have alone. */
static bool head_weights(const struct member *member, enum row_kind head,
                         char weights[65], struct error *err) {
    static const enum model_use uses[] = {MODEL_DENSE, MODEL_SPARSE,
                                          MODEL_MULTI};
    memcpy(weights, member->weights_sha256, sizeof member->weights_sha256);
    return uses[head] == member->files->use ||
           model_files_digest_weights(member->files, uses[head], weights, err);
}

/* Flat objects: store_open compares them member by member and shows both
 * values of one that differs. */
bool member_fingerprint(struct member *member, struct error *err) {
    if (member->bm25) {
        json_t *made = describe_formula(member);
        json_object_set_new(made, "formula", json_string("bm25"));
        member->fingerprints[ROW_SPARSE] = made;
        return true;
    }
    if (!model_files_digest(member->files, member->weights_sha256,
                            member->tokenizer_sha256, err))
        return false;
    for (enum row_kind h = 0; h < ROW_KINDS; h++) {
        if (!member_has(member, h))
            continue;
        char weights[65];
        if (!head_weights(member, h, weights, err))
            return false;
        json_t *made = common_fingerprint(member, weights);
        if (!made)
            return error_set(err, ERROR_INPUT,
                             "%s: its prompt is not valid UTF-8", member->key);
        if (h == ROW_DENSE)
            add_dense_fingerprint(member, made);
        else if (h == ROW_SPARSE)
            add_sparse_fingerprint(member, made);
        else
            add_multi_fingerprint(member, made);
        member->fingerprints[h] = made;
    }
    return true;
}

/* ---- what a report says ------------------------------------------------- */

json_t *member_heads_list(const struct member *member) {
    json_t *list = json_array();
    for (enum row_kind h = 0; h < ROW_KINDS; h++)
        if (member_has(member, h))
            json_array_append_new(list, json_string(row_kind_name(h)));
    return list;
}

static json_t *pooling_list(const struct model_spec *spec) {
    json_t *list = json_array();
    for (size_t i = 0; i < spec->pooling_count; i++)
        json_array_append_new(list,
                              json_string(pooling_names[spec->pooling[i]]));
    return list;
}

static void describe_dense(const struct member *member, json_t *object) {
    const struct model_spec *spec = &member->spec;
    json_object_update_new(
        object,
        json_pack("{s:I, s:I, s:o, s:b, s:s, s:b}", "own_width",
                  (json_int_t)spec->width, "width", (json_int_t)member->width,
                  "pooling", pooling_list(spec), "normalized", spec->normalize,
                  "similarity", member->files->similarity,
                  "truncated_without_declaring", member->undeclared_cut));
}

static void describe_model(const struct member *member, json_t *object) {
    const struct model_files *files = member->files;
    const struct model_spec *spec = &member->spec;
    json_object_update_new(
        object,
        json_pack("{s:s?, s:s?, s:s, s:s, s:I, s:s?}", "id", files->id,
                  "commit", files->commit, "family", spec->family->title,
                  "dtype", dtype_name(member_type(member)), "max_length",
                  (json_int_t)spec->max_length, "prompt", member->prompt));
    if (member_type(member) == NUMBER_FP8)
        json_object_set_new(object, "fp8_share",
                            json_real(dtype_fp8_share(spec)));
    if (member->task)
        json_object_set_new(object, "task", json_string(member->task));
    if (member->long_texts.windows)
        json_object_set_new(
            object, "long_overlap",
            json_integer((json_int_t)member->long_texts.overlap));
    if (member_has(member, ROW_DENSE))
        describe_dense(member, object);
    if (member_has(member, ROW_SPARSE))
        json_object_set_new(object, "sparse", json_string(sparse_name(member)));
    if (member_has(member, ROW_MULTI))
        json_object_set_new(object, "multi_width",
                            json_integer((json_int_t)spec->multi_width));
    if (*member->weights_sha256) {
        json_object_set_new(object, "weights_sha256",
                            json_string(member->weights_sha256));
        json_object_set_new(object, "tokenizer_sha256",
                            json_string(member->tokenizer_sha256));
    }
}

json_t *member_describe(const struct member *member) {
    json_t *object =
        json_pack("{s:s, s:o, s:f}", "key", member->key, "reference",
                  json_any_text(member->request->reference), "weight",
                  member->request->weight);
    if (member->cache.status)
        json_object_set_new(object, "cache", cache_use_json(&member->cache));
    if (member->error.code) {
        json_object_set_new(object, "error",
                            json_pack("{s:s, s:s}", "code",
                                      error_name(member->error.code), "message",
                                      member->error.message));
        return object;
    }
    json_object_set_new(object, "heads", member_heads_list(member));
    if (member->bm25) {
        json_object_update_new(object, json_pack("{s:s, s:s}", "family", "bm25",
                                                 "sparse", "bm25"));
        json_object_update_new(object, describe_formula(member));
    } else
        describe_model(member, object);
    return object;
}
