/* cmd_devices.c - `ensembed devices`: memory, limits and leases. */

#include <stdio.h>

#include "cli/command.h"
#include "run/devices.h"

static const char *text_of(const json_t *entry, const char *name) {
    return json_string_value(json_object_get(entry, name));
}

static void print_bytes(const json_t *entry, const char *name) {
    char text[32];
    command_bytes((uint64_t)json_integer_value(json_object_get(entry, name)),
                  text);
    printf(" %11s", text);
}

static void print_table(const json_t *list) {
    const json_t *entry;
    size_t i;
    printf("%-16s %11s %11s %11s %11s  %-24s %s\n", "device", "total", "free",
           "ceiling", "margin", "model", "leased by");
    json_array_foreach(list, i, entry) {
        const char *holder = text_of(entry, "holder");
        bool shared = json_is_true(json_object_get(entry, "shared"));
        printf("%-16s", text_of(entry, "device"));
        print_bytes(entry, "bytes_total");
        print_bytes(entry, "bytes_free");
        print_bytes(entry, "ceiling_bytes");
        print_bytes(entry, "margin_bytes");
        printf("  %-24s %s\n", text_of(entry, "model"),
               holder   ? holder
               : shared ? "(never)"
                        : "nobody");
    }
}

int command_devices(const struct program *program, struct error *err) {
    struct run_options options;
    json_t *list;
    command_run_options(program, NULL, &options);
    if (!devices_describe(&options, &program->sink, &list, err))
        return EXIT_FAILED;
    terminal_close(program->terminal);
    if (program->options->json)
        command_print_json(json_incref(list));
    else
        print_table(list);
    json_decref(list);
    return EXIT_FINE;
}
