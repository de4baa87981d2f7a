#include "cli/option_value.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/file.h"
#include "base/size_text.h"

bool value_number(const char *text, uint64_t least, uint64_t most,
                  const char *where, uint64_t *number, struct error *err) {
    char *tail = NULL;
    errno = 0;
    /* strtoull takes blanks and signs; a number here begins with a digit. */
    unsigned long long value =
        isdigit((unsigned char)*text) ? strtoull(text, &tail, 10) : 0;
    if (!tail || *tail || errno || value < least || value > most)
        return error_set(err, ERROR_USAGE,
                         "%s: '%s' is not a whole number from %llu to %llu",
                         where, text, (unsigned long long)least,
                         (unsigned long long)most);
    *number = value;
    return true;
}

/* 1, true, yes, on or 0, false, no, off in any case. */
static bool value_bool(const char *text, const char *where, bool *flag,
                       struct error *err) {
    static const char *const names[] = {"0",  "1",   "false", "true",
                                        "no", "yes", "off",   "on"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(text, names[i]) == 0) {
            *flag = i % 2 == 1;
            return true;
        }
    return error_set(err, ERROR_USAGE,
                     "%s: '%s' is neither yes (1, true, yes, on) nor no (0, "
                     "false, no, off)",
                     where, text);
}

static bool model_weight(const char *text, const char *where, double *weight,
                         struct error *err) {
    char *tail = NULL;
    double value =
        isdigit((unsigned char)*text) || *text == '.' ? strtod(text, &tail) : 0;
    if (!tail || *tail || !isfinite(value) || value <= 0)
        return error_set(err, ERROR_USAGE,
                         "%s: weight '%s' is not a number above 0", where,
                         text);
    *weight = value;
    return true;
}

/* BM25's numbers; what they may be is known where they are used. */
static bool model_number(const char *key, const char *text, const char *where,
                         double *number, struct error *err) {
    char *tail = NULL;
    double value =
        isdigit((unsigned char)*text) || *text == '.' ? strtod(text, &tail) : 0;
    if (!tail || *tail || !isfinite(value))
        return error_set(err, ERROR_USAGE,
                         "%s: %s '%s' is not a number of 0 or more", where, key,
                         text);
    *number = value;
    return true;
}

static bool model_name(const char *text, const char *where, struct error *err) {
    const char *c = text;
    while (isalnum((unsigned char)*c) || (*c && strchr("._-", *c)))
        c++;
    if (*c || c == text || *text == '.')
        return error_set(err, ERROR_USAGE,
                         "%s: name '%s' may hold only letters, digits, '.', "
                         "'_' and '-', and begin with no '.'",
                         where, text);
    return true;
}

/* The index of [text, text + size) in CHOICES. */
static bool choice_index(const struct option_row *row, const char *text,
                         size_t size, const char *where, unsigned *index,
                         struct error *err) {
    char all[256] = "";
    for (unsigned i = 0; row->choices[i]; i++) {
        if (strlen(row->choices[i]) == size &&
            memcmp(row->choices[i], text, size) == 0) {
            *index = i;
            return true;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "",
                 row->choices[i]);
    }
    return error_set(err, ERROR_USAGE, "%s: '%.*s' is none of: %s", where,
                     (int)size, text, all);
}

/* The names are those of --dtype. */
static bool model_dtype(const char *text, const char *where, const char **dtype,
                        struct error *err) {
    const struct option_row *row = option_find(STR("dtype"));
    char place[128];
    unsigned index = 0;
    snprintf(place, sizeof place, "%s: dtype", where);
    if (!choice_index(row, text, strlen(text), place, &index, err))
        return false;
    *dtype = row->choices[index];
    return true;
}

static bool model_size(const char *text, uint64_t most, const char *where,
                       size_t *size, struct error *err) {
    uint64_t number = 0;
    if (!value_number(text, 1, most, where, &number, err))
        return false;
    *size = (size_t)number;
    return true;
}

/* Where the text of KEY goes as it stands. NULL: it is no such key. */
static const char **model_text(struct model_option *model, const char *key) {
    const struct {
        const char *key, **text;
    } texts[] = {{"prompt", &model->prompt},
                 {"task", &model->task},
                 {"account", &model->account},
                 {"language", &model->language},
                 {"stopwords", &model->stopwords}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(key, texts[i].key) == 0)
            return texts[i].text;
    return NULL;
}

