/* cmd_shared.c - what several commands need. */

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/utf8.h"
#include "cli/command.h"
#include "data/chunks.h"
#include "run/dtype.h"

static struct bm25_number number_of(double value) {
    return (struct bm25_number){.said = value >= 0, .value = value};
}

static enum number_type type_of(const char *name) {
    return name ? dtype_named(name) : NUMBER_DEFAULT;
}

static struct model_request request_of(const struct model_option *model) {
    return (struct model_request){
        .reference = model->reference,
        .revision = model->revision,
        .name = model->name,
        .prompt = model->prompt,
        .task = model->task,
        .weight = model->weight,
        .dim = model->dim,
        .budget = model->budget,
        .type = type_of(model->dtype),
        .account = model->account,
        .bm25 = {.language = model->language,
                 .stopwords = model->stopwords,
                 .k = number_of(model->k),
                 .b = number_of(model->b),
                 .avg_len = number_of(model->avg_len)}};
}

/* In the order of models, sparse, colbert, rerank. */
struct model_request *command_models_requested(const struct program *program,
                                               struct error *err) {
    const struct options *o = program->options;
    const struct model_list *lists[] = {&o->models, &o->sparse, &o->colbert,
                                        &o->rerank};
    size_t count = 0;
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
        count += lists[k]->count;
    struct model_request *requests =
        memory_zalloc(program->memory, count, sizeof *requests, err);
    size_t at = 0;
    for (size_t k = 0; requests && k < sizeof lists / sizeof *lists; k++)
        for (size_t i = 0; i < lists[k]->count; i++)
            requests[at++] = request_of(&lists[k]->items[i]);
    return requests;
}

/* The same order. */
static void name_models(const struct options *options,
                        const struct model_request *models,
                        struct run_options *out) {
    out->models = models;
    out->models_count = options->models.count;
    if (!models)
        return;
    out->sparse = models + options->models.count;
    out->sparse_count = options->sparse.count;
    out->multi = out->sparse + options->sparse.count;
    out->multi_count = options->colbert.count;
    if (options->rerank.count)
        out->rerank = out->multi + options->colbert.count;
}

static int64_t lease_wait_ms(const struct options *options) {
    size_t seconds = options->lease_wait_seconds;
    return seconds == LEASE_WAIT_FOR_EVER ? -1 : (int64_t)seconds * 1000;
}

static unsigned exports_of(const struct options *options) {
    unsigned exports = 0;
    exports |= options->exports & OPTION_EXPORT_NPY ? EXPORT_NPY : 0;
    exports |= options->exports & OPTION_EXPORT_POINTS ? EXPORT_POINTS : 0;
    exports |= options->exports & OPTION_EXPORT_TEXTS ? EXPORT_TEXTS : 0;
    exports |= options->exports & OPTION_EXPORT_METADATA ? EXPORT_METADATA : 0;
    exports |= options->exports & OPTION_EXPORT_TERMS ? EXPORT_TERMS : 0;
    return exports;
}

void command_run_options(const struct program *program,
                         struct model_request *models,
                         struct run_options *out) {
    const struct options *options = program->options;
    *out = (struct run_options){
        .command = program->command,
        .chunks = options->words.count ? options->words.items[0] : NULL,
        .input_fd = STDIN_FILENO,
        .chunk = {.as = options->as,
                  .collections = options->collections.items,
                  .collections_count = options->collections.count,
                  .collapse_whitespace = options->collapse_whitespace,
                  .trim_chars = options->trim_chars},
        .out = options->out,
        .places = {.cache = options->hub_cache},
        .hub = {.settings = {.endpoint = options->offline
                                             ? NULL
                                             : options->hub_endpoint,
                             .token = options->hub_token,
                             .http = options->hub_http},
                .pull = options->command != COMMAND_PLAN,
                .refresh = options->refresh},
        .isa = options->isa,
        .threads = (unsigned)options->threads,
        .devices = options->device,
        .one_device = options->command == COMMAND_EMBED ||
                      options->command == COMMAND_BENCH,
        .type = type_of(options->dtype),
        .kernel_cache = options->kernel_cache,
        .library_folders = options->library_folders,
        .ceilings = options->ceilings.items,
        .ceilings_count = options->ceilings.count,
        .margins = options->margins.items,
        .margins_count = options->margins.count,
        .mode = options->mode,
        .warm = options->warm,
        .lease_wait_ms = lease_wait_ms(options),
        .lock_dir = options->lock_dir,
        .sim_script = options->sim_script,
        .dim = options->dim,
        .fuse = options->fuse,
        .prompt = options->prompt,
        .prompt_text = options->prompt_text,
        .task = options->task,
        .long_texts = options->long_texts,
        .restart = options->restart,
        .skip_existing = options->skip_existing,
        .exports = exports_of(options),
        .text_field = options->text_field,
        .summary_path = options->summary,
    };
    name_models(options, models, out);
}

void text_source_open(struct text_source *source,
                      const struct program *program) {
    *source = (struct text_source){
        .program = program,
        .lines = program->options->words.count == 0,
        .text = strbuf_make(program->memory),
    };
}

void text_source_close(struct text_source *source) {
    free(source->line);
    strbuf_free(&source->text);
}

static bool is_blank(const char *line) {
    return line[strspn(line, " \t\r\n")] == '\0';
}

static enum text_step next_line(struct text_source *source, struct str *text,
                                struct error *err) {
    ssize_t size;
    do {
        size = getline(&source->line, &source->line_capacity, stdin);
        source->line_number++;
        if (size < 0 && ferror(stdin)) {
            error_errno(err, "read standard input");
            return TEXT_ERROR;
        }
        if (size < 0)
            return TEXT_END;
    } while ((size_t)size == strlen(source->line) && is_blank(source->line));
    if (!chunk_line_text((struct str){source->line, (size_t)size},
                         "standard input", source->line_number, &source->text,
                         err))
        return TEXT_ERROR;
    *text = strbuf_str(&source->text);
    return TEXT_OK;
}

enum text_step text_source_next(struct text_source *source, struct str *text,
                                struct error *err) {
    if (source->lines)
        return next_line(source, text, err);
    const struct text_list *words = &source->program->options->words;
    if (source->next >= words->count)
        return TEXT_END;
    *text = str_from(words->items[source->next++]);
    return TEXT_OK;
}

void command_print_clean(struct str text) {
    for (size_t i = 0; i < text.size;) {
        size_t control = utf8_control(text, i);
        putchar(control ? ' ' : text.data[i]);
        i += control ? control : 1;
    }
}

void command_print_json(json_t *object) {
    json_dumpf(object, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(object);
}

void command_bytes(uint64_t bytes, char text[32]) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    int unit = -1;
    while (value >= 1024 && unit < 3) {
        value /= 1024;
        unit++;
    }
    if (unit < 0)
        snprintf(text, 32, "%" PRIu64 " bytes", bytes);
    else
        snprintf(text, 32, "%.1f %s", value, units[unit]);
}
