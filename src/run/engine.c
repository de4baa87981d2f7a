#include "run/engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "run/head_rules.h"
#include "run/markers.h"
#include "run/plan.h"
#include "text/folder.h"

/* Room for longer texts is only made when one comes: some models take texts of
 * any length. */
enum { LONGEST_AT_FIRST = 32768 };

/* The tokenizer of the model's files, with MORE special tokens. */
static bool make_tokenizer(struct engine *engine, const struct str *more,
                           size_t more_count, struct error *err) {
    const struct model_files *files = engine->member->files;
    struct file_map maps[TOKENIZER_FILES_MAX] = {{0}};
    struct tokenizer_file contents[TOKENIZER_FILES_MAX];
    const json_t *type = json_object_get(files->config, "model_type");
    const json_t *class = json_object_get(files->config, "tokenizer_class");
    struct tokenizer_folder folder = {.path = files->tokenizer_folder,
                                      .model_type = json_string_value(type),
                                      .tokenizer_class =
                                          json_string_value(class),
                                      .files = contents,
                                      .lower = files->do_lower_case,
                                      .bare = files->tokenizer_bare,
                                      .specials = more,
                                      .specials_count = more_count};
    bool fine = true;
    for (size_t i = 0; fine && i < files->tokenizer_files_count; i++) {
        const struct tokenizer_path *file = &files->tokenizer_files[i];
        if (!(fine = file_map_open(&maps[i], file->path, err)))
            break;
        contents[folder.count++] =
            (struct tokenizer_file){file->name, {maps[i].data, maps[i].size}};
    }
    struct tokenizer *made =
        fine ? tokenizer_create_folder(&engine->session->memory, &folder, err)
             : NULL;
    for (size_t i = 0; i < folder.count; i++)
        file_map_close(&maps[i]);
    tokenizer_free(engine->tokenizer);
    engine->tokenizer = made;
    return made;
}

/* Once more, where the model has markers that it would break. */
static bool mark(struct engine *engine, struct error *err) {
    struct memory *memory = &engine->session->memory;
    const struct model_files *files = engine->member->files;
    struct str broken[MARKERS_MAX];
    size_t count = 0;
    if (!files->multi.query_marker && !files->multi.document_marker)
        return true;
    struct tokenizer_scratch *scratch =
        tokenizer_scratch_create(engine->tokenizer, memory, err);
    bool fine = scratch && markers_broken(engine->tokenizer, scratch, memory,
                                          &files->multi, broken, &count, err);
    tokenizer_scratch_free(scratch);
    return fine && (!count || make_tokenizer(engine, broken, count, err));
}

static bool load_tokenizer(struct engine *engine, struct error *err) {
    struct memory *memory = &engine->session->memory;
    uint64_t before = memory_live(memory);
    if (!make_tokenizer(engine, NULL, 0, err) || !mark(engine, err))
        return false;
    unsigned threads = pool_threads(engine->session->pool);
    engine->scratch =
        memory_zalloc(memory, threads, sizeof *engine->scratch, err);
    for (unsigned i = 0; engine->scratch && i < threads; i++) {
        engine->scratch[i] =
            tokenizer_scratch_create(engine->tokenizer, memory, err);
        if (!engine->scratch[i] ||
            !tokenizer_scratch_reserve(engine->tokenizer, engine->scratch[i],
                                       engine->member->spec.max_length, err))
            return false;
    }
    engine->tokenizer_bytes = memory_live(memory) - before;
    return engine->scratch != NULL;
}

/* On the first device with room, the whole model or what streams. */
static bool load_resident(struct engine *engine, size_t batch_tokens,
                          size_t longest, struct error *err) {
    struct session *session = engine->session;
    const struct member *member = engine->member;
    struct plan_home home;
    if (!plan_home(session, member, batch_tokens, longest, &home, err))
        return false;
    struct station *station = &session->stations[home.station];
    struct lease_terms terms = session_lease_terms(session);
    if (!lease_acquire(&station->lease, station->device, member->key, &terms,
                       err))
        return false;
    engine->resident = station_load(station, member, &home.placement, err);
    engine->batch_tokens = home.tokens;
    return engine->resident && station_lay_out(station, engine->resident,
                                               home.tokens, longest, err);
}

bool engine_bring(struct engine *engine, size_t longest, struct error *err) {
    struct resident *resident = engine->resident;
    if (!resident)
        return load_resident(engine, 0, longest, err);
    if (resident->budget.longest >= longest)
        return true;
    if (engine->batch_tokens < longest)
        engine->batch_tokens = longest;
    return station_lay_out(resident->station, resident, engine->batch_tokens,
                           longest, err);
}

