/* cmd_tokenize.c - `ensembed tokenize`: what a model sees of a text. */

#include "cli/command.h"
#include "run/engine.h"
#include "run/roster.h"

static void print_line(const struct program *program,
                       const struct tokenizer *tokenizer,
                       const struct tokens *tokens,
                       const struct tokenized *what) {
    struct strbuf line = strbuf_make(program->memory);
    strbuf_add(&line, STR("{\"ids\": ["));
    for (size_t i = 0; i < tokens->count; i++)
        strbuf_printf(&line, "%s%u", i ? ", " : "", tokens->ids[i]);
    strbuf_add(&line, STR("], \"tokens\": ["));
    for (size_t i = 0; i < tokens->count; i++) {
        strbuf_add(&line, i ? STR(", ") : STR(""));
        strbuf_add_json(&line, tokenizer_token(tokenizer, tokens->ids[i]));
    }
    strbuf_printf(&line, "], \"truncated\": %zu}\n", what->cut);
    fwrite(line.data, 1, line.size, stdout);
    strbuf_free(&line);
}

/* The text alone, without a prompt: at the limit that the model has. */
static bool tokenize_all(const struct program *program,
                         const struct engine *engine, struct error *err) {
    struct text_source source;
    struct str text;
    struct tokens tokens = tokens_make(program->memory);
    enum text_step step;
    text_source_open(&source, program);
    while ((step = text_source_next(&source, &text, err)) == TEXT_OK) {
        struct tokenized what;
        tokens.count = 0;
        if (!tokenizer_encode(engine->tokenizer, engine->scratch[0], text,
                              engine->member->spec.max_length, TOKENIZER_COUNT,
                              &tokens, &what, err)) {
            step = TEXT_ERROR;
            break;
        }
        print_line(program, engine->tokenizer, &tokens, &what);
    }
    tokens_free(&tokens);
    text_source_close(&source);
    return step == TEXT_END;
}

int command_tokenize(const struct program *program, struct error *err) {
    struct model_request *models = command_models_requested(program, err);
    if (!models)
        return EXIT_FAILED;
    struct run_options options;
    struct session session = {0};
    struct roster roster = {0};
    command_run_options(program, models, &options);
    options.devices = "cpu"; /* nothing is computed */
    bool fine = session_open(&session, &options, &program->sink, err) &&
                roster_open(&roster, &session, "", false, err);
    for (size_t i = 0; fine && i < roster.count; i++) {
        const struct member *member = &roster.members[i];
        struct engine *engine = NULL;
        if (member->error.code)
            *err = member->error;
        else
            engine = engine_load_tokenizer(&session, member, err);
        fine = engine && tokenize_all(program, engine, err);
        engine_free(engine);
    }
    roster_free(&roster);
    session_close(&session);
    memory_free(program->memory, models);
    return fine ? EXIT_FINE : EXIT_FAILED;
}
