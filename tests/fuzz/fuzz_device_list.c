/* layer: device. Any bytes as a --device list: every device that is read has a
 * name of its own, and a card has bytes. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct device_list *list) {
    if (list->count == 0)
        abort();
    for (size_t i = 0; i < list->count; i++) {
        const struct device_name *name = &list->items[i];
        if (device_name_is_sim(name->name) != (name->capacity > 0) ||
            (!name->capacity && strcmp(name->name, "cpu") != 0))
            abort();
        for (size_t k = 0; k < i; k++)
            if (strcmp(name->name, list->items[k].name) == 0)
                abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct memory memory = {0};
    struct device_list list;
    struct error err = {0};
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    if (device_list_parse(&memory, text, NULL, &list, &err)) {
        check(&list);
        device_list_free(&memory, &list);
    } else if (err.code != ERROR_USAGE || !err.message[0]) {
        abort();
    }
    free(text);
    if (memory_live(&memory))
        abort();
    return 0;
}
