/* roster.h - the models of a run: found, checked and described before anything
 * is loaded.
 *
 *     struct roster roster = {0};
 *     if (!roster_open(&roster, session, "document", true, err)) ...
 *     roster.members[0].spec.width ...
 *     roster_free(&roster);
 *
 * A member that cannot be used (not whole in the cache, an architecture that
 * we do not run) stays in the roster with its error: the other models are
 * still worth running, and the report names it.
 */

#ifndef RUN_ROSTER_H
#define RUN_ROSTER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/error.h"
#include "hub/model_files.h"
#include "model/shape.h"
#include "model/spec.h"
#include "run/fetching.h"
#include "run/heads.h"
#include "run/session.h"
#include "text/bm25.h"

/* What a model is asked for, its names merged from all the options that name
 * it: one pass gives all heads. */
struct member {
    const struct model_request *request; /* the roster's */
    unsigned heads;                      /* bits of enum row_kind */
    bool bm25; /* no model but a formula: no files, no spec, no device */
    struct bm25_options formula; /* its; the list of stopwords is owned: */
    struct strbuf stopwords;
    struct model_files *files; /* NULL if `error` is set, and with bm25 */
    struct model_spec spec;
    char *key;           /* for files and vector names */
    const char *prompt;  /* text before each text, NULL: none */
    const char *task;    /* of those that the model has; NULL: none */
    size_t width;        /* of the dense vectors that are exported */
    bool undeclared_cut; /* cut below its own width without declaring it */
    struct long_texts long_texts;
    char weights_sha256[65], tokenizer_sha256[65];
    json_t *fingerprints[ROW_KINDS];   /* what decides a row; NULL:
                                           that head is not wanted */
    enum number_type types[ROW_KINDS]; /* that the head's rows are made in */
    struct cache_use cache;            /* how it came out of the hub's cache */
    struct shape charged; /* what a simulated card counts: the model's own, or
                             that of `account=` */
    struct error error;   /* code ERROR_NONE: usable */
};

struct roster {
    struct memory *memory;
    struct model_request *requests; /* [count] */
    struct member *members; /* in the order of the options: models, sparse,
                               multi */
    size_t count;
    size_t usable;
    struct model_request rerank; /* of `reranker` */
    size_t dense; /* the first so many are asked for dense vectors (whether
                     usable or not), the others are not */
    struct member *reranker; /* NULL: none; its error may be set */
    size_t fused_width; /* 0: no fused vector (one dense model, or one failed)
                         */
};

/* WHAT is "document", "query" or "": whose prompts to take. With DIGESTS the
 * files are hashed and fingerprints made. False for what is wrong with the
 * request itself: KEYs that are equal or (with DIGESTS) taken, a prompt or a
 * width that no model has, widths that do not go together, bad weights. */
bool roster_open(struct roster *roster, struct session *session,
                 const char *what, bool digests, struct error *err);
void roster_free(struct roster *roster); /* {0} is fine */

/* Usable members that compute on a device: BM25 does not. */
size_t roster_models(const struct roster *roster);

/* One member, as roster_open opens each. *MEMBER is zero, and must be closed
 * whether or not this succeeds; REQUEST outlives it. False only for what is
 * wrong with the request; a model that cannot be used leaves its reason in
 * member->error. */
bool member_open(struct member *member, const struct model_request *request,
                 struct session *session, const char *what, bool digests,
                 struct error *err);
void member_close(struct member *member, struct memory *memory);

static inline bool member_has(const struct member *member, enum row_kind head) {
    return member->heads & head_bit(head);
}

/* The head's vector in points and in stats.json: KEY, KEY-sparse, KEY-multi. */
enum { VECTOR_NAME_MAX = 256 };
void member_vector_name(const struct member *member, enum row_kind head,
                        char name[VECTOR_NAME_MAX]);

/* Where the head's store lies, and the lists of its texts ("truncated",
 * "elsewhere", "other_dtype") beside its rows: the file NAME there, or with ""
 * the folder. Each head has its own, for a later run may want only one of them.
 * PRIVATE is OUT/COLLECTION/.ensembed. */
bool member_store_path(char path[PATH_MAX], const char *private,
                       const struct member *member, enum row_kind head,
                       const char *name, struct error *err);

/* Of a row of the head's store: floats (dense), what indices are below
 * (sparse), floats of one vector (multi). */
size_t member_head_width(const struct member *member, enum row_kind head);

/* Does the model say that its vectors stand being cut to WIDTH (Matryoshka)? */
bool member_declares(const struct member *member, size_t width);

/* Cut a model's own vector [spec.width] to the member's width, in place, and
 * make it a unit vector again if the model's are. */
void member_cut(const struct member *member, float *vector);

/* ["dense", "sparse", "multi"]: those that it is asked for. */
json_t *member_heads_list(const struct member *member);

/* The rows of HEAD are made in TYPE: in its fingerprint as well. */
void member_set_type(struct member *member, enum row_kind head,
                     enum number_type type);
/* The type of its rows, of the first head that it is asked for. */
enum number_type member_type(const struct member *member);

/* What a report says of a member: id, commit, widths, pooling, digests. */
json_t *member_describe(const struct member *member);

#endif
