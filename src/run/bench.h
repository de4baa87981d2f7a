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
    double gflops;       /* of the model's matrix products alone */
    double one_query_ms; /* 8 tokens, from ids to vector, median */
};

/* Rounds of generated ids, TEXT_TOKENS a text, for about a second. */
bool bench_engine(struct engine *engine, size_t text_tokens,
                  struct bench_model *result, struct error *err);

#endif
