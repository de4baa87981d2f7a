/* derive_sparse.c - the sparse vector of a chunk's own term weights, for the
 * payload and for search. */

#define _GNU_SOURCE /* uselocale */
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "data/derive.h"

struct term {
    struct str value; /* the term's JSON string */
    double weight;
};

/* A JSON number as a double; not a number > 0: 0. */
static double positive(const struct json_item *item) {
    char text[64];
    if (item->kind != SCAN_NUMBER || item->value.size >= sizeof text)
        return 0;
    memcpy(text, item->value.data, item->value.size);
    text[item->value.size] = '\0';
    double weight = strtod(text, NULL);
    return isfinite(weight) && weight > 0 ? weight : 0;
}

static bool read_term(const struct json_item *entry, struct term *term) {
    struct json_item item, name = {0}, weight = {0};
    struct json_iter iter;
    if (entry->kind != SCAN_OBJECT)
        return false;
    json_iter_begin(&iter, entry->value);
    while (json_iter_next(&iter, &item))
        if (json_key_is(item.key, "term"))
            name = item;
        else if (json_key_is(item.key, "weight"))
            weight = item;
    term->value = name.value;
    term->weight = positive(&weight);
    return name.kind == SCAN_STRING && name.value.size > 2 && term->weight > 0;
}

/* The terms that count, and the L2 norm of their weights. */
struct terms {
    struct strbuf bytes; /* struct term [count] */
    const struct term *list;
    size_t count;
    double norm; /* 0: none */
};

static double norm_of(const struct terms *terms) {
    double largest = 0, sum = 0;
    for (size_t i = 0; i < terms->count; i++)
        largest = fmax(largest, terms->list[i].weight);
    for (size_t i = 0; i < terms->count; i++) { /* squares could overflow */
        double part = terms->list[i].weight / largest;
        sum += part * part;
    }
    double norm = largest * sqrt(sum);
    return isfinite(norm) ? norm : 0;
}

/* One walk over the list, whose bytes the terms borrow. Free what came. */
static struct terms read_terms(const struct json_item *list,
                               struct memory *memory) {
    struct terms terms = {.bytes = strbuf_make(memory)};
    struct json_iter iter;
    struct json_item entry;
    struct term term;
    if (list->kind != SCAN_ARRAY)
        return terms;
    json_iter_begin(&iter, list->value);
    while (json_iter_next(&iter, &entry))
        if (read_term(&entry, &term))
            strbuf_add(&terms.bytes,
                       (struct str){(const char *)&term, sizeof term});
    terms.list = (const struct term *)(const void *)terms.bytes.data;
    terms.count = terms.bytes.failed ? 0 : terms.bytes.size / sizeof term;
    terms.norm = norm_of(&terms);
    return terms;
}

/* The shortest of 15 to 17 digits that gives X back, never as an integer. */
static void add_real(struct strbuf *out, double x) {
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    strbuf_add(out, str_from(text));
    if (!strpbrk(text, ".e"))
        strbuf_add(out, STR(".0"));
}

