/* layer: text - the files of a model's folder that a tokenizer is made of.
 *
 * The first byte chooses the class; the rest are files, with FF FE FD between
 * them: the vocabulary (vocab.txt, vocab.json or a sentencepiece model, as the
 * class has it), tokenizer_config.json, special_tokens_map.json,
 * added_tokens.json, merges.txt, tokenizer.json. One that is empty is not
 * there.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILES = 6 };

static const char *const classes[][2] = {
    {"BertTokenizer", "vocab.txt"},
    {"MPNetTokenizer", "vocab.txt"},
    {"RobertaTokenizer", "vocab.json"},
    {"Qwen2Tokenizer", "vocab.json"},
    {"XLMRobertaTokenizer", "sentencepiece.bpe.model"},
    {"CamembertTokenizer", "sentencepiece.bpe.model"},
    {"AlbertTokenizer", "spiece.model"},
    {"DebertaV2Tokenizer", "spm.model"},
    {"T5Tokenizer", "spiece.model"},
    {"LlamaTokenizer", "tokenizer.model"},
    {"OwnTokenizer", "tokenizer.model"},
};
enum { CLASSES = sizeof classes / sizeof *classes };

static struct str next_file(struct str *rest) {
    struct str file = *rest;
    for (size_t i = 0; i + 3 <= rest->size; i++) {
        if (memcmp(rest->data + i, "\xFF\xFE\xFD", 3) != 0)
            continue;
        file.size = i;
        *rest = (struct str){rest->data + i + 3, rest->size - i - 3};
        return file;
    }
    *rest = (struct str){rest->data + rest->size, 0};
    return file;
}

/* What is made of it must take any text. */
static void encode(const struct tokenizer *tokenizer, struct memory *memory,
                   struct str text) {
    struct error err;
    struct tokenizer_scratch *scratch =
        tokenizer_scratch_create(tokenizer, memory, &err);
    struct tokens tokens = tokens_make(memory);
    struct tokenized what;
    if (scratch && tokenizer_encode_pair(tokenizer, scratch, text, text, 0,
                                         TOKENIZER_CUT, &tokens, &what, &err)) {
        if (what.second > what.count)
            abort();
        for (size_t i = 0; i < tokens.count; i++)
            if (tokens.ids[i] >= tokenizer_vocab_size(tokenizer))
                abort();
    }
    tokens_free(&tokens);
    tokenizer_scratch_free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct memory memory = {.ceiling = 256u << 20};
    struct error err = {0};
    struct tokenizer_file files[FILES];
    unsigned class = size ? data[0] % CLASSES : 0;
    struct tokenizer_folder folder = {
        .path = "fuzz", .tokenizer_class = classes[class][0], .files = files};
    const char *const names[FILES] = {classes[class][1],
                                      "tokenizer_config.json",
                                      "special_tokens_map.json",
                                      "added_tokens.json",
                                      "merges.txt",
                                      "tokenizer.json"};
    struct str rest = {(const char *)data + (size > 0), size - (size > 0)};
    struct str text = rest;
    for (size_t i = 0; i < FILES; i++) {
        struct str file = next_file(&rest);
        if (file.size)
            files[folder.count++] = (struct tokenizer_file){names[i], file};
    }
    struct tokenizer *tokenizer =
        tokenizer_create_folder(&memory, &folder, &err);
    if (tokenizer)
        encode(tokenizer, &memory, text);
    else if (!err.code || !err.message[0])
        abort();
    tokenizer_free(tokenizer);
    if (memory_live(&memory))
        abort();
    return 0;
}
