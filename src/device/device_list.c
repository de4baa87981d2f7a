/* device_list.c - see device_list.h. */

#include "device/device_list.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size_text.h"
#include "device/device_cards.h"

static const char SIM[] = "sim:", CUDA[] = "cuda";
enum {
    SIM_BYTES = sizeof SIM - 1,
    CUDA_BYTES = sizeof CUDA - 1,
    SIM_NAME_MAX = 31,
    DEVICES_MAX = 64,
};
_Static_assert(SIM_BYTES + SIM_NAME_MAX < DEVICE_NAME_BYTES, "names fit");

/* What a Tesla T4 says that it has, and the two of a Kaggle notebook. */
static const uint64_t T4_BYTES = 15828320256;
static const struct preset {
    const char *text;
    const char *names[2];
} PRESETS[] = {
    {"sim:t4", {"sim:t4", NULL}},
    {"sim:t4-0", {"sim:t4-0", NULL}},
    {"sim:t4-1", {"sim:t4-1", NULL}},
    {"sim:t4x2", {"sim:t4-0", "sim:t4-1"}},
};

bool device_name_is_sim(const char *name) {
    if (strncmp(name, SIM, SIM_BYTES) != 0)
        return false;
    const char *c = name + SIM_BYTES;
    while (isalnum((unsigned char)*c) || (*c && strchr("._-", *c)))
        c++;
    size_t length = (size_t)(c - name) - SIM_BYTES;
    return !*c && length >= 1 && length <= SIM_NAME_MAX;
}

static bool list_add(struct device_list *list, struct device_name name,
                     struct error *err) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, name.name) == 0)
            return error_set(err, ERROR_USAGE,
                             "--device: '%s' is there twice; name each device "
                             "once",
                             name.name);
    if (list->count == DEVICES_MAX)
        return error_set(err, ERROR_USAGE,
                         "--device: more than %d devices in one list",
                         DEVICES_MAX);
    list->items[list->count++] = name;
    return true;
}

static bool add_preset(struct device_list *list, const struct preset *preset,
                       struct error *err) {
    for (size_t i = 0; i < 2 && preset->names[i]; i++) {
        struct device_name name = {.capacity = T4_BYTES, .storage_bytes = 2};
        snprintf(name.name, sizeof name.name, "%s", preset->names[i]);
        if (!list_add(list, name, err))
            return false;
    }
    return true;
}

/* "sim:NAME=BYTES". */
static bool add_sized(struct device_list *list, const char *text,
                      struct error *err) {
    struct device_name name = {.storage_bytes = sizeof(float)};
    const char *equals = strchr(text, '=');
    if (!equals)
        return error_set(err, ERROR_USAGE,
                         "--device: '%s' does not say how large it is; write "
                         "sim:NAME=BYTES, such as sim:small=2GiB, or one of "
                         "sim:t4, sim:t4x2",
                         text);
    size_t length = (size_t)(equals - text);
    if (length < sizeof name.name)
        memcpy(name.name, text, length);
    if (!device_name_is_sim(name.name))
        return error_set(err, ERROR_USAGE,
                         "--device: '%s': the name before '=' has 1 to %d "
                         "letters, digits, '.', '_' or '-'",
                         text, SIM_NAME_MAX);
    char where[DEVICE_NAME_BYTES + 16];
    snprintf(where, sizeof where, "--device: %s", name.name);
    return size_text_parse(equals + 1, where, &name.capacity, err) &&
           list_add(list, name, err);
}

/* "cuda:0, cuda:1" */
static void name_cards(const struct device_cards *cards, char text[512]) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < cards->count && used < 512; i++)
        used += (size_t)snprintf(text + used, 512 - used, "%s%s:%zu",
                                 i ? ", " : "", CUDA, i);
}

static bool card_is_usable(const struct device_cards *cards, size_t i) {
    return cards->items[i].arch >= DEVICE_ARCH_LEAST;
}

static void say_too_old(const struct device_cards *cards, size_t i,
                        char text[DEVICE_WHY_BYTES]) {
    snprintf(text, DEVICE_WHY_BYTES,
             "%s:%zu (%s) is sm_%u, and this release computes on sm_%d and "
             "newer",
             CUDA, i, cards->items[i].model, cards->items[i].arch,
             DEVICE_ARCH_LEAST);
}

static bool add_card(struct device_list *list, const struct device_cards *cards,
                     size_t i, struct error *err) {
    struct device_name name = {.storage_bytes = sizeof(float),
                               .arch = cards->items[i].arch};
    char old[DEVICE_WHY_BYTES];
    snprintf(name.name, sizeof name.name, "%s:%zu", CUDA, i);
    if (card_is_usable(cards, i))
        return list_add(list, name, err);
    say_too_old(cards, i, old);
    return error_set(err, ERROR_USAGE, "--device: %s; name others, or cpu",
                     old);
}

/* Those that can compute; *OLD: the last that cannot, in a sentence. */
static bool add_all_cards(struct device_list *list,
                          const struct device_cards *cards,
                          char old[DEVICE_WHY_BYTES], struct error *err) {
    old[0] = '\0';
    for (size_t i = 0; i < cards->count; i++)
        if (!card_is_usable(cards, i))
            say_too_old(cards, i, old);
        else if (!add_card(list, cards, i, err))
            return false;
    return true;
}

