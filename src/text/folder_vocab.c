/* folder_vocab.c - vocabulary, merges and charsmap: of tokenizer.json, or of
 * vocab.txt, vocab.json and merges.txt, read as `tokenizers` reads these files
 * (WordPiece::read_file, BPE::read_file). */

#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "text/folder_parts.h"
#include "text/unicode_sets.h"

static bool no_memory(struct error *err) {
    return error_set(err, ERROR_MEMORY, "no memory for a vocabulary");
}

/* The first charsmap of the normalizer, or of the list that it is. */
static json_t *find_charsmap(const json_t *source) {
    const json_t *normalizer = json_object_get(source, "normalizer");
    const json_t *list = json_object_get(normalizer, "normalizers");
    for (size_t i = 0; i < (list ? json_array_size(list) : 1); i++) {
        const json_t *one = list ? json_array_get(list, i) : normalizer;
        const char *type = json_string_value(json_object_get(one, "type"));
        json_t *map = json_object_get(one, "precompiled_charsmap");
        if (type && strcmp(type, "Precompiled") == 0 && json_is_string(map))
            return map;
    }
    return NULL;
}

static bool read_source(struct making *m, struct error *err) {
    const json_t *model = json_object_get(m->source, "model");
    json_t *vocab = json_object_get(model, "vocab");
    bool list = m->class->model == MODEL_UNIGRAM;
    if (list ? !json_is_array(vocab) : !json_is_object(vocab))
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: its tokenizer class is %s, and the vocabulary of "
                         "tokenizer.json is not of that class's kind: fetch "
                         "the model's newest revision, or write "
                         "\"tokenizer_class\": \"PreTrainedTokenizerFast\" "
                         "into its tokenizer_config.json",
                         m->folder->path, m->class->name);
    m->vocab = json_incref(vocab);
    if (m->class->model == MODEL_BPE)
        m->merges = json_incref(json_object_get(model, "merges"));
    m->charsmap = json_incref(find_charsmap(m->source));
    return true;
}

/* The next line of TEXT, without what ends it. */
static bool next_line(struct str text, size_t *at, struct str *line) {
    if (*at >= text.size)
        return false;
    const char *begin = text.data + *at;
    const char *newline = memchr(begin, '\n', text.size - *at);
    size_t size = newline ? (size_t)(newline - begin) : text.size - *at;
    *at += size + (newline != NULL);
    if (newline && size && begin[size - 1] == '\r')
        size--;
    *line = (struct str){begin, size};
    return true;
}

static struct str trim_end(struct str line) {
    while (line.size) {
        size_t at = line.size - 1, next;
        while (at && ((uint8_t)line.data[at] & 0xC0) == 0x80)
            at--;
        next = at;
        if (!(unicode_set(utf8_next(line, &next)) & SET_WHITE))
            break;
        line.size = at;
    }
    return line;
}

static bool check_text(const struct making *m, const char *name,
                       struct str text, struct error *err) {
    if (utf8_valid_prefix(text) == text.size &&
        (!text.size || !memchr(text.data, 0, text.size)))
        return true;
    return error_set(err, ERROR_INPUT,
                     "%s/%s: not UTF-8, or with a NUL in it: fetch the file "
                     "again",
                     m->folder->path, name);
}

/* vocab.txt: a token a line; of those that are there twice, the last counts. */
static bool read_lines(struct making *m, struct str text, struct error *err) {
    struct str line;
    json_int_t id = 0;
    m->vocab = json_object();
    for (size_t at = 0; m->vocab && next_line(text, &at, &line); id++) {
        line = trim_end(line);
        if (json_object_setn_new(m->vocab, line.data, line.size,
                                 json_integer(id)) != 0)
            return no_memory(err);
    }
    return m->vocab || no_memory(err);
}

static bool read_merges(struct making *m, const char *name, struct str text,
                        struct error *err) {
    struct str line;
    size_t number = 0;
    m->merges = json_array();
    for (size_t at = 0; m->merges && next_line(text, &at, &line);) {
        number++;
        if (str_starts(line, STR("#version")))
            continue;
        const char *space =
            line.size ? memchr(line.data, ' ', line.size) : NULL;
        size_t left = space ? (size_t)(space - line.data) : 0;
        if (!space || memchr(space + 1, ' ', line.size - left - 1))
            return error_set(err, ERROR_INPUT,
                             "%s/%s: line %zu is not two tokens with a space "
                             "between them",
                             m->folder->path, name, number);
        json_t *pair = json_pack("[s%,s%]", line.data, left, space + 1,
                                 line.size - left - 1);
        if (json_array_append_new(m->merges, pair) != 0)
            return no_memory(err);
    }
    return m->merges || no_memory(err);
}

static bool missing(const struct making *m, const char *name,
                    struct error *err) {
    return error_set(err, ERROR_MISSING,
                     "%s: neither tokenizer.json nor %s is there, which its "
                     "tokenizer class %s reads: get the whole model",
                     m->folder->path, name, m->class->name);
}

static bool read_old(struct making *m, struct error *err) {
    const struct class_info *class = m->class;
    const struct str *file = making_file(m, class->vocab);
    if (!file)
        return missing(m, class->vocab, err);
    if (class->model == MODEL_WORDPIECE)
        return check_text(m, class->vocab, *file, err) &&
               read_lines(m, *file, err);
    m->vocab = json_parse(*file, class->vocab, err);
    const struct str *merges = making_file(m, class->merges);
    if (!m->vocab)
        return false;
    if (!json_is_object(m->vocab))
        return error_set(err, ERROR_INPUT, "%s/%s: expected a JSON object",
                         m->folder->path, class->vocab);
    return merges ? check_text(m, class->merges, *merges, err) &&
                        read_merges(m, class->merges, *merges, err)
                  : missing(m, class->merges, err);
}

static bool ends_with_model(const char *name) {
    return name && str_ends(str_from(name), STR(".model"));
}

bool making_read_vocab(struct making *m, struct error *err) {
    static const char *const tekken[] = {"tekken.json", "tiktoken.model"};
    if (m->source)
        return m->class->kind == CLASS_BACKEND || read_source(m, err);
    for (size_t i = 0; i < 2; i++)
        if (making_file(m, tekken[i]))
            return error_set(err, ERROR_UNSUPPORTED,
                             "%s: its tokenizer is %s, which is not supported: "
                             "use another model",
                             m->folder->path, tekken[i]);
    /* Whatever the class's own file is called, this one comes first. */
    const char *name = "tokenizer.model";
    const struct str *file = making_file(m, name);
    if (!file) {
        name = m->class->vocab;
        if (!name)
            return missing(m, "tokenizer.model", err);
        file = making_file(m, name);
    }
    if (!ends_with_model(name))
        return read_old(m, err);
    return file ? making_read_spm(m, *file, name, err) : missing(m, name, err);
}