static bool model_key(const char *key, const char *value, const char *where,
                      struct model_option *model, struct error *err) {
    const char **text = model_text(model, key);
    if (text) {
        *text = value;
        return true;
    }
    if (strcmp(key, "name") == 0) {
        model->name = value;
        return model_name(value, where, err);
    }
    if (strcmp(key, "weight") == 0)
        return model_weight(value, where, &model->weight, err);
    if (strcmp(key, "dim") == 0)
        return model_size(value, 65536, where, &model->dim, err);
    if (strcmp(key, "budget") == 0)
        return model_size(value, UINT32_MAX, where, &model->budget, err);
    if (strcmp(key, "dtype") == 0)
        return model_dtype(value, where, &model->dtype, err);
    if (strcmp(key, "k") == 0)
        return model_number(key, value, where, &model->k, err);
    if (strcmp(key, "b") == 0)
        return model_number(key, value, where, &model->b, err);
    if (strcmp(key, "length") == 0)
        return model_number(key, value, where, &model->avg_len, err);
    return error_set(
        err, ERROR_USAGE,
        "%s: '%s' is no key of a model; there are weight, dim, "
        "prompt, task, name, dtype, budget and account, and for BM25 "
        "language, stopwords, k, b and length",
        where, key);
}

/* Where ":key=value" begins in a model's text, or its end. */
static char *model_keys(char *text) {
    for (char *colon = strchr(text, ':'); colon;
         colon = strchr(colon + 1, ':')) {
        char *c = colon + 1;
        while (islower((unsigned char)*c))
            c++;
        if (c > colon + 1 && *c == '=')
            return colon;
    }
    return text + strlen(text);
}

bool value_model(const char *text, const char *where, struct arena *arena,
                 struct model_option *model, struct error *err) {
    char *copy = arena_copy(arena, str_from(text), err);
    if (!copy)
        return false;
    *model = (struct model_option){
        .reference = copy, .weight = 1, .k = -1, .b = -1, .avg_len = -1};

    char *keys = model_keys(copy);
    char *rest = *keys ? keys + 1 : NULL;
    *keys = '\0';
    for (char *pair; (pair = strsep(&rest, ",")) != NULL;) {
        char *value = strchr(pair, '=');
        if (!value || !value[1])
            return error_set(err, ERROR_USAGE,
                             "%s: '%s' in '%s' is not key=value", where, pair,
                             text);
        *value = '\0';
        if (!model_key(pair, value + 1, where, model, err))
            return false;
    }

    char *at = strrchr(copy, '@');
    if (at && !folder_exists(copy)) {
        *at = '\0';
        model->revision = at + 1;
    }
    if (!*copy || (model->revision && !*model->revision))
        return error_set(err, ERROR_USAGE,
                         "%s: '%s' names no model; write "
                         "MODEL[@REVISION][:key=value,...]",
                         where, text);
    return true;
}

/* The last '=' counts: a simulated card may be written with its size. */
static bool value_device_bytes(const char *text, const char *where,
                               struct arena *arena, struct device_bytes *item,
                               struct error *err) {
    char *device = arena_copy(arena, str_from(text), err);
    if (!device)
        return false;
    char *bytes = strrchr(device, '=');
    if (!bytes || bytes == device)
        return error_set(err, ERROR_USAGE,
                         "%s: '%s' is not DEVICE=BYTES, such as cpu=2GiB",
                         where, text);
    *bytes++ = '\0';
    item->device = device;
    return size_text_parse(bytes, where, &item->bytes, err);
}

static bool value_long(const char *text, const char *where,
                       struct long_texts *out, struct error *err) {
    uint64_t overlap = 0;
    bool windows = strncmp(text, "window", 6) == 0;
    if (windows && text[6] == ':' &&
        !value_number(text + 7, 0, UINT32_MAX, where, &overlap, err))
        return false;
    if (strcmp(text, "cut") != 0 && !(windows && (!text[6] || text[6] == ':')))
        return error_set(err, ERROR_USAGE,
                         "%s: '%s' is neither cut nor window[:OVERLAP], such "
                         "as window:64",
                         where, text);
    *out = (struct long_texts){windows, (size_t)overlap};
    return true;
}

