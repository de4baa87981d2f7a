/* folder_recipes.c - the parts that transformers 5.23's tokenizer classes put
 * around a vocabulary (models/CLASS/tokenization_CLASS.py, __init__), in
 * tokenizer.json's words. */

#include <string.h>

#include "base/json.h"
#include "text/folder_parts.h"

#define UNDERLINE "\xE2\x96\x81"

/* What Qwen2Tokenizer splits at, from the source named above. */
static const char QWEN2[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?"
    "[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/* Special tokens where no file says another; NULL: none. */
static const struct defaults {
    enum class_kind kind;
    const char *bos, *eos, *unk, *sep, *pad, *cls, *mask;
} defaults[] = {
    {CLASS_BERT, NULL, NULL, "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"},
    {CLASS_MPNET, "<s>", "</s>", "[UNK]", "</s>", "<pad>", "<s>", "<mask>"},
    {CLASS_ROBERTA, "<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"},
    {CLASS_GPT2, "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", NULL, NULL,
     NULL, NULL},
    {CLASS_QWEN2, NULL, "<|endoftext|>", "<|endoftext|>", NULL, "<|endoftext|>",
     NULL, NULL},
    {CLASS_XLM_ROBERTA, "<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>",
     "<mask>"},
    {CLASS_CAMEMBERT, "<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"},
    {CLASS_ALBERT, "[CLS]", "[SEP]", "<unk>", "[SEP]", "<pad>", "[CLS]",
     "[MASK]"},
    {CLASS_DEBERTA_V2, "[CLS]", "[SEP]", "[UNK]", "[SEP]", "[PAD]", "[CLS]",
     "[MASK]"},
    {CLASS_T5, NULL, "</s>", "<unk>", NULL, "<pad>", NULL, NULL},
    {CLASS_LLAMA, "<s>", "</s>", "<unk>", NULL, NULL, NULL, NULL},
    {CLASS_GEMMA, "<bos>", "<eos>", "<unk>", NULL, "<pad>", NULL, "<mask>"},
};

/* A token given as text, with these flags. */
static json_t *flagged(const char *content, bool lstrip, bool special) {
    return json_pack("{s:s,s:b,s:b,s:b,s:b,s:b}", "content", content,
                     "single_word", 0, "lstrip", lstrip, "rstrip", 0,
                     "normalized", !special, "special", special);
}

/* The setting KEY, TEXT if it is not there. Two classes give flags of their own
 * to tokens that are only texts. */
static bool set_token(struct making *m, const char *key, const char *text) {
    json_t *now = json_object_get(m->settings, key);
    bool mask = strcmp(key, "mask_token") == 0;
    if (now ? !json_is_string(now) : !text)
        return true;
    text = now ? json_string_value(now) : text;
    json_t *token = json_string(text);
    if (m->class->kind == CLASS_MPNET ||
        (m->class->kind == CLASS_CAMEMBERT && mask)) {
        json_decref(token);
        token = flagged(text, mask, m->class->kind == CLASS_CAMEMBERT);
    }
    return json_object_set_new(m->settings, key, token) == 0;
}

static bool set_tokens(struct making *m) {
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        const struct defaults *d = &defaults[i];
        if (d->kind != m->class->kind)
            continue;
        return set_token(m, "bos_token", d->bos) &&
               set_token(m, "eos_token", d->eos) &&
               set_token(m, "unk_token", d->unk) &&
               set_token(m, "sep_token", d->sep) &&
               set_token(m, "pad_token", d->pad) &&
               set_token(m, "cls_token", d->cls) &&
               set_token(m, "mask_token", d->mask);
    }
    return true;
}

