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

static const char *text(const json_t *object, const char *key) {
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

/* Of a noun behind COUNT. */
static const char *ending(uint64_t count) {
    return count == 1 ? "" : "s";
}

static void print_device(const json_t *device) {
    char total[32], bytes_free[32], ceiling[32], margin[32];
    command_bytes(number(device, "total_bytes"), total);
    command_bytes(number(device, "free_bytes"), bytes_free);
    command_bytes(number(device, "ceiling_bytes"), ceiling);
    command_bytes(number(device, "margin_bytes"), margin);
    printf("%-20s %12s %12s %12s %12s%s", text(device, "device"), total,
           bytes_free, ceiling, margin,
           json_is_true(json_object_get(device, "asked_for"))
               ? ""
               : "  (last resort)");
    command_bytes(number(device, "overhead_bytes"), total);
    if (number(device, "overhead_bytes"))
        printf("  (%s, %s of its own)", text(device, "dtype"), total);
    printf("\n");
}

static void print_home(const json_t *home) {
    char weights[32], workspace[32];
    command_bytes(number(home, "weights_bytes"), weights);
    command_bytes(number(home, "workspace_bytes"), workspace);
    printf("    %-18s ", text(home, "device"));
    if (number(home, "layers"))
        printf("%" PRIu64 " of %" PRIu64 " layers",
               number(home, "layers_resident"), number(home, "layers"));
    else
        printf("a table of words, no layers");
    printf(", %s of weights, %s of workspace for %" PRIu64 " tokens: %s\n",
           weights, workspace, number(home, "budget_tokens"),
           text(home, "why"));
}

static void print_budget(const json_t *budget) {
    static const char *const modes[] = {"exclusive", "sequential",
                                        "simultaneous"};
    printf("    %-18s", text(budget, "device"));
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        const json_t *tokens = json_object_get(budget, modes[i]);
        if (json_is_integer(tokens))
            printf("  %s %" PRIu64, modes[i], number(budget, modes[i]));
        else
            printf("  %s -", modes[i]);
    }
    printf("\n");
}

static void print_memory(const json_t *pass) {
    const json_t *memory = json_object_get(pass, "memory");
    print_bytes("there before the pass", number(memory, "base_bytes"));
    print_bytes("weights, held here", number(memory, "weights_bytes"));
    print_bytes("workspaces, held here", number(memory, "workspace_bytes"));
    print_bytes("windows and readers", number(memory, "staging_bytes"));
    if (number(memory, "drift_bytes"))
        print_bytes("comparing with f32, behind",
                    number(memory, "drift_bytes"));
    print_bytes("private memory, at most", number(memory, "private_bytes"));
    print_bytes("the process before any model",
                number(pass, "process_base_bytes"));
    print_bytes("weight files, mapped, at most",
                number(memory, "mapped_bytes"));
    print_bytes("resident, at most", number(pass, "planned_resident_bytes"));
}

static void print_pass(const json_t *pass) {
    const json_t *entry, *estimate = json_object_get(pass, "estimate");
    size_t i;
    printf("  model %s:", text(pass, "model"));
    json_array_foreach(json_object_get(pass, "heads"), i, entry)
        printf(" %s", json_string_value(entry));
    printf("\n");
    if (!json_is_true(json_object_get(pass, "fits"))) {
        printf("    does not fit: ");
        command_print_clean(str_from(text(pass, "reason")));
        printf("\n");
        return;
    }
    json_array_foreach(json_object_get(pass, "homes"), i, entry)
        print_home(entry);
    if (json_array_size(json_object_get(pass, "homes")))
        printf("    budgets of a batch in each mode, in tokens:\n");
    json_array_foreach(json_object_get(pass, "budgets"), i, entry)
        print_budget(entry);
    print_memory(pass);
    const json_t *seconds = json_object_get(estimate, "seconds");
    if (json_is_real(seconds))
        printf("  about %" PRIu64 " tokens, %.1f s (estimate: %s)\n",
               number(estimate, "tokens"), json_real_value(seconds),
               text(estimate, "how"));
}

static void print_disk(const json_t *disk) {
    print_bytes("rows while computing", number(disk, "store_bytes"));
    print_bytes("to find them again", number(disk, "lookup_bytes"));
    print_bytes("arrays", number(disk, "arrays_bytes"));
    print_bytes("points.jsonl (estimate)", number(disk, "points_bytes"));
    print_bytes("texts.jsonl (estimate)", number(disk, "texts_bytes"));
    print_bytes("metadata.jsonl (estimate)", number(disk, "metadata_bytes"));
    print_bytes("disk in all", number(disk, "total_bytes"));
}

