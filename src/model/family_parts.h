/* family_parts.h - how rows of the table of families are written. Inside the
 * family_*.c files only.
 */

#ifndef MODEL_FAMILY_PARTS_H
#define MODEL_FAMILY_PARTS_H

#include <stddef.h>

#include "model/family.h"
#include "model/spec_parts.h"
#include "model/weights.h"

#define LAYER(field) offsetof(struct layer_weights, field)
#define MODEL(field) offsetof(struct weights, field)

/* A rule and its place. MATRIX and NORM are two tensors each; OLD_NORM's had
 * the words gamma and beta once, and bert-base-uncased still has them. TRAITS:
 * enum trait, 0 for what every model of the family has. */
#define TABLE(name, use, rows, columns, target, traits)                        \
    { name, NULL, use, rows, columns, target, 0, traits, false }
#define WEIGHT(name, rows, columns, target, part, traits)                      \
    {                                                                          \
        name ".weight", NULL, USE_MATRIX, rows, columns, target, part, traits, \
            false                                                              \
    }
#define BIAS(name, rows, target, part, traits)                                 \
    {                                                                          \
        name ".bias", NULL, USE_BIAS, rows, DIM_NONE, target, part, traits,    \
            false                                                              \
    }
#define PART(name, rows, columns, target, part, traits, bias_traits)           \
    WEIGHT(name, rows, columns, target, part, traits),                         \
        BIAS(name, rows, target, part, (traits) | (bias_traits))
#define MATRIX(name, rows, columns, target)                                    \
    PART(name, rows, columns, target, 0, 0, 0)
#define SCALE(name, width, target, traits)                                     \
    {                                                                          \
        name ".weight", NULL, USE_NORM_SCALE, width, DIM_NONE, target, 0,      \
            traits, false                                                      \
    }
#define NORM_NAMED(name, old_scale, old_shift, width, target, traits)          \
    {name ".weight", old_scale, USE_NORM_SCALE, width, DIM_NONE,               \
     target,         0,         traits,         false},                        \
    {                                                                          \
        name ".bias", old_shift, USE_NORM_SHIFT, width, DIM_NONE, target, 0,   \
            traits, false                                                      \
    }
#define NORM(name, width, target) NORM_NAMED(name, NULL, NULL, width, target, 0)
#define OLD_NORM(name, width, target)                                          \
    NORM_NAMED(name, name ".gamma", name ".beta", width, target, 0)
/* BERT's: as wide as the rest, with biases. */
#define QKV(query, key, value)                                                 \
    PART(query, DIM_QUERY, DIM_HIDDEN, LAYER(qkv), 0, 0, 0),                   \
        PART(key, DIM_KEY, DIM_HIDDEN, LAYER(qkv), 1, 0, 0),                   \
        PART(value, DIM_KEY, DIM_HIDDEN, LAYER(qkv), 2, 0, 0)

#define RULES(table)                                                           \
    .rules = (table), .rules_count = sizeof(table) / sizeof *(table)

extern const struct config_words bert_words;

/* The rows, in the order of the table. */
extern const struct family families_bert[];
extern const size_t families_bert_count;
extern const struct family families_modern[];
extern const size_t families_modern_count;
extern const struct family families_relative[];
extern const size_t families_relative_count;
extern const struct family families_decoder[];
extern const size_t families_decoder_count;

#endif