/* The extra tokens that a class has of itself. */
static bool set_additional(struct making *m, struct error *err) {
    double count = 100;
    const json_t *extra_ids = json_object_get(m->settings, "extra_ids");
    bool has = false;
    if (m->class->kind == CLASS_CAMEMBERT && !m->additional)
        m->additional =
            json_pack("[s,s,s]", "<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED");
    if (m->class->kind != CLASS_T5)
        return true;
    if (extra_ids)
        count = json_number_value(extra_ids);
    if (!(count >= 0 && count < 100000))
        return error_set(err, ERROR_INPUT,
                         "%s: \"extra_ids\" of its tokenizer is not a number "
                         "from 0 to 99999",
                         m->folder->path);
    for (size_t i = 0; i < json_array_size(m->additional); i++) {
        const json_t *one = json_array_get(m->additional, i);
        const char *text = json_string_value(
            json_is_object(one) ? json_object_get(one, "content") : one);
        has |= text && strstr(text, "<extra_id_");
    }
    if (!m->additional)
        m->additional = json_array();
    for (int i = 0; !has && i < (int)count; i++)
        json_array_append_new(m->additional, json_sprintf("<extra_id_%d>", i));
    return true;
}

/* Templates. A special token is named, and its id found when it is loaded. */

struct row {
    json_t *list;
    json_t *names; /* {"<s>": {"id": "<s>"}} */
};

static void add_piece(struct row *row, const char *kind, const char *id,
                      int type) {
    json_array_append_new(
        row->list, json_pack("{s:{s:s,s:i}}", kind, "id", id, "type_id", type));
    if (strcmp(kind, "SpecialToken") == 0)
        json_object_set_new(row->names, id, json_pack("{s:s}", "id", id));
}

/* PIECES: "A", "B", and what stands for a special token: "c"ls or "s"ep;
 * types from the first B or the place before it that is marked with "|". */
static json_t *row_of(const char *pieces, const char *first, const char *last,
                      json_t *names) {
    struct row row = {json_array(), names};
    int type = 0;
    for (const char *c = pieces; *c; c++) {
        if (*c == '|')
            type = 1;
        else if (*c == 'A' || *c == 'B')
            add_piece(&row, "Sequence", *c == 'A' ? "A" : "B", type);
        else
            add_piece(&row, "SpecialToken", *c == 'c' ? first : last, type);
    }
    return row.list;
}

static json_t *template_of(const char *single, const char *pair,
                           const char *first, const char *last) {
    json_t *names = json_object();
    json_t *one = row_of(single, first, last, names);
    json_t *two = row_of(pair, first, last, names);
    return json_pack("{s:s,s:o,s:o,s:o}", "type", "TemplateProcessing",
                     "single", one, "pair", two, "special_tokens", names);
}

/* Two named tokens around a text. */
static json_t *around(const struct making *m, const char *first,
                      const char *last, const char *pair, struct error *err) {
    const char *a = making_token(m, first, NULL);
    const char *b = making_token(m, last, NULL);
    if (a && b && *a && *b)
        return template_of(*pair == 'A' ? "As" : "cAs", pair, a, b);
    error_set(err, ERROR_UNSUPPORTED,
              "%s: its tokenizer class %s needs a %s, and the files say that "
              "there is none: use another model",
              m->folder->path, m->class->name, a && *a ? last : first);
    return NULL;
}

/* What TokenizersBackend.update_post_processor makes. */
static json_t *bos_and_eos(const struct making *m, struct error *err) {
    bool bos = false, eos = false;
    if (!m->source && (!making_bool(m, "add_bos_token", &bos, err) ||
                       !making_bool(m, "add_eos_token", &eos, err)))
        return NULL;
    const char *first = making_token(m, "bos_token", NULL);
    const char *last = making_token(m, "eos_token", NULL);
    bos = bos && first;
    eos = eos && last;
    return template_of(bos   ? eos ? "cAs" : "cA"
                       : eos ? "As"
                             : "A",
                       bos   ? eos ? "cAs|cBs" : "cA|cB"
                       : eos ? "As|Bs"
                             : "A|B",
                       first, last);
}

/* AlbertTokenizer has its template before TokenizersBackend looks whether one
 * of the two is asked for, or asked not to be; the other classes behind it. */
static bool asks_for_bos(const struct making *m) {
    return !m->source && (json_object_get(m->settings, "add_bos_token") ||
                          json_object_get(m->settings, "add_eos_token"));
}

