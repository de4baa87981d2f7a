/* folder_spm.c - a vocabulary of a sentencepiece model, as transformers 5.23
 * takes it (convert_slow_tokenizer.py: SentencePieceExtractor, generate_merges,
 * convert_from_spm of XLM-R, CamemBERT and T5, and
 * SpmConverter.build_tokenizer_from_spm_proto for a folder without a class). */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/folder_parts.h"
#include "text/sentencepiece.h"

static bool no_memory(struct error *err) {
    return error_set(err, ERROR_MEMORY, "no memory for a vocabulary");
}

static bool add_scored(json_t *list, struct str text, double score) {
    return json_array_append_new(
               list, json_pack("[s%,f]", text.data, text.size, score)) == 0;
}

static bool add_named(struct making *m, const char *key, const char *if_none,
                      bool *fine, struct error *err) {
    const char *token = making_token(m, key, if_none);
    if (!token)
        return *fine = error_set(err, ERROR_UNSUPPORTED,
                                 "%s: its tokenizer has no %s: use another "
                                 "model",
                                 m->folder->path, key);
    return *fine = *fine && add_scored(m->vocab, str_from(token), 0);
}

/* What the fairseq models have in place of the first pieces. Returns how many
 * pieces of the file do not count. */
static size_t begin_list(struct making *m, bool *fine, struct error *err) {
    if (m->class->kind == CLASS_XLM_ROBERTA) {
        add_named(m, "bos_token", "<s>", fine, err);
        add_named(m, "pad_token", "<pad>", fine, err);
        add_named(m, "eos_token", "</s>", fine, err);
        add_named(m, "unk_token", "<unk>", fine, err);
        return 3;
    }
    if (m->class->kind != CLASS_CAMEMBERT)
        return 0;
    *fine = *fine && add_scored(m->vocab, STR("<s>NOTUSED"), 0);
    add_named(m, "pad_token", "<pad>", fine, err);
    *fine = *fine && add_scored(m->vocab, STR("</s>NOTUSED"), 0);
    add_named(m, "unk_token", "<unk>", fine, err);
    *fine = *fine && add_scored(m->vocab, STR("<unk>NOTUSED"), -100);
    return 1;
}

static bool end_list(struct making *m, bool fine, struct error *err) {
    enum class_kind kind = m->class->kind;
    const json_t *given = json_object_get(m->settings, "extra_ids");
    double count = given ? json_number_value(given) : 100;
    if (kind == CLASS_XLM_ROBERTA || kind == CLASS_CAMEMBERT)
        add_named(m, "mask_token", "<mask>", &fine, err);
    if (kind != CLASS_T5 || !(count >= 0 && count < 100000))
        return fine;
    for (int i = (int)count; fine && i-- > 0;) {
        char name[32];
        int size = snprintf(name, sizeof name, "<extra_id_%d>", i);
        fine = add_scored(m->vocab, (struct str){name, (size_t)size}, 0);
    }
    return fine;
}

static bool read_list(struct making *m, struct sentencepiece model,
                      struct error *err) {
    struct sentencepiece_piece piece;
    bool fine = (m->vocab = json_array()) != NULL;
    size_t skip = fine ? begin_list(m, &fine, err) : 0;
    for (size_t i = 0; fine && sentencepiece_next(&model, &piece); i++)
        fine = i < skip || add_scored(m->vocab, piece.text, piece.score);
    return end_list(m, fine, err);
}

/* Each way to cut a piece into two pieces, the pieces in order of their ids. */
static bool make_merges(struct making *m, struct sentencepiece model) {
    struct sentencepiece_piece piece;
    m->merges = json_array();
    while (m->merges && sentencepiece_next(&model, &piece)) {
        struct str text = piece.text;
        for (size_t at = 0; at < text.size;) {
            utf8_next(text, &at);
            if (at == text.size || !json_object_getn(m->vocab, text.data, at) ||
                !json_object_getn(m->vocab, text.data + at, text.size - at))
                continue;
            json_t *pair = json_pack("[s%,s%]", text.data, at, text.data + at,
                                     text.size - at);
            if (json_array_append_new(m->merges, pair) != 0)
                return false;
        }
    }
    return m->merges;
}

static bool read_table(struct making *m, struct sentencepiece model,
                       struct error *err) {
    struct sentencepiece_piece piece;
    struct sentencepiece again = model;
    if (!(m->vocab = json_object()))
        return false;
    for (json_int_t id = 0; sentencepiece_next(&model, &piece); id++) {
        if (json_object_getn(m->vocab, piece.text.data, piece.text.size))
            return error_set(err, ERROR_UNSUPPORTED,
                             "%s: two pieces of its tokenizer have the same "
                             "text: use another model",
                             m->folder->path);
        if (json_object_setn_new(m->vocab, piece.text.data, piece.text.size,
                                 json_integer(id)) != 0)
            return false;
    }
    return make_merges(m, again);
}

/* Control pieces and what the model's makers defined are added tokens. */
static bool read_added(struct making *m, struct sentencepiece model) {
    struct sentencepiece_piece piece;
    json_decref(m->additional);
    m->additional = json_array();
    while (m->additional && sentencepiece_next(&model, &piece)) {
        bool control = piece.type == PIECE_CONTROL;
        if (!control && piece.type != PIECE_USER_DEFINED)
            continue;
        json_t *token =
            json_pack("{s:s%,s:b,s:b,s:b,s:b,s:b}", "content", piece.text.data,
                      piece.text.size, "single_word", 0, "lstrip", 0, "rstrip",
                      0, "normalized", 0, "special", control);
        if (json_array_append_new(m->additional, token) != 0)
            return false;
    }
    return m->additional;
}

