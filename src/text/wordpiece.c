/* wordpiece.c - see wordpiece.h. */

#include "text/wordpiece.h"

bool wordpiece_too_long(const struct wordpiece *wordpiece, struct str word) {
    if (word.size <= wordpiece->chars_max)
        return false;
    size_t chars = 0;
    for (size_t i = 0; i < word.size; i++)
        chars += ((uint8_t)word.data[i] & 0xC0) != 0x80;
    return chars > wordpiece->chars_max;
}

/* The end of the longest piece from NODE that begins at AT, 0 if none does. */
static size_t longest(const struct trie *vocab, uint32_t node, struct str word,
                      size_t at, uint32_t *id) {
    size_t end = 0;
    const struct trie_edge *edge;
    while (at < word.size &&
           (edge = trie_step(vocab, node, (uint8_t)word.data[at]))) {
        at++;
        node = edge->node;
        if (edge->value != TRIE_NONE) {
            *id = edge->value;
            end = at;
        }
    }
    return end;
}

size_t wordpiece_cut(const struct wordpiece *wordpiece, struct str word,
                     uint32_t *ids) {
    if (wordpiece_too_long(wordpiece, word)) {
        ids[0] = wordpiece->unknown;
        return 1;
    }
    size_t count = 0;
    size_t at = longest(&wordpiece->vocab, TRIE_ROOT, word, 0, &ids[count++]);
    while (at && at < word.size)
        at = wordpiece->continues
                 ? longest(&wordpiece->vocab, wordpiece->continuing, word, at,
                           &ids[count++])
                 : 0;
    if (at)
        return count;
    ids[0] = wordpiece->unknown;
    return 1;
}
