/* normal_form.c - see normal_form.h. */

#include "text/normal_form.h"

#include "base/utf8.h"
#include "text/unicode_forms.h"
#include "text/unicode_sets.h"

enum { RANK_SHIFT = 24, CODE_MASK = (1 << RANK_SHIFT) - 1, SORT_MAX = 16 };

static bool has_room(struct codes *codes, size_t extra) {
    if (codes->capacity - codes->count >= extra)
        return true;
    size_t capacity = codes->capacity * 2 + extra + 64;
    uint32_t *list =
        memory_resize(codes->memory, codes->list, capacity, sizeof *list, NULL);
    if (!list)
        return false;
    codes->list = list;
    codes->capacity = capacity;
    return true;
}

static bool decompose(struct codes *codes, uint32_t code, bool compatible) {
    uint32_t to[FORM_MAX];
    size_t count = form_decompose(code, compatible, to);
    if (!has_room(codes, count))
        return false;
    for (size_t i = 0; i < count; i++)
        codes->list[codes->count++] = to[i] | form_rank(to[i]) << RANK_SHIFT;
    return true;
}

static void sort_few(uint32_t *list, size_t count) {
    for (size_t i = 1; i < count; i++) {
        uint32_t mark = list[i];
        size_t k = i;
        for (; k > 0 && list[k - 1] >> RANK_SHIFT > mark >> RANK_SHIFT; k--)
            list[k] = list[k - 1];
        list[k] = mark;
    }
}

/* There are few ranks and a run may be as long as a hostile text: a pass a
 * rank, into ROOM. */
static void sort_many(uint32_t *list, size_t count, uint32_t *room) {
    size_t at = 0;
    for (unsigned rank = 1; rank <= FORM_RANKS; rank++)
        for (size_t i = 0; i < count; i++)
            if (list[i] >> RANK_SHIFT == rank)
                room[at++] = list[i];
    memcpy(list, room, count * sizeof *list);
}

/* Every run of marks by rank, equal ones as they came. */
static bool reorder(struct codes *codes) {
    for (size_t begin = 0, end; begin < codes->count; begin = end + 1) {
        end = begin;
        while (end < codes->count && codes->list[end] >> RANK_SHIFT)
            end++;
        if (end - begin <= SORT_MAX)
            sort_few(codes->list + begin, end - begin);
        else if (has_room(codes, end - begin))
            sort_many(codes->list + begin, end - begin,
                      codes->list + codes->count);
        else
            return false;
    }
    return true;
}

/* A mark joins the last starter unless one of its rank, or of none, stands
 * between them. */
static void compose(struct codes *codes) {
    size_t count = 0, starter = SIZE_MAX;
    int between = -1; /* rank of what stands between; -1: nothing does */
    for (size_t i = 0; i < codes->count; i++) {
        uint32_t code = codes->list[i] & CODE_MASK, whole;
        int rank = (int)(codes->list[i] >> RANK_SHIFT);
        if (starter != SIZE_MAX && between < rank &&
            (whole = form_compose(codes->list[starter], code))) {
            codes->list[starter] = whole;
            continue;
        }
        between = rank ? rank : -1;
        if (!rank)
            starter = count;
        codes->list[count++] = code;
    }
    codes->count = count;
}

/* What CODES holds, into OUT. */
static void put(struct codes *codes, bool composed, struct strbuf *out) {
    if (!reorder(codes) ||
        !strbuf_reserve(out, codes->count * UTF8_MAX_BYTES)) {
        out->failed = true;
        return;
    }
    if (composed)
        compose(codes);
    for (size_t i = 0; i < codes->count; i++)
        out->size +=
            utf8_put(codes->list[i] & CODE_MASK, out->data + out->size);
    codes->count = 0;
}

/* The end of what certainly stays as it is from AT on: code points that the
 * form does not change, with one behind that does not touch them. */
static size_t unchanged(struct str text, size_t at, uint32_t changes) {
    size_t settled = at;
    bool fine = true; /* what was seen last stays, if nothing touches it */
    while (at < text.size) {
        size_t next = at;
        uint32_t set = (uint8_t)text.data[at] < 0x80
                           ? (next++, (uint32_t)SET_STARTS)
                           : unicode_set(utf8_next(text, &next));
        if (!(set & SET_STARTS))
            return settled;
        settled = at;
        fine = !(set & changes);
        if (!fine)
            return settled;
        at = next;
    }
    return fine ? text.size : settled;
}

void normal_form(enum form form, struct codes *codes, struct str text,
                 struct strbuf *out) {
    static const uint32_t flags[] = {SET_NFC, SET_NFD, SET_NFKC, SET_NFKD};
    bool compatible = form == FORM_NFKC || form == FORM_NFKD;
    bool composed = form == FORM_NFC || form == FORM_NFKC;
    codes->count = 0;
    for (size_t at = 0; at < text.size && !out->failed;) {
        size_t end = unchanged(text, at, flags[form]);
        strbuf_add(out, (struct str){text.data + at, end - at});
        at = end;
        while (at < text.size) {
            size_t next = at;
            uint32_t code = utf8_next(text, &next);
            if (codes->count && (unicode_set(code) & SET_STARTS))
                break;
            if (!decompose(codes, code, compatible)) {
                out->failed = true;
                return;
            }
            at = next;
        }
        put(codes, composed, out);
    }
}
