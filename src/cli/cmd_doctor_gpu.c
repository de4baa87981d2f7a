#include "cli/doctor_gpu.h"

#include <stdio.h>

#include "cli/command.h"
#include "device/cuda/cuda_library.h"

enum { CARDS_SHOWN = 64, CAPABILITY_LEAST = 75 };

static json_t *text_or_null(const char *text) {
    return text[0] ? json_string(text) : json_null();
}

static json_t *card_json(const struct cuda_seen *card, unsigned ordinal) {
    char device[32], capability[32], problem[96] = "";
    snprintf(device, sizeof device, "cuda:%u", ordinal);
    snprintf(capability, sizeof capability, "%d.%d", card->major, card->minor);
    if (10 * card->major + card->minor < CAPABILITY_LEAST)
        snprintf(problem, sizeof problem,
                 "too old: compute capability 7.5 is the least");
    return json_pack("{s:s, s:s, s:s, s:I, s:o}", "device", device, "model",
                     card->name, "capability", capability, "memory_bytes",
                     (json_int_t)card->bytes, "problem", text_or_null(problem));
}

static json_t *library_json(const struct cuda_found *found) {
    char version[32] = "";
    if (found->path[0])
        snprintf(version, sizeof version, "%d.%d", found->major, found->minor);
    return json_pack("{s:s, s:o, s:o, s:o}", "name", found->what, "path",
                     text_or_null(found->path), "version",
                     text_or_null(version), "problem",
                     text_or_null(found->problem));
}

/* The remedy for the first thing that is missing; "" where nothing is. */
static const char *remedy(const struct cuda_found found[CUDA_FOUND_COUNT]) {
    for (unsigned i = 0; i < CUDA_FOUND_COUNT; i++)
        if (found[i].problem[0])
            return cuda_install_advice(found[CUDA_FOUND_DRIVER].major);
    return "";
}

json_t *doctor_gpu_examine(const char *const *folders) {
    struct cuda_found found[CUDA_FOUND_COUNT];
    struct cuda_seen seen[CARDS_SHOWN];
    char problem[512];
    json_t *cards = json_array(), *libraries = json_array();
    size_t count = cuda_library_cards(folders, seen, CARDS_SHOWN, problem);
    for (unsigned i = 0; i < count && i < CARDS_SHOWN; i++)
        json_array_append_new(cards, card_json(&seen[i], i));
    cuda_library_look(folders, found);
    for (unsigned i = 0; i < CUDA_FOUND_COUNT; i++)
        json_array_append_new(libraries, library_json(&found[i]));
    return json_pack("{s:o, s:o, s:o, s:o}", "cards", cards, "problem",
                     text_or_null(problem), "libraries", libraries, "install",
                     text_or_null(remedy(found)));
}

static const char *text_of(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static void print_card(const json_t *card) {
    char bytes[32];
    const char *problem = text_of(card, "problem");
    command_bytes(
        (uint64_t)json_integer_value(json_object_get(card, "memory_bytes")),
        bytes);
    printf("%-20s %s, compute capability %s, %s%s%s\n", text_of(card, "device"),
           text_of(card, "model"), text_of(card, "capability"), bytes,
           problem ? "; " : "", problem ? problem : "");
}

static void print_library(const json_t *library) {
    const char *problem = text_of(library, "problem");
    const char *path = text_of(library, "path");
    printf("%-20s ", text_of(library, "name"));
    if (path)
        printf("%s in %s%s", text_of(library, "version"), path,
               problem ? "; " : "");
    printf("%s%s\n", path ? "" : "none: ", problem ? problem : "");
}

void doctor_gpu_print(const json_t *gpu) {
    const char *problem = text_of(gpu, "problem");
    const char *install = text_of(gpu, "install");
    const json_t *item;
    size_t i;
    if (problem) {
        printf("%-20s none: %s\n", "gpu", problem);
        return;
    }
    json_array_foreach(json_object_get(gpu, "cards"), i, item) print_card(item);
    json_array_foreach(json_object_get(gpu, "libraries"), i, item)
        print_library(item);
    if (install)
        printf("%-20s %s\n", "to install them", install);
}
