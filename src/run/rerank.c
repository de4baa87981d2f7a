#include "run/rerank.h"

struct reranker *reranker_open(struct session *session,
                               const struct member *member, struct error *err) {
    (void)session;
    error_set(err, ERROR_UNSUPPORTED, "%s: reranking is not supported yet",
              member->key);
    return NULL;
}

bool reranker_score(struct reranker *reranker, struct str question,
                    const struct str *texts, size_t count, double *scores,
                    struct error *err) {
    (void)reranker;
    (void)question;
    (void)texts;
    (void)count;
    (void)scores;
    return error_set(err, ERROR_UNSUPPORTED, "reranking is not supported yet");
}

void reranker_close(struct reranker *reranker) {
    (void)reranker;
}
