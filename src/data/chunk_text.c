#include "data/chunk_text.h"

#include "base/utf8.h"

/* Unicode's White_Space, all 25 of them. */
static bool is_white(uint32_t code) {
    return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 ||
           code == 0xA0 || code == 0x1680 ||
           (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool text_is_blank(struct str text) {
    for (size_t at = 0; at < text.size;)
        if (!is_white(utf8_next(text, &at)))
            return false;
    return true;
}

bool text_options_on(const struct chunk_options *options) {
    return options->collapse_whitespace || options->trim_chars > 0;
}

void text_apply_options(struct str text, const struct chunk_options *options,
                        struct strbuf *out) {
    size_t limit = options->trim_chars ? options->trim_chars : SIZE_MAX;
    size_t begin = 0, characters = 0;
    bool in_white = false;
    for (size_t at = 0; at < text.size;) {
        size_t before = at;
        bool white =
            options->collapse_whitespace && is_white(utf8_next(text, &at));
        if (!options->collapse_whitespace)
            utf8_next(text, &at);
        if (white && in_white) {
            begin = at;
            continue;
        }
        if (characters++ == limit) {
            strbuf_add(out, (struct str){text.data + begin, before - begin});
            strbuf_add(out, STR("..."));
            return;
        }
        in_white = white;
        if (white) {
            strbuf_add(out, (struct str){text.data + begin, before - begin});
            strbuf_add_char(out, ' ');
            begin = at;
        }
    }
    strbuf_add(out, (struct str){text.data + begin, text.size - begin});
}

void text_clean(struct str text, struct strbuf *out) {
    while (text.size) {
        size_t valid = utf8_valid_prefix(text);
        strbuf_add(out, (struct str){text.data, valid});
        if (valid == text.size)
            return;
        strbuf_add(out, STR("\xEF\xBF\xBD"));
        text.data += valid + 1;
        text.size -= valid + 1;
    }
}
