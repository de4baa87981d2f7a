#include "text/bm25_languages.h"

#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

/* The 179 words of NLTK's list of English stopwords (nltk_data,
 * corpora/stopwords), which is english.txt of the hub's Qdrant/bm25. Those with
 * an apostrophe never meet a word of a text, which has none. */
static const char ENGLISH[] =
    "i\nme\nmy\nmyself\nwe\nour\nours\nourselves\nyou\nyou're\nyou've\n"
    "you'll\nyou'd\nyour\nyours\nyourself\nyourselves\nhe\nhim\nhis\n"
    "himself\nshe\nshe's\nher\nhers\nherself\nit\nit's\nits\nitself\n"
    "they\nthem\ntheir\ntheirs\nthemselves\nwhat\nwhich\nwho\nwhom\n"
    "this\nthat\nthat'll\nthese\nthose\nam\nis\nare\nwas\nwere\nbe\n"
    "been\nbeing\nhave\nhas\nhad\nhaving\ndo\ndoes\ndid\ndoing\na\nan\n"
    "the\nand\nbut\nif\nor\nbecause\nas\nuntil\nwhile\nof\nat\nby\n"
    "for\nwith\nabout\nagainst\nbetween\ninto\nthrough\nduring\n"
    "before\nafter\nabove\nbelow\nto\nfrom\nup\ndown\nin\nout\non\n"
    "off\nover\nunder\nagain\nfurther\nthen\nonce\nhere\nthere\nwhen\n"
    "where\nwhy\nhow\nall\nany\nboth\neach\nfew\nmore\nmost\nother\n"
    "some\nsuch\nno\nnor\nnot\nonly\nown\nsame\nso\nthan\ntoo\nvery\n"
    "s\nt\ncan\nwill\njust\ndon\ndon't\nshould\nshould've\nnow\nd\nll\n"
    "m\no\nre\nve\ny\nain\naren\naren't\ncouldn\ncouldn't\ndidn\n"
    "didn't\ndoesn\ndoesn't\nhadn\nhadn't\nhasn\nhasn't\nhaven\n"
    "haven't\nisn\nisn't\nma\nmightn\nmightn't\nmustn\nmustn't\nneedn\n"
    "needn't\nshan\nshan't\nshouldn\nshouldn't\nwasn\nwasn't\nweren\n"
    "weren't\nwon\nwon't\nwouldn\nwouldn't\n";

static bool is_danish_vowel(uint32_t code) {
    return (code < 128 && code && strchr("aeiouy", (int)code)) ||
           code == 0xE6 || code == 0xE5 || code == 0xF8;
}

/* Where Snowball's region R1 begins in Danish: behind the first letter that is
 * no vowel behind a vowel, and not before the third letter. */
static size_t danish_region(struct str word) {
    size_t at = 0, third = 0;
    for (int i = 0; i < 3; i++) {
        if (third == word.size)
            return word.size;
        utf8_next(word, &third);
    }
    for (int looked_for = 1; looked_for >= 0; looked_for--) {
        bool found = false;
        while (!found && at < word.size)
            found = is_danish_vowel(utf8_next(word, &at)) == looked_for;
        if (!found)
            return word.size;
    }
    return at > third ? at : third;
}

/* Of two equal letters at the end, no vowels, one goes. libstemmer 2.2 does so
 * for the letters of a list, the older one also for digits and the rest. */
static size_t trim_danish(struct str word, struct str stem) {
    size_t before = 0, last = 0;
    uint32_t code = 0, code_before = 0;
    for (size_t at = 0; at < stem.size;) {
        before = last;
        last = at;
        code_before = code;
        code = utf8_next(stem, &at);
    }
    bool listed =
        code < 128 && code && strchr("bcdfghjklmnpqrstvwxz", (int)code);
    return before < last && code == code_before && !listed &&
                   !is_danish_vowel(code) && last >= danish_region(word)
               ? last
               : stem.size;
}

static const struct bm25_language LANGUAGES[] = {
    {.name = "english", .stopwords = ENGLISH},
    {.name = "arabic"},
    {.name = "danish", .trim = trim_danish},
    {.name = "dutch"},
    {.name = "german"},
    {.name = "greek"},
    {.name = "hungarian"},
    {.name = "italian"},
    {.name = "norwegian"},
    {.name = "portuguese"},
    {.name = "romanian"},
    /* libstemmer 2.2 makes е of ё first. */
    {.name = "russian", .hidden = "\xD1\x91", .stranger = "\xC3\xAB"},
    {.name = "spanish"},
    {.name = "swedish"},
    {.name = "tamil", .stopwords = ""}, /* fastembed has none */
    {.name = "turkish"},
};

const struct bm25_language *bm25_language_at(size_t i) {
    return i < sizeof LANGUAGES / sizeof *LANGUAGES ? &LANGUAGES[i] : NULL;
}

const char *bm25_language_refused(const char *name) {
    static const char *const refused[] = {"finnish", "french"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (!strcmp(name, refused[i]))
            return "libstemmer stems it otherwise than fastembed does";
    return NULL;
}
