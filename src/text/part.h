/* part.h - a part of tokenizer.json and the name that it goes by. */

#ifndef TEXT_PART_H
#define TEXT_PART_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "base/str.h"
#include "text/pattern.h"

/* Where a part stands, for messages. */
struct part {
    const json_t *json; /* borrowed; NULL: the file has none */
    const char *what;   /* "normalizer" */
    const char *name;   /* the file */
    const char *type;   /* borrowed from json; "" if it says none */
};

/* Member WHAT of ROOT. A Sequence with one part in its list MEMBERS is that
 * part. A missing or null one has json NULL and is fine. */
bool part_open(struct part *part, const json_t *root, const char *what,
               const char *members, const char *name, struct error *err);
/* False, and that PART's type is not among those that we have. */
bool part_unsupported(const struct part *part, const char *supported,
                      struct error *err);

/* Members that must be there. */
bool part_bool(const struct part *part, const char *key, bool *out,
               struct error *err);
bool part_text(const struct part *part, const char *key, struct str *out,
               struct error *err);

/* STEP is given JSON, an object with a type, or in their order the parts of the
 * Sequence that it is: of its list MEMBERS, Sequences in Sequences included. */
struct part_steps {
    const char *what;    /* "normalizer" */
    const char *members; /* "normalizers" */
    const char *name;    /* the file */
    bool (*step)(void *context, const struct part *part, struct error *err);
    void *context;
};
bool part_each(const struct part_steps *steps, const json_t *json,
               struct error *err);
/* Member "pattern": {"String"} or {"Regex"}. The caller owns it. */
bool part_pattern(const struct part *part, struct memory *memory,
                  struct pattern **pattern, struct error *err);

/* One that may be missing or null: OUT's data is NULL then. */
bool part_text_or_none(const struct part *part, const char *key,
                       struct str *out, struct error *err);

/* A token id: a whole number from 0 to below LIMIT. OF says whose. */
bool part_id(const json_t *value, size_t limit, const char *of,
             const char *name, uint32_t *id, struct error *err);

#endif
