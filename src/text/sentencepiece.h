/* sentencepiece.h - a sentencepiece model file: a protobuf ModelProto
 * (sentencepiece_model.proto of google/sentencepiece), as far as a tokenizer
 * needs it.
 *
 *     struct sentencepiece model;
 *     if (sentencepiece_read(&model, bytes, name, err))
 *         while (sentencepiece_next(&model, &piece)) ...
 *
 * Any bytes may come. Nothing is copied: all texts lie in the bytes.
 */

#ifndef TEXT_SENTENCEPIECE_H
#define TEXT_SENTENCEPIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum sentencepiece_type {
    PIECE_NORMAL = 1,
    PIECE_UNKNOWN = 2,
    PIECE_CONTROL = 3,
    PIECE_USER_DEFINED = 4,
    PIECE_UNUSED = 5,
    PIECE_BYTE = 6,
};
enum sentencepiece_model_type { SENTENCEPIECE_UNIGRAM = 1, SENTENCEPIECE_BPE };

struct sentencepiece_piece {
    struct str text; /* UTF-8 without NUL */
    float score;
    uint64_t type;
};

struct sentencepiece {
    struct str bytes; /* borrowed */
    size_t at;        /* of the next piece */
    size_t count;     /* pieces */
    uint64_t model_type;
    bool byte_fallback;
    int64_t unk_id, bos_id, eos_id;
    struct str unk_piece, bos_piece, eos_piece;
    struct str charsmap; /* precompiled_charsmap; size 0: none */
};

/* The whole file is checked; ERROR_INPUT and NAME where it is no such model. */
bool sentencepiece_read(struct sentencepiece *model, struct str bytes,
                        const char *name, struct error *err);

/* The next piece, in the order of the ids; false behind the last. */
bool sentencepiece_next(struct sentencepiece *model,
                        struct sentencepiece_piece *piece);

#endif