static json_t *processor(const struct making *m, struct error *err) {
    json_t *given = json_object_get(m->source, "post_processor");
    switch (m->class->kind) {
    case CLASS_BERT:
    case CLASS_DEBERTA_V2:
        return around(m, "cls_token", "sep_token", "cAs|Bs", err);
    case CLASS_MPNET:
    case CLASS_ROBERTA:
        return around(m, "cls_token", "sep_token", "cAssBs", err);
    case CLASS_XLM_ROBERTA:
    case CLASS_CAMEMBERT:
        return around(m, "bos_token", "eos_token", "cAssBs", err);
    case CLASS_T5:
        return around(m, "eos_token", "eos_token", "AsBs", err);
    case CLASS_ALBERT:
        if (given && !json_is_null(given))
            return json_incref(given);
        return asks_for_bos(m)
                   ? bos_and_eos(m, err)
                   : around(m, "cls_token", "sep_token", "cAs|Bs", err);
    default:
        return given && !json_is_null(given) ? json_incref(given)
                                             : bos_and_eos(m, err);
    }
}

/* Normalizers and pre-tokenizers. */

static json_t *replace(const char *kind, const char *pattern,
                       const char *content) {
    return json_pack("{s:s,s:{s:s},s:s}", "type", "Replace", "pattern", kind,
                     pattern, "content", content);
}

static json_t *bert_normalizer(const struct making *m, struct error *err) {
    bool lower = true, chinese = true, strip = false;
    json_t *accents = json_object_get(m->settings, "strip_accents");
    if (!making_bool(m, "do_lower_case", &lower, err) ||
        !making_bool(m, "tokenize_chinese_chars", &chinese, err) ||
        !making_bool(m, "strip_accents", &strip, err))
        return NULL;
    return json_pack("{s:s,s:b,s:b,s:O?,s:b}", "type", "BertNormalizer",
                     "clean_text", 1, "handle_chinese_chars", chinese,
                     "strip_accents", accents, "lowercase", lower);
}

static json_t *precompiled(const struct making *m) {
    return json_pack("{s:s,s:O}", "type", "Precompiled", "precompiled_charsmap",
                     m->charsmap);
}

static json_t *plain(const char *type) {
    return json_pack("{s:s}", "type", type);
}

static json_t *sequence(const char *members, json_t *list) {
    return json_pack("{s:s,s:o}", "type", "Sequence", members, list);
}

static bool is_null(const struct making *m, const char *key) {
    return json_is_null(json_object_get(m->settings, key));
}

/* A null is as good as false where Python only asks whether it is so. */
static json_t *albert_normalizer(const struct making *m, struct error *err) {
    bool keep = false, lower = !is_null(m, "do_lower_case");
    if (!making_bool(m, "keep_accents", &keep, err) ||
        !making_bool(m, "do_lower_case", &lower, err))
        return NULL;
    json_t *list = json_array();
    json_array_append_new(list, replace("String", "``", "\""));
    json_array_append_new(list, replace("String", "''", "\""));
    if (!keep) {
        json_array_append_new(list, plain("NFKD"));
        json_array_append_new(list, plain("StripAccents"));
    }
    if (lower)
        json_array_append_new(list, plain("Lowercase"));
    if (m->charsmap)
        json_array_append_new(list, precompiled(m));
    return sequence("normalizers", list);
}

static json_t *deberta_normalizer(const struct making *m, struct error *err) {
    bool lower = false;
    if (!making_bool(m, "do_lower_case", &lower, err))
        return NULL;
    json_t *list = json_array();
    if (lower)
        json_array_append_new(list, plain("Lowercase"));
    json_array_append_new(list, replace("Regex", "\\s{2,}|[\\n\\r\\t]", " "));
    json_array_append_new(list, plain("NFC"));
    json_array_append_new(list, json_pack("{s:s,s:b,s:b}", "type", "Strip",
                                          "strip_left", 0, "strip_right", 1));
    return sequence("normalizers", list);
}

static json_t *normalizer(const struct making *m, struct error *err) {
    switch (m->class->kind) {
    case CLASS_BERT:
    case CLASS_MPNET:
        return bert_normalizer(m, err);
    case CLASS_ALBERT:
        return albert_normalizer(m, err);
    case CLASS_DEBERTA_V2:
        return deberta_normalizer(m, err);
    case CLASS_QWEN2:
        return plain("NFC");
    case CLASS_GEMMA:
        return replace("String", " ", UNDERLINE);
    case CLASS_XLM_ROBERTA:
    case CLASS_CAMEMBERT:
    case CLASS_T5:
        return m->charsmap ? precompiled(m) : json_null();
    default:
        return json_null();
    }
}