static bool add_numbered(struct device_list *list, const char *text,
                         const struct device_cards *cards, struct error *err) {
    char names[512], *end = NULL;
    const char *digits = text + CUDA_BYTES + 1;
    unsigned long number = digits[-1] == ':' && isdigit((unsigned char)*digits)
                               ? strtoul(digits, &end, 10)
                               : 0;
    if (end && !*end && number < cards->count && (*digits != '0' || !digits[1]))
        return add_card(list, cards, number, err);
    name_cards(cards, names);
    return error_set(err, ERROR_USAGE,
                     "--device: there is no card '%s'; there are %s, and cuda "
                     "means all of them",
                     text, names);
}

/* "cuda" or "cuda:N". */
static bool add_cards(struct device_list *list, const char *text,
                      const struct device_cards *cards, struct error *err) {
    char old[DEVICE_WHY_BYTES];
    size_t before = list->count;
    if (!cards->count)
        return error_set(err, ERROR_USAGE,
                         "--device: '%s': no card was found: %s; use --device "
                         "cpu",
                         text, cards->problem);
    if (text[CUDA_BYTES])
        return add_numbered(list, text, cards, err);
    return add_all_cards(list, cards, old, err) &&
           (list->count > before ||
            error_set(err, ERROR_USAGE, "--device: '%s': %s", text, old));
}

static bool add_item(struct device_list *list, const char *text,
                     const struct device_cards *cards, struct error *err) {
    for (size_t i = 0; i < sizeof PRESETS / sizeof *PRESETS; i++)
        if (strcmp(text, PRESETS[i].text) == 0)
            return add_preset(list, &PRESETS[i], err);
    if (strcmp(text, DEVICE_CPU.name) == 0)
        return list_add(list, DEVICE_CPU, err);
    if (strncmp(text, SIM, SIM_BYTES) == 0)
        return add_sized(list, text, err);
    if (strncmp(text, CUDA, CUDA_BYTES) == 0)
        return add_cards(list, text, cards, err);
    return error_set(err, ERROR_USAGE,
                     "--device: there is no device '%s'; there are cpu, cuda, "
                     "cuda:N, sim:NAME=BYTES, sim:t4 and sim:t4x2, joined by "
                     "commas",
                     text);
}

/* COPY is cut up. */
static bool add_items(struct device_list *list, char *copy,
                      const struct device_cards *cards, struct error *err) {
    for (char *item; (item = strsep(&copy, ",")) != NULL;)
        if (!add_item(list, item, cards, err))
            return false;
    return true;
}

static bool make_list(struct memory *memory, struct device_list *list,
                      struct error *err) {
    *list = (struct device_list){0};
    list->items = memory_alloc(memory, DEVICES_MAX, sizeof *list->items, err);
    return list->items;
}

bool device_list_parse_with(struct memory *memory, const char *text,
                            const struct device_cards *cards,
                            struct device_list *list, struct error *err) {
    size_t size = strlen(text) + 1;
    char *copy = memory_alloc(memory, size, 1, err);
    bool fine = make_list(memory, list, err) && copy;
    if (fine) {
        memcpy(copy, text, size);
        fine = add_items(list, copy, cards, err);
    }
    memory_free(memory, copy);
    if (!fine)
        device_list_free(memory, list);
    return fine;
}

/* Does any item of TEXT begin as a card's name does? */
static bool names_cards(const char *text) {
    while (strncmp(text, CUDA, CUDA_BYTES) != 0) {
        const char *comma = strchr(text, ',');
        if (!comma)
            return false;
        text = comma + 1;
    }
    return true;
}

bool device_list_parse(struct memory *memory, const char *text,
                       const char *const *library_folders,
                       struct device_list *list, struct error *err) {
    struct device_cards cards = {.count = 0};
    if (names_cards(text))
        device_cards_find(&cards, library_folders);
    return device_list_parse_with(memory, text, &cards, list, err);
}

bool device_list_default_with(struct memory *memory,
                              const struct device_cards *cards,
                              struct device_list *list,
                              char why[DEVICE_WHY_BYTES], struct error *err) {
    bool fine = make_list(memory, list, err);
    why[0] = '\0';
    if (fine && !*cards->problem)
        fine = add_all_cards(list, cards, why, err);
    else if (cards->count)
        snprintf(why, DEVICE_WHY_BYTES, "%s", cards->problem);
    fine = fine && (list->count || list_add(list, DEVICE_CPU, err));
    if (!fine)
        device_list_free(memory, list);
    return fine;
}

bool device_list_default(struct memory *memory,
                         const char *const *library_folders,
                         struct device_list *list, char why[DEVICE_WHY_BYTES],
                         struct error *err) {
    struct device_cards cards;
    device_cards_find(&cards, library_folders);
    if (cards.count)
        device_cards_check(&cards, library_folders);
    return device_list_default_with(memory, &cards, list, why, err);
}

void device_list_free(struct memory *memory, struct device_list *list) {
    memory_free(memory, list->items);
    *list = (struct device_list){0};
}
