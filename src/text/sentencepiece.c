/* sentencepiece.c - see sentencepiece.h. */

#include "text/sentencepiece.h"

#include <math.h>
#include <string.h>

#include "base/utf8.h"

/* Wire types of protobuf. */
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };
enum { VARINT_BYTES_MAX = 10 };

struct field {
    uint64_t number;
    unsigned wire;
    uint64_t value;   /* VARINT, FIXED32 */
    struct str bytes; /* BYTES */
};

static bool read_varint(struct str bytes, size_t *at, uint64_t *value) {
    *value = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX && *at < bytes.size; i++) {
        uint8_t byte = (uint8_t)bytes.data[(*at)++];
        if (i * 7 < 64)
            *value |= (uint64_t)(byte & 0x7F) << (i * 7);
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* SIZE bytes from AT on. */
static bool take(struct str bytes, size_t *at, uint64_t size, struct str *out) {
    if (size > bytes.size - *at)
        return false;
    *out = (struct str){bytes.data + *at, (size_t)size};
    *at += (size_t)size;
    return true;
}

static uint32_t little(struct str bytes) {
    const uint8_t *b = (const uint8_t *)bytes.data;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
           (uint32_t)b[3] << 24;
}

static bool read_field(struct str bytes, size_t *at, struct field *field) {
    uint64_t tag, size;
    struct str fixed;
    if (!read_varint(bytes, at, &tag) || tag >> 3 == 0)
        return false;
    *field = (struct field){.number = tag >> 3, .wire = tag & 7};
    switch (field->wire) {
    case VARINT:
        return read_varint(bytes, at, &field->value);
    case FIXED64:
        return take(bytes, at, 8, &fixed);
    case BYTES:
        return read_varint(bytes, at, &size) &&
               take(bytes, at, size, &field->bytes);
    case FIXED32:
        if (!take(bytes, at, 4, &fixed))
            return false;
        field->value = little(fixed);
        return true;
    default:
        return false; /* groups are no part of this format */
    }
}

static bool is(const struct field *field, uint64_t number, unsigned wire) {
    return field->number == number && field->wire == wire;
}

static bool read_piece(struct str bytes, struct sentencepiece_piece *piece) {
    struct field field;
    *piece =
        (struct sentencepiece_piece){.text = STR(""), .type = PIECE_NORMAL};
    for (size_t at = 0; at < bytes.size;) {
        if (!read_field(bytes, &at, &field))
            return false;
        if (is(&field, 1, BYTES))
            piece->text = field.bytes;
        uint32_t bits = (uint32_t)field.value;
        if (is(&field, 2, FIXED32))
            memcpy(&piece->score, &bits, sizeof piece->score);
        if (is(&field, 3, VARINT))
            piece->type = field.value;
    }
    return isfinite(piece->score) &&
           utf8_valid_prefix(piece->text) == piece->text.size &&
           (!piece->text.size ||
            !memchr(piece->text.data, 0, piece->text.size));
}

/* An int32 as it is written: negative ones have 64 bits. */
static int64_t signed_of(uint64_t value) {
    uint32_t low = (uint32_t)value;
    return low <= INT32_MAX ? (int64_t)low : (int64_t)low - ((int64_t)1 << 32);
}

static bool read_trainer(struct sentencepiece *model, struct str bytes) {
    struct field field;
    for (size_t at = 0; at < bytes.size;) {
        if (!read_field(bytes, &at, &field))
            return false;
        if (is(&field, 3, VARINT))
            model->model_type = field.value;
        if (is(&field, 35, VARINT))
            model->byte_fallback = field.value != 0;
        if (is(&field, 40, VARINT))
            model->unk_id = signed_of(field.value);
        if (is(&field, 41, VARINT))
            model->bos_id = signed_of(field.value);
        if (is(&field, 42, VARINT))
            model->eos_id = signed_of(field.value);
        if (is(&field, 45, BYTES))
            model->unk_piece = field.bytes;
        if (is(&field, 46, BYTES))
            model->bos_piece = field.bytes;
        if (is(&field, 47, BYTES))
            model->eos_piece = field.bytes;
    }
    return true;
}

static bool read_normalizer(struct sentencepiece *model, struct str bytes) {
    struct field field;
    for (size_t at = 0; at < bytes.size;) {
        if (!read_field(bytes, &at, &field))
            return false;
        if (is(&field, 2, BYTES))
            model->charsmap = field.bytes;
    }
    return true;
}

static bool read_member(struct sentencepiece *model,
                        const struct field *field) {
    struct sentencepiece_piece piece;
    model->count += is(field, 1, BYTES);
    if (is(field, 1, BYTES))
        return read_piece(field->bytes, &piece);
    if (is(field, 2, BYTES))
        return read_trainer(model, field->bytes);
    return !is(field, 3, BYTES) || read_normalizer(model, field->bytes);
}

/* A special piece's own text. */
static bool is_name(struct str text) {
    return utf8_valid_prefix(text) == text.size &&
           (!text.size || !memchr(text.data, 0, text.size));
}

bool sentencepiece_read(struct sentencepiece *model, struct str bytes,
                        const char *name, struct error *err) {
    struct field field;
    *model = (struct sentencepiece){.bytes = bytes,
                                    .model_type = SENTENCEPIECE_UNIGRAM,
                                    .bos_id = 1,
                                    .eos_id = 2,
                                    .unk_piece = STR("<unk>"),
                                    .bos_piece = STR("<s>"),
                                    .eos_piece = STR("</s>"),
                                    .charsmap = STR("")};
    bool fine = bytes.size > 0;
    for (size_t at = 0; fine && at < bytes.size;)
        fine = read_field(bytes, &at, &field) && read_member(model, &field);
    fine = fine && model->count && is_name(model->unk_piece) &&
           is_name(model->bos_piece) && is_name(model->eos_piece);
    return fine || error_set(err, ERROR_INPUT,
                             "%s: not a sentencepiece model: fetch the file "
                             "again",
                             name);
}

bool sentencepiece_next(struct sentencepiece *model,
                        struct sentencepiece_piece *piece) {
    struct field field;
    while (model->at < model->bytes.size &&
           read_field(model->bytes, &model->at, &field))
        if (is(&field, 1, BYTES))
            return read_piece(field.bytes, piece);
    return false;
}
