/* cmd_embed.c - `ensembed embed`: the vectors of a few texts. */

#include "cli/command.h"
#include "data/npy.h"
#include "run/engine.h"
#include "run/roster.h"

enum { BLOCK_TEXTS = 256 };

/* Texts on their way through one model, a block at a time. */
struct embedding_job {
    const struct program *program;
    const struct member *member;
    struct engine *engine;
    struct strbuf bytes;
    size_t ends[BLOCK_TEXTS];
    size_t count;
    struct tokens tokens;
    float *vectors;      /* [BLOCK_TEXTS, spec.width] */
    struct strbuf *rows; /* for --npy: all vectors so far; NULL: print */
    uint64_t done;
};

static void print_vector(const float *vector, size_t width) {
    putchar('[');
    for (size_t i = 0; i < width; i++)
        printf("%s%.9g", i ? ", " : "", (double)vector[i]);
    printf("]\n");
}

/* Encode texts [first, end) of the block, whose ids begin at STARTS. */
static bool encode_texts(struct embedding_job *job, const size_t *starts,
                         size_t first, size_t end, struct error *err) {
    uint32_t packed[BLOCK_TEXTS + 1];
    for (size_t i = first; i <= end; i++)
        packed[i - first] = (uint32_t)(starts[i] - starts[first]);
    if (!packed[end - first])
        return true; /* no token in all of them: flush_block says so */
    return engine_encode(job->engine, job->tokens.ids + starts[first], packed,
                         end - first,
                         job->vectors + first * job->member->spec.width, err);
}

static bool emit_vector(struct embedding_job *job, size_t i,
                        struct error *err) {
    float *vector = job->vectors + i * job->member->spec.width;
    const char *reason;
    job->done++;
    if (!vector_is_sound(job->member, vector, &reason))
        return error_set(err, ERROR_VECTOR,
                         "%s: the vector of text %zu is bad: %s",
                         job->member->key, (size_t)job->done, reason);
    member_cut(job->member, vector);
    if (!job->rows) {
        print_vector(vector, job->member->width);
        return true;
    }
    strbuf_add(job->rows, (struct str){(const char *)vector,
                                       job->member->width * sizeof *vector});
    return strbuf_ok(job->rows, err);
}

static bool flush_block(struct embedding_job *job, struct error *err) {
    struct str texts[BLOCK_TEXTS];
    size_t starts[BLOCK_TEXTS + 1], budget = job->engine->batch_tokens;
    for (size_t i = 0; i < job->count; i++) {
        size_t begin = i ? job->ends[i - 1] : 0;
        texts[i] = (struct str){job->bytes.data + begin, job->ends[i] - begin};
    }
    job->tokens.count = 0;
    bool fine = engine_tokenize(job->engine, texts, job->count, &job->tokens,
                                starts, err);
    for (size_t first = 0, end; fine && first < job->count; first = end) {
        end = first + 1;
        while (end < job->count && starts[end + 1] - starts[first] <= budget)
            end++;
        fine = encode_texts(job, starts, first, end, err);
    }
    for (size_t i = 0; fine && i < job->count; i++)
        fine = starts[i + 1] > starts[i]
                   ? emit_vector(job, i, err)
                   : error_set(err, ERROR_INPUT,
                               "%s: text %zu has no token for this model",
                               job->member->key, (size_t)job->done + 1);
    job->count = 0;
    strbuf_clear(&job->bytes);
    return fine;
}

static bool embed_all(struct embedding_job *job, struct error *err) {
    struct text_source source;
    struct str text;
    enum text_step step;
    bool fine = true;
    text_source_open(&source, job->program);
    while (fine && (step = text_source_next(&source, &text, err)) == TEXT_OK) {
        strbuf_add(&job->bytes, text);
        job->ends[job->count++] = job->bytes.size;
        fine = strbuf_ok(&job->bytes, err) &&
               (job->count < BLOCK_TEXTS || flush_block(job, err));
    }
    fine = fine && step == TEXT_END && (!job->count || flush_block(job, err));
    text_source_close(&source);
    return fine;
}

static bool write_npy(const struct program *program, const struct strbuf *rows,
                      uint64_t count, size_t width, struct error *err) {
    struct npy_writer writer;
    bool fine = npy_writer_open(&writer, program->options->npy, count, width,
                                program->memory, err);
    if (!fine)
        return false;
    fine = npy_writer_add(&writer, (const float *)(const void *)rows->data,
                          count, err) &&
           npy_writer_commit(&writer, err);
    npy_writer_close(&writer);
    return fine;
}

static bool embed_member(const struct program *program, struct session *session,
                         const struct member *member, struct error *err) {
    struct strbuf rows = strbuf_make(program->memory);
    struct embedding_job job = {.program = program,
                                .member = member,
                                .bytes = strbuf_make(program->memory),
                                .tokens = tokens_make(program->memory),
                                .rows = program->options->npy ? &rows : NULL};
    if (member->error.code) {
        *err = member->error;
        return false;
    }
    job.engine = engine_load(session, member, member->request->budget, err);
    job.vectors = memory_alloc(program->memory, BLOCK_TEXTS,
                               member->spec.width * sizeof(float), err);
    bool fine =
        job.engine && job.vectors && embed_all(&job, err) &&
        (!job.rows || write_npy(program, &rows, job.done, member->width, err));
    engine_free(job.engine);
    memory_free(program->memory, job.vectors);
    tokens_free(&job.tokens);
    strbuf_free(&job.bytes);
    strbuf_free(&rows);
    return fine;
}

int command_embed(const struct program *program, struct error *err) {
    const struct options *options = program->options;
    if (options->models.count > 1 &&
        (options->npy || options->words.count == 0)) {
        error_set(err, ERROR_USAGE,
                  "embed reads its input once and writes one array: give one "
                  "--model at a time with standard input or --npy");
        return EXIT_FAILED;
    }
    struct model_request *models = command_models_requested(program, err);
    if (!models)
        return EXIT_FAILED;
    struct run_options run;
    struct session session = {0};
    struct roster roster = {0};
    command_run_options(program, models, &run);
    run.fuse = FUSE_CONCAT; /* each model's own vectors: any widths will do */
    bool fine = session_open(&session, &run, &program->sink, err) &&
                roster_open(&roster, &session, "", false, err);
    for (size_t i = 0; fine && i < roster.count; i++)
        fine = embed_member(program, &session, &roster.members[i], err);
    roster_free(&roster);
    session_close(&session);
    memory_free(program->memory, models);
    return fine ? EXIT_FINE : EXIT_FAILED;
}