static json_t *metaspace(const char *scheme, bool split) {
    return json_pack("{s:s,s:s,s:s,s:b}", "type", "Metaspace", "replacement",
                     UNDERLINE, "prepend_scheme", scheme, "split", split);
}

static json_t *byte_level(bool prefix, bool regex) {
    return json_pack("{s:s,s:b,s:b,s:b}", "type", "ByteLevel",
                     "add_prefix_space", prefix, "trim_offsets", 1, "use_regex",
                     regex);
}

/* Pieces of white space, and the underline before each. */
static json_t *words(const char *scheme) {
    return sequence(
        "pretokenizers",
        json_pack("[o,o]", plain("WhitespaceSplit"), metaspace(scheme, true)));
}

static json_t *deberta_pretokenizer(const struct making *m, bool prefix,
                                    struct error *err) {
    bool punct = false;
    if (!making_bool(m, "split_by_punct", &punct, err))
        return NULL;
    json_t *list = json_array();
    if (punct)
        json_array_append_new(list,
                              json_pack("{s:s,s:s}", "type", "Punctuation",
                                        "behavior", "Isolated"));
    json_array_append_new(list, metaspace(prefix ? "always" : "first", true));
    return sequence("pretokenizers", list);
}

static json_t *llama_pretokenizer(const struct making *m, bool prefix,
                                  struct error *err) {
    bool legacy = false;
    if (!making_bool(m, "legacy", &legacy, err))
        return NULL;
    return metaspace(!prefix ? "never" : legacy ? "always" : "first", false);
}

static json_t *split(const char *kind, const char *pattern,
                     const char *behavior) {
    return json_pack("{s:s,s:{s:s},s:s,s:b}", "type", "Split", "pattern", kind,
                     pattern, "behavior", behavior, "invert", 0);
}

static json_t *pretokenizer(const struct making *m, struct error *err) {
    enum class_kind kind = m->class->kind;
    bool prefix =
        kind != CLASS_ROBERTA && kind != CLASS_GPT2 && kind != CLASS_QWEN2;
    if (kind == CLASS_XLM_ROBERTA || kind == CLASS_CAMEMBERT ||
        kind == CLASS_ALBERT || kind == CLASS_DEBERTA_V2)
        prefix = !is_null(m, "add_prefix_space"); /* others: as if not said */
    if (!making_bool(m, "add_prefix_space", &prefix, err))
        return NULL;
    switch (kind) {
    case CLASS_BERT:
    case CLASS_MPNET:
        return plain("BertPreTokenizer");
    case CLASS_ROBERTA:
    case CLASS_GPT2:
        return byte_level(prefix, true);
    case CLASS_QWEN2:
        return sequence("pretokenizers",
                        json_pack("[o,o]", split("Regex", QWEN2, "Isolated"),
                                  byte_level(prefix, false)));
    case CLASS_XLM_ROBERTA:
    case CLASS_CAMEMBERT:
    case CLASS_ALBERT:
        return words(prefix ? "always" : "never");
    case CLASS_T5:
        return words("always");
    case CLASS_DEBERTA_V2:
        return deberta_pretokenizer(m, prefix, err);
    case CLASS_LLAMA:
        return llama_pretokenizer(m, prefix, err);
    case CLASS_GEMMA:
        return split("String", " ", "MergedWithPrevious");
    default:
        return json_null();
    }
}

/* Models. */

/* Where PIECE stands in the vocabulary; with SCORE 0 only if ZERO. */
static json_int_t place_of(const struct making *m, const char *piece, bool zero,
                           json_int_t if_none) {
    for (size_t i = 0; i < json_array_size(m->vocab); i++) {
        const json_t *pair = json_array_get(m->vocab, i);
        const char *text = json_string_value(json_array_get(pair, 0));
        double score = json_number_value(json_array_get(pair, 1));
        if (text && piece && strcmp(text, piece) == 0 && (!zero || score == 0))
            return (json_int_t)i;
    }
    return if_none;
}

