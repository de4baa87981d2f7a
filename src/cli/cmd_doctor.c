/* cmd_doctor.c - `ensembed doctor`: what this machine offers. */

#include <inttypes.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "base/file.h"
#include "cli/command.h"
#include "cli/doctor_gpu.h"

/* Those that the CPU can run for matrices of TYPE, best first. */
static json_t *isa_list(enum number_type type) {
    json_t *list = json_array();
    const char *isa;
    for (size_t i = 0; (isa = device_isa(type, i)); i++)
        json_array_append_new(list, json_string(isa));
    return list;
}

static json_t *examine(const struct program *program,
                       const struct session *session) {
    struct utsname system = {0};
    uname(&system);
    uint64_t disk = 0;
    disk_free(".", &disk, NULL);
    const char *cache = program->options->hub_cache;
    const struct device_facts *facts = &session->facts;
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:i, s:I, s:I, s:I, s:I, "
        "s:s?, s:b, s:o}",
        "program", "ensembed " ENS_VERSION, "system", system.sysname, "release",
        system.release, "machine", system.machine, "cpu", facts->model,
        "instruction_sets", isa_list(NUMBER_F32), "instruction_sets_bf16",
        isa_list(NUMBER_BF16), "instruction_sets_int8", isa_list(NUMBER_INT8),
        "threads", (int)facts->threads, "memory_bytes",
        (json_int_t)facts->bytes_total, "memory_free_bytes",
        (json_int_t)facts->bytes_free, "ceiling_bytes",
        (json_int_t)session->memory.ceiling, "disk_free_bytes",
        (json_int_t)disk, "model_cache", cache, "model_cache_exists",
        cache && folder_exists(cache), "gpu",
        doctor_gpu_examine(program->options->library_folders));
}

static void print_bytes(const char *label, const json_t *report,
                        const char *key) {
    char text[32];
    command_bytes((uint64_t)json_integer_value(json_object_get(report, key)),
                  text);
    printf("%-20s %s\n", label, text);
}

static void print_isas(const char *label, const json_t *report,
                       const char *key) {
    const json_t *isa;
    size_t i;
    printf("%-20s", label);
    json_array_foreach(json_object_get(report, key), i, isa)
        printf(" %s%s", json_string_value(isa), i ? "" : " (used)");
    printf("\n");
}

static void print_report(const json_t *report) {
    printf("%-20s %s\n", "program",
           json_string_value(json_object_get(report, "program")));
    printf("%-20s %s %s (%s)\n", "system",
           json_string_value(json_object_get(report, "system")),
           json_string_value(json_object_get(report, "release")),
           json_string_value(json_object_get(report, "machine")));
    printf("%-20s %s\n", "cpu",
           json_string_value(json_object_get(report, "cpu")));
    print_isas("instruction sets", report, "instruction_sets");
    print_isas("  with bf16", report, "instruction_sets_bf16");
    print_isas("  with int8", report, "instruction_sets_int8");
    printf("%-20s %" JSON_INTEGER_FORMAT "\n", "threads",
           json_integer_value(json_object_get(report, "threads")));
    print_bytes("memory", report, "memory_bytes");
    print_bytes("memory free", report, "memory_free_bytes");
    print_bytes("ceiling by default", report, "ceiling_bytes");
    print_bytes("disk free here", report, "disk_free_bytes");
    bool exists = json_is_true(json_object_get(report, "model_cache_exists"));
    printf("%-20s %s%s\n", "model cache",
           json_string_value(json_object_get(report, "model_cache")),
           exists ? "" : " (not there yet: models by hub id need it)");
    doctor_gpu_print(json_object_get(report, "gpu"));
}

int command_doctor(const struct program *program, struct error *err) {
    struct run_options options = {.places = {program->options->hub_cache},
                                  .devices = "cpu"};
    struct session session;
    if (!session_open(&session, &options, &program->sink, err))
        return EXIT_FAILED;
    json_t *report = examine(program, &session);
    if (program->options->json)
        command_print_json(json_incref(report));
    else
        print_report(report);
    json_decref(report);
    session_close(&session);
    return EXIT_FINE;
}
