/* store_record.h - store.json: what made the rows of a store, and where they
 * are.
 *
 *     {"version": 1, "kind": "sparse", "width": 384, "isa": ["avx2"],
 *      "fingerprint": {"commit": "...", ...},
 *      "array": {"path": "../../../embeddings.npy", "bytes", "rows", "hash",
 *                "digests_hash"}}
 *
 * "kind" is not there in a store of dense rows, "array" while a store is not
 * retired. The file is written whole or
 * not at all; a folder without it holds no rows, whatever else is in it.
 */

#ifndef DATA_STORE_RECORD_H
#define DATA_STORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/error.h"
#include "base/memory.h"
#include "data/rows.h"

/* A record without an array; NULL when jansson has no memory. */
json_t *store_record_make(const json_t *fingerprint, enum row_kind kind,
                          size_t width, struct error *err);

/* The record at PATH, or *OUT NULL when there is none. One that is broken or
 * of another version is ERROR_CONFLICT. */
bool store_record_read(const char *path, json_t **out, struct error *err);
bool store_record_write(const char *path, const json_t *record,
                        struct memory *memory, struct error *err);

/* Whether rows of RECORD (of the store in FOLDER) may stand beside rows made
 * by FINGERPRINT, KIND and WIDTH; ERROR_CONFLICT names all that differs. */
bool store_record_match(const json_t *record, const json_t *fingerprint,
                        enum row_kind kind, size_t width, const char *folder,
                        struct memory *memory, struct error *err);

/* Put ISA into the list of those that made rows; *NEWS: it was not there. */
bool store_record_add_isa(json_t *record, const char *isa, bool *news,
                          struct error *err);

#endif