static void free_resident(struct engine *engine) {
    struct resident *resident = engine->resident;
    if (!resident)
        return;
    struct station *station = resident->station;
    uint64_t peak = memory_peak(station->device->account);
    station_unload(station, resident);
    station_clear(station);
    lease_release(&station->lease, peak, engine->batch_tokens);
}

/* Tokens of the prompt alone, special ones included; CLOSED: the last is one
 * that the tokenizer's files name. */
static bool prompt_size(struct engine *engine, size_t *size, bool *closed,
                        struct error *err) {
    struct tokens tokens = tokens_make(&engine->session->memory);
    struct tokenized what;
    bool fine = tokenizer_encode(
        engine->tokenizer, engine->scratch[0], str_from(engine->prompt),
        engine->member->spec.max_length, TOKENIZER_CUT, &tokens, &what, err);
    *size = tokens.count;
    *closed = tokens.count && tokenizer_is_named(engine->tokenizer,
                                                 tokens.ids[tokens.count - 1]);
    tokens_free(&tokens);
    return fine;
}

/* Tokens that the prompt takes at the start of each text, as
 * sentence-transformers 6 counts them (Transformer._get_prompt_length): those
 * of the prompt alone, less a last one that is special, be it the template's or
 * the prompt's own. */
static bool measure_prompt(struct engine *engine, struct error *err) {
    const struct member *member = engine->member;
    size_t size;
    bool closed;
    engine->prompt_tokens = 0;
    if (!engine->prompt || member->spec.pooling_include_prompt)
        return true;
    if (!prompt_size(engine, &size, &closed, err))
        return false;
    engine->prompt_tokens = size - (closed ? 1 : 0);
    return true;
}

bool engine_use_prompt(struct engine *engine, const char *prompt,
                       struct error *err) {
    engine->prompt = prompt;
    return measure_prompt(engine, err);
}

/* Each window of a long text begins as the text does: with the prompt. */
static bool frame_windows(struct engine *engine, struct error *err) {
    const struct long_texts *how = &engine->session->options->long_texts;
    const struct member *member = engine->member;
    size_t specials = tokenizer_special_count(engine->tokenizer);
    size_t before = tokenizer_special_before(engine->tokenizer), prompt = 0;
    bool closed;
    if (!how->windows)
        return true;
    if (engine->prompt && !prompt_size(engine, &prompt, &closed, err))
        return false;
    prompt = prompt > specials ? prompt - specials : 0;
    engine->frame = (struct long_frame){.limit = member->spec.max_length,
                                        .head = before + prompt,
                                        .tail = specials - before,
                                        .overlap = how->overlap};
    return long_frame_check(&engine->frame, member->key, err);
}

/* Said here, where the model has a name. */
static bool check_room(const struct engine *engine, struct error *err) {
    size_t limit = engine->member->spec.max_length;
    size_t specials = tokenizer_special_count(engine->tokenizer);
    return limit >= specials ||
           error_set(err, ERROR_INPUT,
                     "%s: its files allow texts of %zu tokens, which leaves no "
                     "room for the %zu special ones: raise the limit there "
                     "(max_seq_length, model_max_length)",
                     engine->member->files->folder, limit, specials);
}

static struct engine *load(struct session *session, const struct member *member,
                           size_t batch_tokens, bool weights,
                           struct error *err) {
    int64_t begin = clock_now_ns();
    struct engine *engine =
        memory_zalloc(&session->memory, 1, sizeof *engine, err);
    if (!engine)
        return NULL;
    engine->session = session;
    engine->member = member;
    engine->prompt = member->prompt;
    size_t longest = member->spec.max_length;
    if (longest > LONGEST_AT_FIRST)
        longest = LONGEST_AT_FIRST;
    if (!load_tokenizer(engine, err) || !check_room(engine, err) ||
        !measure_prompt(engine, err) || !frame_windows(engine, err) ||
        !head_rules_find(member->files, engine->tokenizer, &engine->rules,
                         err) ||
        (weights && !load_resident(engine, batch_tokens, longest, err))) {
        engine_free(engine);
        return NULL;
    }
    engine->load_ms = (double)(clock_now_ns() - begin) / 1e6;
    return engine;
}

struct engine *engine_load(struct session *session, const struct member *member,
                           size_t batch_tokens, struct error *err) {
    return load(session, member, batch_tokens, true, err);
}

struct engine *engine_load_tokenizer(struct session *session,
                                     const struct member *member,
                                     struct error *err) {
    return load(session, member, 0, false, err);
}

void engine_free(struct engine *engine) {
    if (!engine)
        return;
    struct memory *memory = &engine->session->memory;
    unsigned threads = pool_threads(engine->session->pool);
    free_resident(engine);
    for (unsigned i = 0; engine->scratch && i < threads; i++)
        tokenizer_scratch_free(engine->scratch[i]);
    memory_free(memory, engine->scratch);
    tokenizer_free(engine->tokenizer);
    memory_free(memory, engine);
}

