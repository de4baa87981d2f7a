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

/* A rule and its place. MATRIX and NORM are two tensors each. TRAITS: enum
 * trait, 0 for what every model of the family has. */
#define RULE(file_name, kind, row_dim, column_dim, place, which, ...)          \
    {                                                                          \
        .name = (file_name), .use = (kind), .rows = (row_dim),                 \
        .columns = (column_dim), .target = (place), .traits = (which),         \
        __VA_ARGS__                                                            \
    }
#define TABLE(name, use, rows, columns, target, traits)                        \
    RULE(name, use, rows, columns, target, traits, .part = 0)
#define WEIGHT(name, rows, columns, target, part_number, traits)               \
    RULE(name ".weight", USE_MATRIX, rows, columns, target, traits,            \
         .part = (part_number))
#define BIAS(name, rows, target, part_number, traits)                          \
    RULE(name ".bias", USE_BIAS, rows, DIM_NONE, target, traits,               \
         .part = (part_number))
#define PART(name, rows, columns, target, part, traits, bias_traits)           \
    WEIGHT(name, rows, columns, target, part, traits),                         \
        BIAS(name, rows, target, part, (traits) | (bias_traits))
#define MATRIX(name, rows, columns, target)                                    \
    PART(name, rows, columns, target, 0, 0, 0)
#define SCALE(name, width, target, traits)                                     \
    RULE(name ".weight", USE_NORM_SCALE, width, DIM_NONE, target, traits,      \
         .part = 0)
#define NORM_NAMED(name, old_scale, old_shift, width, target, traits)          \
    RULE(name ".weight", USE_NORM_SCALE, width, DIM_NONE, target, traits,      \
         .old_name = (old_scale)),                                             \
        RULE(name ".bias", USE_NORM_SHIFT, width, DIM_NONE, target, traits,    \
             .old_name = (old_shift))
#define NORM(name, width, target) NORM_NAMED(name, NULL, NULL, width, target, 0)
/* BERT's: as wide as the rest, with biases. */
#define QKV(query, key, value)                                                 \
    PART(query, DIM_QUERY, DIM_HIDDEN, LAYER(qkv), 0, 0, 0),                   \
        PART(key, DIM_KEY, DIM_HIDDEN, LAYER(qkv), 1, 0, 0),                   \
        PART(value, DIM_KEY, DIM_HIDDEN, LAYER(qkv), 2, 0, 0)

/* A part that other files call OLD, or have in ALL with the parts beside it. */
#define PIECE_WEIGHT(name, old, all, backwards, rows, columns, target,         \
                     part_number, traits)                                      \
    RULE(name ".weight", USE_MATRIX, rows, columns, target, traits,            \
         .old_name = old ".weight", .part = (part_number),                     \
         .whole = all ".weight", .whole_reversed = (backwards))
#define PIECE_BIAS(name, old, all, backwards, rows, target, part_number,       \
                   traits)                                                     \
    RULE(name ".bias", USE_BIAS, rows, DIM_NONE, target, traits,               \
         .old_name = old ".bias", .part = (part_number), .whole = all ".bias", \
         .whole_reversed = (backwards))
#define PIECE(name, old, all, backwards, rows, columns, target, part, traits,  \
              bias_traits)                                                     \
    PIECE_WEIGHT(name, old, all, backwards, rows, columns, target, part,       \
                 traits),                                                      \
        PIECE_BIAS(name, old, all, backwards, rows, target, part,              \
                   (traits) | (bias_traits))

/* A head's tensors; no prefix goes before their names. TRAIT: TRAIT_MLM or
 * TRAIT_CLASSIFIER. */
#define HEAD_MATRIX(name, rows, columns, target, trait)                        \
    RULE(name ".weight", USE_MATRIX, rows, columns, target, trait,             \
         .bare = true),                                                        \
        RULE(name ".bias", USE_BIAS, rows, DIM_NONE, target, trait,            \
             .bare = true)
#define HEAD_NORM(name, width, target, trait)                                  \
    RULE(name ".weight", USE_NORM_SCALE, width, DIM_NONE, target, trait,       \
         .bare = true),                                                        \
        RULE(name ".bias", USE_NORM_SHIFT, width, DIM_NONE, target, trait,     \
             .bare = true)
/* A classifier behind the first row, of two matrices (RoBERTa's). */
#define CLASSIFIER_OF_TWO                                                      \
    HEAD_MATRIX("classifier.dense", DIM_HIDDEN, DIM_HIDDEN,                    \
                MODEL(head.inside), TRAIT_CLASSIFIER),                         \
        HEAD_MATRIX("classifier.out_proj", DIM_LABELS, DIM_HIDDEN,             \
                    MODEL(head.labels), TRAIT_CLASSIFIER)
/* The decoder back to words: WORD_TABLE (behind the prefix) and the bias BIAS
 * where they are tied, its own ones where not. */
#define DECODER(name, bias, word_table)                                        \
    RULE(word_table, USE_MATRIX, DIM_VOCAB, DIM_EMBEDDING,                     \
         MODEL(head.decoder), TRAIT_MLM | TRAIT_TIED, .part = 0),              \
        RULE(bias, USE_BIAS, DIM_VOCAB, DIM_NONE, MODEL(head.decoder),         \
             TRAIT_MLM | TRAIT_TIED, .bare = true, .old_name = name ".bias"),  \
        RULE(name ".weight", USE_MATRIX, DIM_VOCAB, DIM_EMBEDDING,             \
             MODEL(head.decoder), TRAIT_MLM | TRAIT_UNTIED, .bare = true),     \
        RULE(name ".bias", USE_BIAS, DIM_VOCAB, DIM_NONE, MODEL(head.decoder), \
             TRAIT_MLM | TRAIT_UNTIED, .bare = true, .old_name = (bias))

/* Two words' logits at a text's end: rows of WORD_TABLE (behind the prefix), or
 * of a decoder of its own. */
#define YES_NO(word_table, decoder)                                            \
    RULE(word_table, USE_WORD_ROWS, DIM_VOCAB, DIM_EMBEDDING,                  \
         MODEL(head.labels), TRAIT_YES_NO | TRAIT_TIED, .part = 0),            \
        RULE(decoder, USE_WORD_ROWS, DIM_VOCAB, DIM_EMBEDDING,                 \
             MODEL(head.labels), TRAIT_YES_NO | TRAIT_UNTIED, .bare = true)

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
extern const struct family families_table[];
extern const size_t families_table_count;

#endif
