/* layer: text - a tokenizer.json that nobody should trust, and any bytes as a
 * text.
 *
 * The first byte chooses. Below 0x80: the bytes up to the first 0xFF are a
 * tokenizer.json, the rest is a text. Otherwise all is a text for a tokenizer
 * that is known to be good, and the windows must give what the whole gives.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOKEN(content, flags)                                                  \
    "{\"content\":\"" content "\",\"special\":false," flags "}"
#define FLAGS(word, left, right, normalized)                                   \
    "\"single_word\":" word ",\"lstrip\":" left ",\"rstrip\":" right           \
    ",\"normalized\":" normalized

static const char good[] =
    "{\"added_tokens\":[" TOKEN("[MASK]", FLAGS("false", "true", "true", "false")) "," TOKEN(
        "ab",
        FLAGS(
            "true", "false", "false",
            "true")) "," TOKEN(" a b",
                               FLAGS(
                                   "false", "false", "true",
                                   "true")) "," TOKEN("  ",
                                                      FLAGS(
                                                          "false", "false",
                                                          "true",
                                                          "false")) "],"
                                                                    "\"normaliz"
                                                                    "er\":{"
                                                                    "\"type\":"
                                                                    "\"BertNorm"
                                                                    "alizer\","
                                                                    "\"clean_"
                                                                    "text\":"
                                                                    "true,"
                                                                    "\"handle_"
                                                                    "chinese_"
                                                                    "chars\":"
                                                                    "true,"
                                                                    "\"strip_"
                                                                    "accents\":"
                                                                    "null,"
                                                                    "\"lowercas"
                                                                    "e\":true},"
                                                                    "\"pre_"
                                                                    "tokenizer"
                                                                    "\":{"
                                                                    "\"type\":"
                                                                    "\"BertPreT"
                                                                    "okenizer\""
                                                                    "},\"post_"
                                                                    "processor"
                                                                    "\":"
                                                                    "{\"type\":"
                                                                    "\"BertProc"
                                                                    "essing\","
                                                                    "\"cls\":["
                                                                    "\"c\",0],"
                                                                    "\"sep\":["
                                                                    "\"s\",1]},"
                                                                    "\"model\":"
                                                                    "{\"type\":"
                                                                    "\"WordPiec"
                                                                    "e\",\"unk_"
                                                                    "token\":"
                                                                    "\"[UNK]\","
                                                                    "\"continui"
                                                                    "ng_"
                                                                    "subword_"
                                                                    "prefix\":"
                                                                    "\"##\","
                                                                    "\"max_"
                                                                    "input_"
                                                                    "chars_per_"
                                                                    "word\":10,"
                                                                    "\"vocab\":"
                                                                    "{\"[UNK]"
                                                                    "\":0,"
                                                                    "\"a\":1,"
                                                                    "\"b\":2,"
                                                                    "\"##a\":3,"
                                                                    "\"##ab\":"
                                                                    "4,\"[\":5,"
                                                                    "\"x\":6,"
                                                                    "\"##x\":7,"
                                                                    "\"\xC3\x9F"
                                                                    "\":8,\"##"
                                                                    "\":9}}}";

/* What a limit keeps must be what the whole begins with. */
static void encode(const struct tokenizer *tokenizer, struct memory *memory,
                   struct str text) {
    struct error err;
    struct tokenizer_scratch *scratch =
        tokenizer_scratch_create(tokenizer, memory, &err);
    struct tokens whole = tokens_make(memory), cut = tokens_make(memory);
    struct tokenized all, some, counted;
    size_t special = tokenizer_special_count(tokenizer), limit = special + 3;
    if (!scratch ||
        !tokenizer_encode(tokenizer, scratch, text, 0, TOKENIZER_CUT, &whole,
                          &all, &err) ||
        !tokenizer_encode(tokenizer, scratch, text, limit, TOKENIZER_CUT, &cut,
                          &some, &err) ||
        !tokenizer_encode(tokenizer, scratch, text, limit, TOKENIZER_COUNT,
                          &cut, &counted, &err))
        goto out; /* memory */
    if (some.count != counted.count || !some.cut != !counted.cut ||
        all.count != counted.count + counted.cut ||
        memcmp(cut.ids, cut.ids + some.count, some.count * sizeof *cut.ids))
        abort();
    for (size_t i = 0; i < whole.count; i++)
        if (whole.ids[i] >= tokenizer_vocab_size(tokenizer))
            abort();
out:
    tokens_free(&whole);
    tokens_free(&cut);
    tokenizer_scratch_free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct memory memory = {.ceiling = 256u << 20};
    struct error err;
    struct str json = {good, sizeof good - 1};
    struct str text = {(const char *)data, size};
    if (size > 0 && data[0] < 0x80) {
        const uint8_t *end = memchr(data, 0xFF, size);
        json =
            (struct str){(const char *)data, end ? (size_t)(end - data) : size};
        text = (struct str){text.data + json.size, size - json.size};
    }
    struct tokenizer *tokenizer = tokenizer_create(&memory, json, "fuzz", &err);
    if (tokenizer)
        encode(tokenizer, &memory, text);
    else if (json.data == good)
        abort();
    tokenizer_free(tokenizer);
    if (memory_live(&memory))
        abort();
    return 0;
}
