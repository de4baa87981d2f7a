/* payload.h - what Qdrant stores beside a chunk's vectors.
 *
 * The chunk's text, id and collection, its metadata as it came (a member whose
 * name we use ourselves is ours), and the four fields that users of the
 * original system filter by: qdrant_collection, modal_hint, hierarchy_path,
 * sparse_vector (data/derive.h).
 */

#ifndef DATA_PAYLOAD_H
#define DATA_PAYLOAD_H

#include <stdbool.h>

#include "base/str.h"
#include "data/chunks.h"

/* Append the payload object of CHUNK to OUT. TEXT_FIELD is "text" or what
 * --text-field says. Failures are OUT's own (strbuf_ok). */
void payload_write(struct strbuf *out, const struct chunk *chunk,
                   const struct collection *collection, const char *text_field);

/* Whether we write a member of that name ourselves, beside the text. */
bool payload_has_own(struct str key);

/* The Qdrant name that the original system gives a collection whose folder is
 * called FOLDER, into NAME, cut to CAPACITY: in small letters, '-' and ' ' as
 * '_', without "_v4_outputs"; or the one that it knows by a word in it. */
void payload_canonical_collection(const char *folder, char *name,
                                  size_t capacity);

#endif
