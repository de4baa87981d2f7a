/* drift.h - how far the vectors of a run in a narrow type (fp8, int8, bf16,
 * fp16) are from those in f32, measured on some of its texts.
 *
 * While a pass stores its rows, a sample keeps the tokens of the texts with the
 * smallest digests: the same ones whatever the order of batches, spread over
 * the collection, and no file is read twice. When the pass is over and its
 * model is gone, the CPU encodes them in f32, with the layers read from the
 * file one at a time (weights.h), and each row is compared with the one that
 * was stored. A row's cosine: of dense vectors; of sparse ones, with a zero
 * where there is no pair; of all the vectors of a text, one behind the other
 * (unit vectors each: the mean of their cosines).
 *
 *     drift_sample_open(&pass.sample, memory, drift_texts(missing), longest,
 *                       err);
 *     ... drift_take(&pass.sample, batch) for each stored batch ...
 *     struct drift drift = drift_measure(&pass, planned);
 *     drift_tell(&pass, &drift);
 *     drift_sample_close(&pass.sample);
 *
 * Only rows of this run that were computed in the pass's type are sampled, and
 * no texts that were taken as windows. Nothing that goes wrong here costs the
 * run anything: the comparison is left out, and the summary says why. The
 * memory is planned (drift_bytes) and counted under the CPU's ceiling.
 *
 * On the CPU one text of 128 is compared, 4 at least and 32 at most: that much
 * of the work is done a second time, two or three times slower. A card is so
 * much faster than the CPU that this is too much: of its passes as many texts
 * are compared as take 5 % of the pass, or a second, by an estimate.
 */

#ifndef RUN_DRIFT_H
#define RUN_DRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "device/device.h"
#include "run/roster.h"
#include "run/session.h"

enum {
    DRIFT_TEXTS_LEAST = 4,
    DRIFT_TEXTS_MOST = 32,
    DRIFT_ONE_IN = 128,
    DRIFT_TOKENS = 1024 /* of a batch, or the longest text: each batch reads the
                           layers once */
};

/* ---- which texts -------------------------------------------------------- */

struct drift_sample {
    struct memory *memory;
    size_t most, room; /* texts, and ids of each */
    size_t count;
    size_t last;      /* the one with the largest digest, when all are there */
    uint8_t *digests; /* [most, 32]; owned, as are: */
    size_t *sizes;    /* [most] ids of each */
    uint32_t *ids;    /* [most, room] */
};

/* Of COMPUTING texts. */
size_t drift_texts(uint64_t computing);

/* Bytes of memory that drift_sample_open takes. */
uint64_t drift_sample_bytes(size_t texts, size_t longest);
/* TEXTS 0: an empty one, which takes nothing. */
bool drift_sample_open(struct drift_sample *sample, struct memory *memory,
                       size_t texts, size_t longest, struct error *err);
void drift_sample_close(struct drift_sample *sample); /* {0} is fine */
void drift_sample_add(struct drift_sample *sample,
                      const uint8_t digest[SHA256_BYTES], const uint32_t *ids,
                      size_t count);

struct batch;
/* The texts of a batch that was stored. */
void drift_take(struct drift_sample *sample, const struct batch *batch);

/* ---- measuring ---------------------------------------------------------- */

struct drift {
    enum number_type type; /* that was compared; NUMBER_DEFAULT: there was
                              nothing to compare */
    size_t texts;
    unsigned heads; /* bits of those below */
    struct {
        double lowest, median; /* cosines */
    } of[ROW_KINDS];
    double ms;
    char skipped[320]; /* why nothing was compared; "": it was */
};

/* Are MEMBER's rows made in a narrow type, by some device of the session? */
bool drift_is_due(const struct session *session, const struct member *member);

/* Host memory that comparing takes besides the sample, where COMPUTING texts of
 * up to LONGEST tokens are computed and LIVE bytes are there already: for
 * pass_plan. 0: it is not due, or has no room. */
uint64_t drift_bytes(struct session *session, const struct member *member,
                     uint64_t computing, size_t longest, uint64_t live);

struct pass;
/* The pass is closed, its stores are open, nobody else uses the session's
 * threads. PLANNED: bytes of memory that it may take, by the plan. */
struct drift drift_measure(const struct pass *pass, uint64_t planned);

/* Of two rows of a head whose rows are WIDTH wide. Two empty ones are equal. */
double drift_cosine(enum row_kind head, size_t width, const struct row *a,
                    const struct row *b);
/* Sorts VALUES [count], count >= 1. Of an even number the mean of the middle
 * two. */
double drift_median(double *values, size_t count);

/* ---- telling ------------------------------------------------------------ */

/* Nothing can be compared, for the reason WHY. */
struct drift drift_skip(const struct member *member, const struct error *why);

/* The event, and a warning where the lowest cosine is below the bound. */
void drift_tell(const struct pass *pass, const struct drift *drift);
/* For the summary; NULL: there is nothing to say. */
json_t *drift_describe(const struct drift *drift);

#endif