static json_int_t unknown_id(const struct making *m) {
    const char *unknown = making_token(m, "unk_token", NULL);
    const json_t *given = json_object_get(m->settings, "unk_id");
    switch (m->class->kind) {
    case CLASS_ALBERT:
        return 1;
    case CLASS_T5:
        return 2;
    case CLASS_XLM_ROBERTA:
        return 3;
    case CLASS_CAMEMBERT:
        return place_of(m, unknown, false, 0);
    default:
        return place_of(
            m, unknown, true,
            json_is_number(given) ? (json_int_t)json_number_value(given) : 1);
    }
}

static json_t *bpe_model(const struct making *m) {
    bool bytes = m->class->kind == CLASS_LLAMA || m->class->kind == CLASS_GEMMA;
    json_t *merges = m->merges ? json_incref(m->merges) : json_array();
    json_t *unknown = m->class->kind == CLASS_GEMMA
                          ? json_string(making_token(m, "unk_token", NULL))
                          : NULL;
    return json_pack("{s:s,s:o?,s:b,s:b,s:b,s:O,s:o}", "type", "BPE",
                     "unk_token", unknown, "fuse_unk", bytes, "byte_fallback",
                     bytes, "ignore_merges", 0, "vocab", m->vocab, "merges",
                     merges);
}

static json_t *model(const struct making *m, struct error *err) {
    const char *unknown = making_token(m, "unk_token", NULL);
    if (!unknown && m->class->model == MODEL_WORDPIECE) {
        error_set(err, ERROR_UNSUPPORTED,
                  "%s: its tokenizer has no unk_token: use another model",
                  m->folder->path);
        return NULL;
    }
    if (m->class->model == MODEL_WORDPIECE)
        return json_pack("{s:s,s:s,s:s,s:i,s:O}", "type", "WordPiece",
                         "unk_token", unknown, "continuing_subword_prefix",
                         "##", "max_input_chars_per_word", 100, "vocab",
                         m->vocab);
    if (m->class->model == MODEL_BPE)
        return bpe_model(m);
    return json_pack("{s:s,s:I,s:b,s:O}", "type", "Unigram", "unk_id",
                     unknown_id(m), "byte_fallback", 0, "vocab", m->vocab);
}

/* tokenizer.json as it stands, with other added tokens. */
static json_t *as_it_stands(const struct making *m) {
    json_t *document = json_copy(m->source);
    json_object_set(document, "added_tokens", m->added);
    return document;
}

static json_t *made_by_class(const struct making *m, struct error *err) {
    bool own = m->class->kind == CLASS_BACKEND;
    json_t *parts[4] = {NULL, NULL, NULL, NULL};
    if (!(parts[0] = own ? json_incref(m->normalizer) : normalizer(m, err)) ||
        !(parts[1] = own ? json_null() : pretokenizer(m, err)) ||
        !(parts[2] = own ? json_incref(m->model) : model(m, err)) ||
        !(parts[3] = processor(m, err))) {
        for (int i = 0; i < 4; i++)
            json_decref(parts[i]);
        return NULL;
    }
    return json_pack("{s:o,s:o,s:o,s:o,s:O}", "normalizer", parts[0],
                     "pre_tokenizer", parts[1], "model", parts[2],
                     "post_processor", parts[3], "added_tokens", m->added);
}

json_t *making_document(struct making *m, struct error *err) {
    struct error reason = {0};
    json_t *document = NULL;
    if (!set_tokens(m) || !set_additional(m, &reason) ||
        !making_add_tokens(m, &reason)) {
        /* the reason, or no memory */
    } else if (m->source && m->class->kind == CLASS_BACKEND) {
        document = as_it_stands(m);
    } else {
        document = made_by_class(m, &reason);
    }
    if (document) /* ours: tokenizer_pads_left() */
        json_object_set_new(document, "pads_left",
                            json_boolean(making_pads_left(m)));
    if (!document && reason.code)
        error_set(err, reason.code, "%s", reason.message);
    else if (!document)
        error_set(err, ERROR_MEMORY, "no memory for a tokenizer");
    return document;
}
