/* cmd_plan.c - `ensembed plan`: bytes before anything is taken. */

#include <inttypes.h>
#include <stdlib.h>

#include "base/file.h"
#include "cli/command.h"
#include "run/plan.h"

static uint64_t number(const json_t *object, const char *key) {
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static void print_bytes(const char *label, uint64_t bytes) {
    char text[32];
    command_bytes(bytes, text);
    printf("  %-34s %12s  (%" PRIu64 ")\n", label, text, bytes);
}

static void print_model(const json_t *model) {
    printf("model %s\n", json_string_value(json_object_get(model, "key")));
    const json_t *plan = json_object_get(model, "plan");
    if (!plan) {
        printf("  cannot be used: %s\n",
               json_string_value(json_object_get(
                   json_object_get(model, "error"), "message")));
        return;
    }
    print_bytes("weights, packed", number(plan, "weights_bytes"));
    print_bytes("workspace", number(plan, "workspace_bytes"));
    print_bytes("tokenizer (estimate)", number(plan, "tokenizer_bytes"));
    print_bytes("windows and batches, at most", number(plan, "staging_bytes"));
    print_bytes("private memory of the pass", number(plan, "private_bytes"));
    print_bytes("weight files, mapped, at most", number(plan, "mapped_bytes"));
    if (!json_is_true(json_object_get(model, "fits")))
        printf("  does not fit: %s\n",
               json_string_value(json_object_get(model, "reason")));
}

static void print_collection(const json_t *entry) {
    printf("collection %s\n",
           json_string_value(json_object_get(entry, "collection")));
    if (json_object_get(entry, "status")) {
        printf("  is not there\n");
        return;
    }
    printf("  %" PRIu64 " chunks in %" PRIu64 " files, %" PRIu64
           " distinct texts, %" PRIu64 " blank\n",
           number(entry, "found"), number(entry, "files"),
           number(entry, "unique_texts"), number(entry, "blank"));
    print_bytes("disk for rows while computing", number(entry, "store_bytes"));
    print_bytes("disk for the outputs (estimate)",
                number(entry, "artefact_bytes"));
}

static void print_plan(const json_t *plan) {
    const json_t *entry;
    size_t i;
    printf("device %s (%s, %" PRIu64 " threads)\n",
           json_string_value(json_object_get(plan, "device")),
           json_string_value(json_object_get(plan, "isa")),
           number(plan, "threads"));
    print_bytes("ceiling", number(plan, "ceiling_bytes"));
    print_bytes("process before any model", number(plan, "process_base_bytes"));
    json_array_foreach(json_object_get(plan, "models"), i, entry)
        print_model(entry);
    json_array_foreach(json_object_get(plan, "collections"), i, entry)
        print_collection(entry);
    print_bytes("free on the disk", number(plan, "disk_free_bytes"));
}

/* A run with these options would not do all of its work: the reader of an exit
 * status must know. */
static void check_plan(const json_t *plan, struct error *err) {
    const json_t *entry;
    size_t i;
    json_array_foreach(json_object_get(plan, "models"), i, entry) {
        if (!json_is_true(json_object_get(entry, "fits")))
            error_set(err, ERROR_MISSING,
                      "model %s cannot be used as it is: see above",
                      json_string_value(json_object_get(entry, "key")));
    }
    json_array_foreach(json_object_get(plan, "collections"), i, entry) {
        if (json_object_get(entry, "status"))
            error_set(err, ERROR_MISSING, "no collection is called %s",
                      json_string_value(json_object_get(entry, "collection")));
    }
}

int command_plan(const struct program *program, struct error *err) {
    struct model_request *models = command_models_requested(program, err);
    if (!models)
        return EXIT_FAILED;
    struct run_options options;
    command_run_options(program, models, &options);
    char scratch[] = "/tmp/ensembed-plan-XXXXXX";
    json_t *plan = NULL;
    if (!mkdtemp(scratch)) {
        error_errno(err, "make a folder in /tmp");
    } else {
        options.scratch = scratch;
        plan_run(&options, &program->sink, &plan, err);
        folder_remove(scratch, NULL);
    }
    terminal_close(program->terminal);
    if (plan && program->options->json)
        command_print_json(json_incref(plan));
    else if (plan)
        print_plan(plan);
    if (plan)
        check_plan(plan, err);
    json_decref(plan);
    memory_free(program->memory, models);
    return EXIT_FINE;
}
