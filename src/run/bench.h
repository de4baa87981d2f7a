/* bench.h - how fast a model runs here, beside what this machine's matrix
 * product reaches in the same process: a rate alone means nothing on another
 * machine, the fraction does. */

#ifndef RUN_BENCH_H
#define RUN_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "run/engine.h"
#include "run/session.h"

/* GFLOP/s of the linear verb, in the device's type, over a layer's four shapes
 * of HIDDEN and INTER, each lane on its own ROWS rows. On any device. */
bool bench_gemm(struct session *session, size_t hidden, size_t inter,
                size_t rows, double *gflops, struct error *err);

struct bench_model {
    size_t texts, tokens; /* of one round */
    double tokens_per_second;
    double gflops; /* of the model's matrix products alone */
};

/* Rounds of generated ids, TEXT_TOKENS a text, for about a second. */
bool bench_engine(struct engine *engine, size_t text_tokens,
                  struct bench_model *result, struct error *err);

/* How fast all threads read, in bytes a second, the best of some rounds: from
 * memory, and as many bytes as the model's layers have in matrices, again and
 * again as queries do; caches that hold a part of them make that faster. 0
 * where the model is on a card, or the ceiling has no room for so many. */
struct bench_read {
    double weights_bytes;
    double memory, again;
};
bool bench_read(struct engine *engine, struct bench_read *read,
                struct error *err);

/* One text alone. It cannot be faster than its layers' matrices are read, nor
 * than its products are computed. */
struct bench_query {
    size_t tokens;
    double ms;    /* from ids to vector, median */
    double flops; /* of its matrix products */
};

/* A text of TOKENS tokens, or as many as the model takes. */
bool bench_query(struct engine *engine, size_t tokens,
                 struct bench_query *result, struct error *err);

#endif
