/* pass_bm25.h - the pass of BM25: a formula over the words of each text, with
 * no model and no device.
 *
 *     pass_bm25(&pass, err);
 *
 * Every text that the sparse store lacks gets its pairs; a text without a word
 * gets an empty row, which is counted and is no failure. Rows are in the store
 * as blocks of texts are done, so that a kill costs one block. All of it runs
 * on the caller's thread.
 */

#ifndef RUN_PASS_BM25_H
#define RUN_PASS_BM25_H

#include "run/pass.h"

/* Host memory that it takes, at most: exactly for its buffers, about for the
 * words of the longest text. */
uint64_t pass_bm25_bytes(const struct intake *intake);

/* The pass's report is filled; its stores are ready, its engine is not used. */
bool pass_bm25(struct pass *pass, struct error *err);

#endif