/* Copies of TEXTS with the prompt before each. */
static struct str *prompted(struct engine *engine, const struct str *texts,
                            size_t count, struct strbuf *buf,
                            struct error *err) {
    struct str prompt = str_from(engine->prompt);
    struct str *out =
        memory_alloc(&engine->session->memory, count, sizeof *out, err);
    if (!out)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        strbuf_add(buf, prompt);
        strbuf_add(buf, texts[i]);
    }
    if (!strbuf_ok(buf, err)) {
        memory_free(&engine->session->memory, out);
        return NULL;
    }
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        out[i] = (struct str){buf->data + at, prompt.size + texts[i].size};
        at += out[i].size;
    }
    return out;
}

bool engine_tokenize_prompted(struct engine *engine, const struct str *texts,
                              size_t count, enum tokenizer_count counting,
                              struct tokens *out, size_t *starts, size_t *cut,
                              struct error *err) {
    return tokenizer_encode_batch(
        engine->tokenizer, engine->scratch, engine->session->pool, texts, count,
        engine->frame.limit ? 0 : engine->member->spec.max_length, counting,
        out, starts, cut, err);
}

bool engine_tokenize(struct engine *engine, const struct str *texts,
                     size_t count, struct tokens *out, size_t *starts,
                     struct error *err) {
    struct strbuf buf = strbuf_make(&engine->session->memory);
    struct str *copies = NULL;
    if (engine->prompt) {
        copies = prompted(engine, texts, count, &buf, err);
        if (!copies) {
            strbuf_free(&buf);
            return false;
        }
    }
    bool fine = engine_tokenize_prompted(engine, copies ? copies : texts, count,
                                         TOKENIZER_CUT, out, starts, NULL, err);
    memory_free(&engine->session->memory, copies);
    strbuf_free(&buf);
    return fine;
}

bool engine_check_ids(const struct member *member, const uint32_t *ids,
                      size_t count, struct error *err) {
    size_t vocab = member->spec.vocab;
    for (size_t i = 0; i < count; i++)
        if (ids[i] >= vocab)
            return error_set(err, ERROR_INPUT,
                             "%s: its tokenizer gives id %u, but the model has "
                             "only %zu; they do not belong together",
                             member->files->folder, ids[i], vocab);
    return true;
}

static size_t longest_of(const uint32_t *starts, size_t texts) {
    size_t longest = 0;
    for (size_t i = 0; i < texts; i++)
        if (starts[i + 1] - starts[i] > longest)
            longest = starts[i + 1] - starts[i];
    return longest;
}

bool engine_encode(struct engine *engine, const uint32_t *ids,
                   const uint32_t *starts, size_t texts, float *vectors,
                   struct error *err) {
    if (!engine_check_ids(engine->member, ids, starts[texts], err) ||
        !engine_bring(engine, longest_of(starts, texts), err))
        return false;
    struct encoder_batch batch = {.ids = ids,
                                  .starts = starts,
                                  .texts = texts,
                                  .prompt_tokens = engine->prompt_tokens};
    struct encoder_output out = {.dense = vectors};
    return encoder_encode(engine->resident->encoder, &batch, &out, err);
}

bool vector_is_sound(const struct member *member, const float *vector,
                     const char **reason) {
    double sum = 0;
    for (size_t i = 0; i < member->spec.width; i++)
        sum += (double)vector[i] * vector[i];
    if (!isfinite(sum))
        *reason = "it is not finite";
    else if (sum == 0)
        *reason = "it is zero";
    else if (member->spec.normalize && fabs(sqrt(sum) - 1) > 1e-3)
        *reason = "its length is not 1, though the model normalises";
    else
        return true;
    return false;
}

bool engine_embed_text(struct engine *engine, struct str text, float *vector,
                       struct error *err) {
    const struct member *member = engine->member;
    struct memory *memory = &engine->session->memory;
    struct tokens tokens = tokens_make(memory);
    size_t starts[2];
    float *own = memory_alloc(memory, member->spec.width, sizeof *own, err);
    bool fine = own && engine_tokenize(engine, &text, 1, &tokens, starts, err);
    if (fine) {
        uint32_t packed[2] = {0, (uint32_t)tokens.count};
        fine = tokens.count > 0
                   ? engine_encode(engine, tokens.ids, packed, 1, own, err)
                   : error_set(err, ERROR_INPUT, "an empty text has no vector");
    }
    const char *reason;
    if (fine && !vector_is_sound(member, own, &reason))
        fine = error_set(err, ERROR_VECTOR, "%s: the text's vector is bad: %s",
                         member->key, reason);
    if (fine) {
        member_cut(member, own);
        memcpy(vector, own, member->width * sizeof *vector);
    }
    tokens_free(&tokens);
    memory_free(memory, own);
    return fine;
}
