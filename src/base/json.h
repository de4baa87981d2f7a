/* json.h - jansson with our errors: for model files, configuration and
 * reports, never for chunks (jansson changes numbers; see data/json_scan.h).
 */

#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/str.h"

/* A document; NULL and ERROR_INPUT with NAME, line and column if TEXT is none.
 * A leading BOM is skipped. The caller owns a reference. */
json_t *json_parse(struct str text, const char *name, struct error *err);

/* The same with jansson's FLAGS, and no BOM. That memory ran out is
 * ERROR_MEMORY: jansson says of a sound document then that it is broken. */
json_t *json_parse_as(struct str text, size_t flags, const char *name,
                      struct error *err);

/* The same from a file of at most MAX_BYTES. */
json_t *json_read_file(const char *path, size_t max_bytes, struct error *err);

/* DOCUMENT as the whole content of PATH (base/file.h), its real numbers with
 * DIGITS; 0: all of them. A NULL document is one that found no memory. */
bool json_write_file(const char *path, const json_t *document, size_t digits,
                     struct memory *memory, struct error *err);

/* TEXT as a JSON string for a report. A path may hold any bytes: those that are
 * not UTF-8 are shown as U+FFFD. NULL gives null. */
json_t *json_any_text(const char *text);

/* Members of an object. A missing member (or null) leaves *OUT alone and is
 * fine; one of another type is ERROR_INPUT with NAME and KEY. Borrowed from
 * the document. */
bool json_member_string(const json_t *object, const char *key, const char *name,
                        const char **out, struct error *err);
bool json_member_size(const json_t *object, const char *key, const char *name,
                      size_t *out, struct error *err); /* >= 0 */
bool json_member_real(const json_t *object, const char *key, const char *name,
                      double *out, struct error *err);
bool json_member_bool(const json_t *object, const char *key, const char *name,
                      bool *out, struct error *err);

#endif
