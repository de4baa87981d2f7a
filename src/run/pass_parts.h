/* pass_parts.h - between pass.c, which reads and counts, pass_rows.c, which
 * knows the stores, and pass_bm25.c, which does without a model. */

#ifndef RUN_PASS_PARTS_H
#define RUN_PASS_PARTS_H

#include "run/pass.h"

/* The heads of the pass whose store does not have the text; *LACKING 0: all
 * have it. */
bool pass_lacking(struct pass *pass, const uint8_t digest[SHA256_BYTES],
                  unsigned *lacking, struct error *err);

/* The sound rows of a batch go to the stores that lack them, the others are
 * counted and named; texts that were cut, or computed elsewhere than planned,
 * are listed beside each head's rows first. */
bool pass_store_rows(struct pass *pass, const struct batch *batch,
                     struct error *err);

/* The clock, and a report in which nothing is done yet. */
void pass_begin(struct pass *pass);

void pass_tell_progress(const struct pass *pass);

/* Stores reach the disk every few seconds. */
bool pass_sync(struct pass *pass, struct error *err);

#endif
