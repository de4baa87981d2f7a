/* layer: device. Any bytes as a script for simulated cards: what is read holds
 * its own rules, what is not is refused with a sentence. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "device/sim/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct device_script *script) {
    for (size_t i = 0; i < script->count; i++) {
        const struct script_action *action = &script->actions[i];
        if (!device_name_is_sim(action->device) || action->kind > SCRIPT_LOST ||
            (i && action->at_submit < action[-1].at_submit) ||
            (action->kind == SCRIPT_DELAY && action->value > 60000) ||
            (action->kind >= SCRIPT_ALLOC && action->value == 0))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct memory memory = {0};
    struct error err = {0};
    struct str text = {(const char *)data, size};
    struct device_script *script =
        device_script_read(&memory, text, "fuzz.jsonl", &err);
    if (script)
        check(script);
    else if (err.code != ERROR_INPUT ||
             strncmp(err.message, "fuzz.jsonl:", 11) != 0)
        abort();
    device_script_free(script);
    if (memory_live(&memory))
        abort();
    return 0;
}
