/* cmd_run.c - `ensembed run`: the pipeline, and what a person reads after it.
 */

#include <inttypes.h>

#include "cli/command.h"
#include "run/pipeline.h"

static const char *plural(uint64_t count) {
    return count == 1 ? "" : "s";
}

/* How far a pass in a narrow type is from f32: docs/dtypes.md. */
static void print_drift(const json_t *pass) {
    const json_t *drift = json_object_get(pass, "drift");
    const char *model = json_string_value(json_object_get(pass, "model"));
    const char *dtype = json_string_value(json_object_get(drift, "dtype"));
    const char *skipped = json_string_value(json_object_get(drift, "skipped"));
    json_int_t texts = json_integer_value(json_object_get(drift, "texts"));
    const char *head;
    json_t *cosines;
    if (skipped)
        printf("%s in %s: not compared with f32: %s\n", model, dtype, skipped);
    json_object_foreach(json_object_get(drift, "heads"), head, cosines) {
        bool dense = !strcmp(head, "dense");
        printf("%s%s%s in %s: %" JSON_INTEGER_FORMAT
               " text%s computed in f32 too: lowest cosine %.5f, median %.5f\n",
               model, dense ? "" : "-", dense ? "" : head, dtype, texts,
               plural((uint64_t)texts),
               json_real_value(json_object_get(cosines, "lowest_cosine")),
               json_real_value(json_object_get(cosines, "median_cosine")));
    }
}

static void print_collection(const json_t *entry) {
    const char *name = json_string_value(json_object_get(entry, "collection"));
    const char *status = json_string_value(json_object_get(entry, "status"));
    const char *code = json_string_value(
        json_object_get(json_object_get(entry, "error"), "code"));
    const char *reason = json_string_value(json_object_get(entry, "reason"));
    const json_t *chunks = json_object_get(entry, "chunks");
    const json_t *arrays = json_object_get(entry, "artefacts");
    const char *vectors =
        json_string_value(json_object_get(arrays, "embeddings.npy"));
    if (code && !strcmp(code, "interrupted"))
        status = code;
    command_print_clean(str_from(name));
    printf(": %s%s%s%s", status, reason ? " (" : "", reason ? reason : "",
           reason ? ")" : "");
    if (chunks)
        printf(", %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " chunks",
               json_integer_value(json_object_get(chunks, "embedded")),
               json_integer_value(json_object_get(chunks, "found")));
    if (vectors) {
        printf(", ");
        command_print_clean(str_from(vectors));
    }
    putchar('\n');
    const json_t *pass;
    size_t i;
    json_array_foreach(json_object_get(entry, "passes"), i, pass)
        print_drift(pass);
}

static void print_result(const struct run_result *result) {
    const json_t *entry;
    size_t i;
    json_array_foreach(json_object_get(result->summary, "collections"), i,
                       entry) print_collection(entry);
    printf("%" PRIu64 " vector%s in %.1f s: %" PRIu64 " text%s computed, "
           "%" PRIu64 " reused",
           result->points, plural(result->points), result->duration_ms / 1000,
           result->texts_computed, plural(result->texts_computed),
           result->texts_reused);
    if (result->truncated)
        printf(", %" PRIu64 " truncated to the model's limit",
               result->truncated);
    if (result->blank)
        printf(", %" PRIu64 " blank chunk%s skipped", result->blank,
               plural(result->blank));
    if (result->left_out)
        printf(", %" PRIu64 " left out", result->left_out);
    putchar('\n');
    if (*result->summary_path) {
        printf("summary: ");
        command_print_clean(str_from(result->summary_path));
        putchar('\n');
    }
}

/* With --restart the same command would begin anew once more. */
static void say_interrupted(const struct program *program, struct error *err) {
    static const char kept[] = "interrupted; what was computed is kept";
    if (program->options->restart)
        error_set(err, ERROR_INTERRUPTED,
                  "%s: run the same command without --restart and it goes on",
                  kept);
    else
        error_set(err, ERROR_INTERRUPTED,
                  "%s: run the same command again and it goes on: %s", kept,
                  program->command);
}

int command_run(const struct program *program, struct error *err) {
    struct model_request *models = command_models_requested(program, err);
    if (!models)
        return EXIT_FAILED;
    struct run_options options;
    struct run_result result;
    command_run_options(program, models, &options);
    bool ran = pipeline_run(&options, &program->sink, &result, err);
    terminal_close(program->terminal);
    if (ran && program->options->json)
        command_print_json(json_incref(result.summary));
    else if (ran && program->options->verbosity != VERBOSITY_QUIET)
        print_result(&result);
    if (ran && result.worst.code == ERROR_INTERRUPTED)
        say_interrupted(program, err);
    else if (ran && result.worst.code == ERROR_FULL)
        error_set(err, ERROR_FULL, "%s; %s%s", result.worst.message,
                  "what was computed is kept",
                  program->options->restart
                      ? " (without --restart, or it begins anew)"
                      : "");
    else if (ran && result.worst_told)
        error_set(err, result.worst.code,
                  "not everything was embedded: see the messages above and "
                  "summary.json");
    else if (ran && result.worst.code)
        *err = result.worst;
    memory_free(program->memory, models);
    if (ran)
        run_result_free(&result);
    return EXIT_FINE;
}