static void print_collection(const json_t *entry) {
    const json_t *pass;
    size_t i;
    printf("\ncollection ");
    command_print_clean(str_from(text(entry, "collection")));
    printf("\n");
    if (json_object_get(entry, "status")) {
        printf("  is not there\n");
        return;
    }
    uint64_t chunks = number(entry, "found"), files = number(entry, "files"),
             texts = number(entry, "unique_texts");
    printf("  %" PRIu64 " chunk%s in %" PRIu64 " file%s, %" PRIu64
           " distinct text%s, %" PRIu64 " blank\n",
           chunks, ending(chunks), files, ending(files), texts, ending(texts),
           number(entry, "blank"));
    json_array_foreach(json_object_get(entry, "passes"), i, pass)
        print_pass(pass);
    print_disk(json_object_get(entry, "disk"));
}

/* Of a MODEL with an error, which may quote a stranger's file. */
static void print_unusable(const json_t *model) {
    const json_t *why = json_object_get(model, "error");
    printf("model ");
    command_print_clean(str_from(text(model, "key")));
    printf(" cannot be used: ");
    command_print_clean(str_from(text(why, "message")));
    printf("\n");
}

static void print_reranker(const json_t *entry) {
    if (json_object_get(entry, "error"))
        print_unusable(entry);
    else if (entry)
        printf("\nsearch puts chunks in order with %s: %" PRIu64
               " bytes of weights\n",
               text(entry, "key"), number(entry, "weights_bytes"));
}

/* Where not all of a model can be what was asked for. */
static void print_fp8(const json_t *model) {
    const json_t *share = json_object_get(model, "fp8_share");
    if (share && json_real_value(share) < 1)
        printf("model %s: %.0f%% of its matrices' numbers are fp8, the others "
               "compute in bf16\n",
               text(model, "key"), json_real_value(share) * 100);
}

static void print_plan(const json_t *plan) {
    const json_t *entry, *mode = json_object_get(plan, "mode");
    size_t i;
    printf("%-20s %12s %12s %12s %12s\n", "device", "total", "free", "ceiling",
           "margin");
    json_array_foreach(json_object_get(plan, "devices"), i, entry)
        print_device(entry);
    printf("\nmode %s: %s\n", text(mode, "name"), text(mode, "reason"));
    json_array_foreach(json_object_get(plan, "models"), i, entry) {
        if (json_object_get(entry, "error"))
            print_unusable(entry);
        print_fp8(entry);
    }
    print_reranker(json_object_get(plan, "rerank"));
    json_array_foreach(json_object_get(plan, "collections"), i, entry)
        print_collection(entry);
    print_bytes("free on the disk", number(plan, "disk_free_bytes"));
}

/* A run with these options would not do all of its work: the reader of an exit
 * status must know. */
static void check_collection(const json_t *entry, struct error *err) {
    const json_t *pass;
    size_t i;
    if (json_object_get(entry, "status"))
        error_set(err, ERROR_MISSING,
                  "no collection is called %s; leave --collection away to take "
                  "all that there are",
                  text(entry, "collection"));
    json_array_foreach(json_object_get(entry, "passes"), i, pass) {
        if (!json_is_true(json_object_get(pass, "fits")))
            error_set(err, ERROR_MEMORY, "%s", text(pass, "reason"));
    }
}

static void check_model(const json_t *model, struct error *err) {
    const json_t *why = json_object_get(model, "error");
    if (why)
        error_set(err, ERROR_MISSING, "model %s cannot be used: %s",
                  text(model, "key"), text(why, "message"));
}

static void check_plan(const json_t *plan, struct error *err) {
    const json_t *entry;
    uint64_t bytes = 0, bytes_free = number(plan, "disk_free_bytes");
    size_t i;
    json_array_foreach(json_object_get(plan, "models"), i, entry)
        check_model(entry, err);
    check_model(json_object_get(plan, "rerank"), err);
    json_array_foreach(json_object_get(plan, "collections"), i, entry) {
        check_collection(entry, err);
        bytes += number(json_object_get(entry, "disk"), "total_bytes");
    }
    if (bytes > bytes_free)
        error_set(err, ERROR_FULL,
                  "about %" PRIu64 " bytes of disk are needed and %" PRIu64
                  " are free; free some, or leave outputs away with --export",
                  bytes, bytes_free);
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