static bool index_of(struct str value, struct memory *memory, uint32_t *index,
                     struct error *err) {
    uint8_t digest[SHA1_BYTES];
    struct strbuf plain = strbuf_make(memory);
    json_decode_add(value, &plain);
    bool fine = strbuf_ok(&plain, err);
    hash_sha1(strbuf_str(&plain), digest);
    strbuf_free(&plain);
    *index = (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 |
             (uint32_t)digest[2] << 8 | digest[3];
    return fine;
}

static void add_index(struct strbuf *out, struct str value) {
    uint32_t index;
    out->failed |= !index_of(value, out->memory, &index, NULL);
    strbuf_printf(out, "%" PRIu32, index);
}

enum column { COLUMN_INDEX, COLUMN_VALUE, COLUMN_TOKEN };

static void add_column(struct strbuf *out, const struct terms *terms,
                       enum column column) {
    strbuf_add_char(out, '[');
    for (size_t i = 0; i < terms->count; i++) {
        const struct term *term = &terms->list[i];
        if (i)
            strbuf_add_char(out, ',');
        if (column == COLUMN_INDEX)
            add_index(out, term->value);
        else if (column == COLUMN_VALUE)
            add_real(out, term->weight / terms->norm);
        else
            derive_add_string(term->value, true, out);
    }
    strbuf_add_char(out, ']');
}

/* FEATURES' own number or string under KEY, or null. */
static void add_stat(struct strbuf *out, struct str features, const char *key,
                     enum json_event kind) {
    struct json_item item;
    strbuf_printf(out, ",\"%s\":", key);
    if (!json_find(features, key, &item) || item.kind != kind)
        strbuf_add(out, STR("null"));
    else if (kind == SCAN_STRING)
        derive_add_string(item.value, true, out);
    else
        strbuf_add(out, item.value);
}

static void add_vector(struct strbuf *out, struct str features,
                       const struct terms *terms) {
    strbuf_add(out, STR("{\"indices\":"));
    add_column(out, terms, COLUMN_INDEX);
    strbuf_add(out, STR(",\"values\":"));
    add_column(out, terms, COLUMN_VALUE);
    strbuf_add(out, STR(",\"tokens\":"));
    add_column(out, terms, COLUMN_TOKEN);
    strbuf_add(out, STR(",\"stats\":{\"weight_norm\":"));
    add_real(out, terms->norm);
    add_stat(out, features, "unique_terms", SCAN_NUMBER);
    add_stat(out, features, "total_terms", SCAN_NUMBER);
    add_stat(out, features, "weighting", SCAN_STRING);
    strbuf_add(out, STR("}}"));
}

/* The list of terms; kind SCAN_ERROR: none. */
static struct json_item find_terms(const struct derive_input *input) {
    struct json_item list = {.kind = SCAN_ERROR};
    if (input->sparse_features.kind == SCAN_OBJECT)
        json_find(input->sparse_features.value, "term_weights", &list);
    return list;
}

/* A decimal point is a point, whatever the program's locale. */
struct plain_locale {
    locale_t plain, before;
};

static struct plain_locale plain_begin(void) {
    struct plain_locale locale = {.plain = newlocale(LC_ALL_MASK, "C", NULL)};
    if (locale.plain)
        locale.before = uselocale(locale.plain);
    return locale;
}

static void plain_end(struct plain_locale locale) {
    if (!locale.plain)
        return;
    uselocale(locale.before);
    freelocale(locale.plain);
}

void derive_sparse_vector(const struct derive_input *input,
                          struct strbuf *out) {
    struct json_item list = find_terms(input);
    if (list.kind != SCAN_ARRAY) {
        strbuf_add(out, STR("null"));
        return;
    }
    struct plain_locale locale = plain_begin();
    struct terms terms = read_terms(&list, out->memory);
    if (terms.norm > 0)
        add_vector(out, input->sparse_features.value, &terms);
    else
        strbuf_add(out, STR("null"));
    out->failed |= terms.bytes.failed;
    strbuf_free(&terms.bytes);
    plain_end(locale);
}

/* ---- as a vector --------------------------------------------------------- */

struct pair {
    uint32_t index;
    double value;
};

static int compare_pairs(const void *one, const void *other) {
    const struct pair *a = one, *b = other;
    if (a->index != b->index)
        return a->index < b->index ? -1 : 1;
    return a->value < b->value ? -1 : a->value > b->value;
}

static bool make_pairs(const struct terms *terms, struct row_buffer *buffer,
                       struct error *err) {
    if (!row_buffer_reserve(buffer, terms->count * sizeof(struct pair), err))
        return false;
    struct pair *pairs = buffer->bytes;
    for (size_t i = 0; i < terms->count; i++) {
        pairs[i].value = terms->list[i].weight / terms->norm;
        if (!index_of(terms->list[i].value, buffer->memory, &pairs[i].index,
                      err))
            return false;
    }
    if (terms->count)
        qsort(pairs, terms->count, sizeof *pairs, compare_pairs);
    return true;
}

/* The first COUNT pairs of BUFFER as a row behind them. */
static bool join_pairs(struct row_buffer *buffer, size_t count, struct row *out,
                       struct error *err) {
    size_t begin = count * sizeof(struct pair);
    if (!row_buffer_reserve(buffer, begin + count * 2 * sizeof(float), err))
        return false;
    const struct pair *pairs = buffer->bytes;
    uint32_t *indices = (uint32_t *)(void *)((char *)buffer->bytes + begin);
    float *values = (float *)(void *)(indices + count);
    *out = (struct row){.indices = indices, .values = values};
    for (size_t i = 0; i < count;) {
        double sum = 0;
        uint32_t index = pairs[i].index;
        for (; i < count && pairs[i].index == index; i++)
            sum += pairs[i].value;
        indices[out->count] = index;
        values[out->count++] = (float)sum;
    }
    return true;
}

bool derive_terms(struct str metadata, struct row_buffer *buffer,
                  struct row *out, struct error *err) {
    struct derive_input input;
    derive_read(metadata, &input);
    struct json_item list = find_terms(&input);
    struct plain_locale locale = plain_begin();
    struct terms terms = read_terms(&list, buffer->memory);
    if (terms.norm == 0)
        terms.count = 0;
    bool fine = strbuf_ok(&terms.bytes, err) &&
                make_pairs(&terms, buffer, err) &&
                join_pairs(buffer, terms.count, out, err);
    strbuf_free(&terms.bytes);
    plain_end(locale);
    return fine;
}
