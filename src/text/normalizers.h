/* normalizers.h - the "normalizer" of a tokenizer.json, one step after
 * another: BertNormalizer, Lowercase, StripAccents, Strip, Prepend, Replace,
 * Precompiled, Nmt, ByteLevel, NFC, NFD, NFKC, NFKD, and Sequences of them.
 *
 *     normalizers_load(&steps, json, false, name, memory, arena, err);
 *     normalizers_run(&steps, &scratch, text, &changed, err);
 *     ... changed.text ...             // until the next run
 *
 * A text is held whole, twice at the most.
 */

#ifndef TEXT_NORMALIZERS_H
#define TEXT_NORMALIZERS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/arena.h"
#include "text/normal_form.h"
#include "text/normalize.h"
#include "text/pattern.h"
#include "text/precompiled.h"

enum { NORMALIZERS_MAX = 32 };

struct normalizer_step {
    enum normalizer_kind {
        NORMALIZER_BERT, /* and Lowercase */
        NORMALIZER_ACCENTS,
        NORMALIZER_STRIP,
        NORMALIZER_PREPEND,
        NORMALIZER_REPLACE,
        NORMALIZER_PRECOMPILED,
        NORMALIZER_NMT,
        NORMALIZER_BYTE_LEVEL,
        NORMALIZER_FORM,
    } kind;
    struct normalizer bert;
    bool left, right;        /* Strip */
    struct str text;         /* Prepend, Replace; the arena's */
    struct pattern *pattern; /* Replace; owned */
    struct precompiled map;
    enum form form;
};

struct normalizers {
    struct memory *memory;
    struct normalizer_step *steps; /* [count], the arena's */
    size_t count;
};

struct normalizers_scratch {
    struct memory *memory; /* borrowed */
    struct strbuf buffers[2];
    struct codes codes;
    struct normalize_marks marks;
    struct pattern_scratch pattern;
};

struct normalized {
    struct str text; /* borrowed from the scratch, or the text itself */
    size_t at_zero;  /* so many of its bytes stand where the text begins */
};

/* JSON may be NULL: no steps. LOWER: a Lowercase first. NAME is the file. */
bool normalizers_load(struct normalizers *normalizers, const json_t *json,
                      bool lower, const char *name, struct memory *memory,
                      struct arena *arena, struct error *err);
void normalizers_free(struct normalizers *normalizers);

struct normalizers_scratch normalizers_scratch_make(struct memory *memory);
void normalizers_scratch_free(struct normalizers_scratch *scratch);

/* TEXT is valid UTF-8. */
bool normalizers_run(const struct normalizers *normalizers,
                     struct normalizers_scratch *scratch, struct str text,
                     struct normalized *out, struct error *err);

#endif
