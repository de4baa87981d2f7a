/* device_list.c - the names of --device. */

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/size_text.h"
#include "device/device.h"

static const char SIM[] = "sim:";
enum {
    SIM_BYTES = sizeof SIM - 1,
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

static bool add_item(struct device_list *list, const char *text,
                     struct error *err) {
    for (size_t i = 0; i < sizeof PRESETS / sizeof *PRESETS; i++)
        if (strcmp(text, PRESETS[i].text) == 0)
            return add_preset(list, &PRESETS[i], err);
    if (strcmp(text, DEVICE_CPU.name) == 0)
        return list_add(list, DEVICE_CPU, err);
    if (strncmp(text, SIM, SIM_BYTES) == 0)
        return add_sized(list, text, err);
    if (strncmp(text, "cuda", 4) == 0)
        return error_set(err, ERROR_USAGE,
                         "--device: '%s': this release computes on cpu and on "
                         "simulated cards (sim:NAME=BYTES) only",
                         text);
    return error_set(err, ERROR_USAGE,
                     "--device: there is no device '%s'; there are cpu, "
                     "sim:NAME=BYTES, sim:t4 and sim:t4x2, joined by commas",
                     text);
}

/* COPY is cut up. */
static bool add_items(struct device_list *list, char *copy, struct error *err) {
    for (char *item; (item = strsep(&copy, ",")) != NULL;)
        if (!add_item(list, item, err))
            return false;
    return true;
}

bool device_list_parse(struct memory *memory, const char *text,
                       struct device_list *list, struct error *err) {
    *list = (struct device_list){0};
    size_t size = strlen(text) + 1;
    char *copy = memory_alloc(memory, size, 1, err);
    list->items = memory_alloc(memory, DEVICES_MAX, sizeof *list->items, err);
    bool fine = copy && list->items;
    if (fine) {
        memcpy(copy, text, size);
        fine = add_items(list, copy, err);
    }
    memory_free(memory, copy);
    if (!fine)
        device_list_free(memory, list);
    return fine;
}

void device_list_free(struct memory *memory, struct device_list *list) {
    memory_free(memory, list->items);
    *list = (struct device_list){0};
}