static bool value_set(const struct option_row *row, const char *text,
                      const char *where, unsigned *bits, struct error *err) {
    unsigned found = 0, index = 0;
    for (const char *at = text;; at++) {
        size_t size = strcspn(at, ",");
        if (!choice_index(row, at, size, where, &index, err))
            return false;
        found |= 1u << index;
        at += size;
        if (!*at)
            break;
    }
    *bits = found;
    return true;
}

/* Room for one more item of SIZE bytes in a list that is {items, count}. */
static void *list_grow(void *items, size_t count, size_t size,
                       struct arena *arena, struct error *err) {
    if (count & (count - 1)) /* the room doubles at powers of two */
        return items;
    void *grown = arena_alloc(arena, count ? count * 2 : 1, size, err);
    if (grown && count)
        memcpy(grown, items, count * size);
    return grown;
}

bool text_list_add(struct text_list *list, const char *text,
                   struct arena *arena, struct error *err) {
    void *items =
        list_grow(list->items, list->count, sizeof *list->items, arena, err);
    if (!items)
        return false;
    list->items = items;
    list->items[list->count++] = text;
    return true;
}

static bool model_list_add(struct model_list *list, const char *text,
                           const char *where, struct arena *arena,
                           struct error *err) {
    void *items =
        list_grow(list->items, list->count, sizeof *list->items, arena, err);
    if (!items)
        return false;
    list->items = items;
    return value_model(text, where, arena, &list->items[list->count], err) &&
           ++list->count;
}

static bool device_bytes_list_add(struct device_bytes_list *list,
                                  const char *text, const char *where,
                                  struct arena *arena, struct error *err) {
    void *items =
        list_grow(list->items, list->count, sizeof *list->items, arena, err);
    if (!items)
        return false;
    list->items = items;
    return value_device_bytes(text, where, arena, &list->items[list->count],
                              err) &&
           ++list->count;
}

static bool not_empty(const struct option_row *row, const char *value,
                      const char *where, struct error *err) {
    /* A prompt of no characters is a way to say "no prompt". */
    if (*value || strcmp(row->name, "prompt-text") == 0)
        return true;
    return error_set(err, ERROR_USAGE, "%s: %s is empty", where,
                     row->argument ? row->argument : "the value");
}

bool option_value_set(struct options *options, const struct option_row *row,
                      const char *value, const char *where, struct error *err) {
    void *target = (char *)options + row->target;
    struct arena *arena = &options->arena;
    uint64_t number = 0;
    unsigned index = 0;
    bool flag = false;
    if (!not_empty(row, value, where, err))
        return false;
    switch (row->type) {
    case OPTION_FLAG:
        return value_bool(value, where, target, err);
    case OPTION_LEVEL:
        if (!value_bool(value, where, &flag, err))
            return false;
        *(int *)target = flag ? (int)row->least : (int)VERBOSITY_NORMAL;
        return true;
    case OPTION_TEXT:
    case OPTION_PATH:
        *(const char **)target = value;
        return true;
    case OPTION_NUMBER:
        if (!value_number(value, row->least, row->most, where, &number, err))
            return false;
        *(size_t *)target = (size_t)number;
        return true;
    case OPTION_CHOICE:
        if (!choice_index(row, value, strlen(value), where, &index, err))
            return false;
        *(const char **)target = row->choices[index];
        return true;
    case OPTION_ENUM:
        if (!choice_index(row, value, strlen(value), where, &index, err))
            return false;
        *(int *)target = (int)index;
        return true;
    case OPTION_SET:
        return value_set(row, value, where, target, err);
    case OPTION_TEXTS:
        return text_list_add(target, value, arena, err);
    case OPTION_MODEL:
        return model_list_add(target, value, where, arena, err);
    case OPTION_BYTES:
        return device_bytes_list_add(target, value, where, arena, err);
    case OPTION_LONG:
        return value_long(value, where, target, err);
    }
    return false;
}

/* All lists of struct options are {pointer, count}. */
void option_value_clear(struct options *options, const struct option_row *row) {
    struct text_list *list =
        (struct text_list *)(void *)((char *)options + row->target);
    list->count = 0;
}
