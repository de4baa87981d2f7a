/* derive.h - the fields that users of the original system filter by, worked
 * out from a chunk's metadata and text by its rules. Each is appended to OUT as
 * a JSON value on one line. */

#ifndef DATA_DERIVE_H
#define DATA_DERIVE_H

#include "base/str.h"
#include "data/json_scan.h"
#include "data/rows.h"

/* The members of a metadata object that the fields are made of; kind
 * SCAN_ERROR where there is none. */
struct derive_input {
    struct json_item modal_hint, content_flags, hierarchy_path, section_path,
        heading_text, sparse_features;
};
void derive_read(struct str metadata, struct derive_input *input);
/* The same for whoever walks over the members anyway: INPUT begins as {0}, and
 * each ITEM is told in order. */
void derive_note(const struct json_item *item, struct derive_input *input);

/* A JSON string as we write it ourselves: escaped only where it must be. With
 * QUOTES false the quotes are left to the caller. */
void derive_add_string(struct str value, bool quotes, struct strbuf *out);

/* The hint that came, if it is not blank; else by the content flags (table,
 * code, list, json); else by the look of the text's first 400 characters:
 * "code" (a fence, "def ", "class "), "table" (a row of pipes under which a
 * rule stands), "json" (begins with a bracket), "prose". */
void derive_modal_hint(const struct derive_input *input, struct str text,
                       struct strbuf *out);

/* The path that came (a list is joined with " > "), else section_path joined,
 * else heading_text, else null. */
void derive_hierarchy_path(const struct derive_input *input,
                           struct strbuf *out);

/* From sparse_features.term_weights: {"indices", "values", "tokens", "stats"};
 * index = first 32 bits of the term's SHA-1, value = weight / L2 norm of all.
 * Terms without a name or with a weight that is not a number > 0 are passed
 * over; null when none is left. */
void derive_sparse_vector(const struct derive_input *input, struct strbuf *out);

/* The same terms as a sparse vector of their own (rows.h), for search: indices
 * ascending, the values of terms with equal indices added up, in f32. METADATA
 * is a chunk's. *OUT borrows from BUFFER; it is empty where there are none.
 * Their index space, 32 bits of SHA-1, is no model's: it has its own name. */
bool derive_terms(struct str metadata, struct row_buffer *buffer,
                  struct row *out, struct error *err);

#endif