static json_t *base64(struct memory *memory, struct str bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t groups = bytes.size / 3 + (bytes.size % 3 != 0);
    char *text = memory_alloc(memory, groups + 1, 4, NULL);
    for (size_t i = 0; text && i < groups; i++) {
        uint32_t bits = 0;
        size_t left = bytes.size - i * 3;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < left ? (uint8_t)bytes.data[i * 3 + k] : 0u);
        for (size_t k = 0; k < 4; k++)
            text[i * 4 + k] =
                k <= left ? digits[bits >> (18 - 6 * k) & 63] : '=';
    }
    json_t *made = text ? json_stringn(text, groups * 4) : NULL;
    memory_free(memory, text);
    return made;
}

/* A setting that the model file says where no other file does. */
static bool set_default(struct making *m, const char *key, int64_t id,
                        struct str piece, struct str if_empty) {
    if (id < 0 || json_object_get(m->settings, key))
        return true;
    if (!piece.size)
        piece = if_empty;
    return json_object_set_new(m->settings, key,
                               json_stringn(piece.data, piece.size)) == 0;
}

/* The vocabulary's keys by their ids, which are 0 and up without a gap. */
static const char **pieces_by_id(const struct making *m) {
    size_t count = json_object_size(m->vocab);
    const char **pieces =
        memory_zalloc(m->memory, count + 1, sizeof *pieces, NULL);
    const char *piece;
    json_t *id;
    if (pieces) {
        json_object_foreach(m->vocab, piece, id) {
            pieces[json_integer_value(id)] = piece;
        }
    }
    return pieces;
}

/* The files name another token for an id of the model's. */
static bool rename_pieces(struct making *m) {
    const char *id, **pieces = pieces_by_id(m);
    json_t *token;
    bool fine = pieces != NULL;
    json_int_t count = (json_int_t)json_object_size(m->vocab);
    if (!fine)
        return false;
    json_object_foreach(m->given, id, token) {
        json_int_t wanted = strtoll(id, NULL, 10);
        const char *content =
            json_string_value(json_object_get(token, "content"));
        if (wanted < 0 || wanted >= count || json_object_get(m->vocab, content))
            continue;
        fine =
            json_object_set_new(m->vocab, content, json_integer(wanted)) == 0 &&
            json_object_del(m->vocab, pieces[wanted]) == 0;
        if (!fine)
            break;
        pieces[wanted] = content;
    }
    memory_free(m->memory, pieces);
    return fine;
}

/* What a folder without a class gets. */
static bool build(struct making *m, const struct sentencepiece *model,
                  struct error *err) {
    bool list = json_is_array(m->vocab);
    json_t *replace =
        json_pack("{s:s,s:{s:s},s:s}", "type", "Replace", "pattern", "String",
                  " ", "content", "\xE2\x96\x81");
    json_t *steps = json_array();
    if (list && json_object_size(m->given))
        error_set(err, ERROR_UNSUPPORTED,
                  "%s: transformers cannot load its tokenizer.model with added "
                  "tokens: use another model",
                  m->folder->path);
    else if (m->charsmap)
        json_array_append_new(steps,
                              json_pack("{s:s,s:O}", "type", "Precompiled",
                                        "precompiled_charsmap", m->charsmap));
    json_array_append_new(steps, replace);
    m->normalizer =
        json_pack("{s:s,s:o}", "type", "Sequence", "normalizers", steps);
    if (list && json_object_size(m->given))
        return false;
    if (!list && !rename_pieces(m))
        return false;
    if (list)
        m->model = json_pack("{s:s,s:I,s:b,s:O}", "type", "Unigram", "unk_id",
                             (json_int_t)model->unk_id, "byte_fallback",
                             model->byte_fallback, "vocab", m->vocab);
    else
        m->model = json_pack(
            "{s:s,s:s%,s:b,s:b,s:b,s:O,s:O}", "type", "BPE", "unk_token",
            model->unk_piece.data, model->unk_piece.size, "fuse_unk", 1,
            "byte_fallback", model->byte_fallback, "ignore_merges", 0, "vocab",
            m->vocab, "merges", m->merges);
    return m->model && m->normalizer &&
           set_default(m, "bos_token", model->bos_id, model->bos_piece,
                       STR("<s>")) &&
           set_default(m, "eos_token", model->eos_id, model->eos_piece,
                       STR("</s>")) &&
           set_default(m, "unk_token", model->unk_id, model->unk_piece,
                       STR("<unk>"));
}

static bool read_all(struct making *m, const struct sentencepiece *model,
                     struct error *err) {
    bool list =
        m->class->kind == CLASS_BACKEND || m->class->kind == CLASS_CAMEMBERT
            ? model->model_type == SENTENCEPIECE_UNIGRAM
            : m->class->model == MODEL_UNIGRAM;
    if (!(list ? read_list(m, *model, err) : read_table(m, *model, err)) ||
        !read_added(m, *model))
        return false;
    if (model->charsmap.size &&
        !(m->charsmap = base64(m->memory, model->charsmap)))
        return false;
    if (list && json_object_set_new(m->settings, "unk_id",
                                    json_integer(model->unk_id)) != 0)
        return false;
    return m->class->kind != CLASS_BACKEND || build(m, model, err);
}

bool making_read_spm(struct making *m, struct str bytes, const char *name,
                     struct error *err) {
    struct sentencepiece model;
    struct error reason = {0};
    if (!sentencepiece_read(&model, bytes, name, err))
        return false;
    if (model.model_type != SENTENCEPIECE_UNIGRAM &&
        model.model_type != SENTENCEPIECE_BPE)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s/%s: neither a unigram nor a BPE model: use "
                         "another model",
                         m->folder->path, name);
    if (read_all(m, &model, &reason))
        return true;
    return reason.code ? error_set(err, reason.code, "%s", reason.message)
                       : no_memory(err);
}
