/* heads.c - what is made of the last layer's rows: a vector a text, weights of
 * words, a vector a token, scores. */

#include "model/heads.h"

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* The widest row that the token modules give. */
static size_t token_width(const struct model_spec *spec) {
    size_t widest = spec->hidden;
    for (size_t i = 0; i < spec->token_count; i++)
        widest = larger(widest, spec->token[i].out);
    return widest;
}

/* Pooled rows: of sentences, or what a classifier reads. */
static size_t pooled_width(const struct model_spec *spec) {
    size_t width = larger(model_spec_head_width(spec), spec->labels);
    return spec->gives & HEAD_SCORE ? larger(width, spec->hidden) : width;
}

size_t heads_width(const struct model_spec *spec) {
    size_t widest = larger(spec->hidden, spec->embedding);
    if (spec->sentence_count || spec->gives & HEAD_SCORE)
        widest = larger(widest, pooled_width(spec));
    return larger(widest, token_width(spec));
}

void heads_place(struct layout *layout, const struct model_spec *spec,
                 size_t rows, struct lane_work *work) {
    size_t pooled = pooled_width(spec) * sizeof(float);
    size_t token = token_width(spec) * sizeof(float);
    work->pooled = layout_take(layout, rows, pooled);
    if (spec->sentence_count || spec->gives & HEAD_SCORE)
        work->projected = layout_take(layout, rows, pooled);
    if (spec->traits & TRAIT_MLM) {
        work->words =
            layout_take(layout, DECODED_ROWS, spec->vocab * sizeof(float));
        work->text = layout_take(layout, spec->vocab, sizeof(float));
        if (spec->splade != ACCUMULATE_MAX)
            work->lost = layout_take(layout, spec->vocab, sizeof(float));
    }
    if (spec->sparse == SPARSE_LEXICAL || spec->gives & HEAD_MULTI)
        work->token = layout_take(layout, rows, token);
    if (spec->token_count > 1)
        work->token_too = layout_take(layout, rows, token);
}

/* X of ROWS of the matrix's width through LINEAR. */
static void multiply(struct lane *lane, const struct lane_work *work,
                     const struct linear *linear, const float *x, size_t rows,
                     enum activation activation, float *y) {
    device_linear(lane, linear,
                  device_narrow(lane, x, rows * linear->in, work->inside), rows,
                  activation, NULL, y);
}

/* The same through a module, with what its residual adds. */
static void run_linear(struct lane *lane, const struct lane_work *work,
                       const struct module_spec *module,
                       const struct module_weights *weights, const float *x,
                       size_t rows, float *y) {
    const float *residual = NULL;
    const struct narrow *narrow =
        device_narrow(lane, x, rows * weights->linear.in, work->inside);
    if (weights->shortcut.out) {
        device_linear(lane, &weights->shortcut, narrow, rows, ACTIVATION_NONE,
                      NULL, y);
        residual = y;
    } else if (module->source->residual) {
        residual = x;
    }
    device_linear(lane, &weights->linear, narrow, rows, module->activation,
                  residual, y);
}

/* ---- one row a text ----------------------------------------------------- */

/* Rows of a prompt that pooling leaves out. */
static size_t skipped(const struct model_spec *spec,
                      const struct encoder_batch *batch) {
    return spec->pooling_include_prompt ? 0 : batch->prompt_tokens;
}

enum rows_meant heads_read(const struct model_spec *spec,
                           const struct encoder_batch *batch,
                           const struct encoder_output *out) {
    bool tokens = out->splade || out->lexical || out->multi;
    if (tokens || (out->dense && out->scores))
        return ROWS_ALL;
    if (out->scores)
        return pooling_row(spec->label_pooling);
    return spec->pooling_count == 1 && !skipped(spec, batch)
               ? pooling_row(spec->pooling[0])
               : ROWS_ALL;
}

/* ---- one vector a text -------------------------------------------------- */

static void pool(const struct model_spec *spec, struct lane *lane,
                 const struct lane_work *work, const struct group *group) {
    struct sequences counted = group->texts;
    if (group->read != ROWS_ALL)
        return;
    counted.skip = skipped(spec, group->batch);
    for (size_t i = 0; i < spec->pooling_count; i++)
        device_pool(lane, spec->pooling[i], &counted, work->x, spec->hidden,
                    work->pooled + i * spec->hidden,
                    model_spec_pooled_width(spec));
}

static void dense(const struct model_spec *spec, const struct weights *weights,
                  struct lane *lane, const struct lane_work *work,
                  const struct group *group) {
    size_t texts = group->texts.texts;
    float *from = work->pooled, *to = work->projected;
    pool(spec, lane, work, group);
    for (size_t i = 0; i < spec->sentence_count; i++) {
        const struct module_spec *module = &spec->sentence[i];
        if (module->what == MODULE_UNIT) {
            device_normalize(lane, from, texts, module->out);
        } else if (module->what == MODULE_NORM) {
            device_norm(lane, &weights->modules[i].norm, from, texts, NULL,
                        from, NULL);
        } else {
            run_linear(lane, work, module, &weights->modules[i], from, texts,
                       to);
            float *swap = from;
            from = to;
            to = swap;
        }
    }
    device_download(lane, from, texts * spec->width,
                    group->out->dense + group->first * spec->width);
}

/* ---- weights of words --------------------------------------------------- */

/* What the text's rows came to, with the logarithms that are taken of it; SPARE
 * [vocab] is lost. A sum over one row is its logarithm. */
static const float *text_words(const struct model_spec *spec, struct lane *lane,
                               const struct lane_work *work, float *spare) {
    if (!spec->splade_log)
        return work->text;
    device_accumulate(lane, ACCUMULATE_SUM_LOG1P, work->text, 1, spec->vocab,
                      true, spare, NULL);
    if (!spec->splade_log_twice)
        return spare;
    device_accumulate(lane, ACCUMULATE_SUM_LOG1P, spare, 1, spec->vocab, true,
                      work->text, NULL);
    return work->text;
}

/* Rows [begin, end) of the group are decoded: add them to their texts, the
 * first of which is *TEXT. A text that ends there is done. */
static void take_decoded(const struct model_spec *spec, struct lane *lane,
                         const struct lane_work *work,
                         const struct group *group, size_t begin, size_t end,
                         size_t *text) {
    while (begin < end) {
        size_t text_end = sequences_row(&group->texts, *text + 1);
        size_t stop = text_end < end ? text_end : end;
        float *words = work->words + begin % DECODED_ROWS * spec->vocab;
        device_accumulate(lane, spec->splade, words, stop - begin, spec->vocab,
                          begin == sequences_row(&group->texts, *text),
                          work->text, work->lost);
        if (stop == text_end) {
            device_download(
                lane, text_words(spec, lane, work, words), spec->vocab,
                group->out->splade + (group->first + *text) * spec->vocab);
            ++*text;
        }
        begin = stop;
    }
}

/* What the decoder reads: [rows, embedding], in work->inside. */
static void transform(const struct model_spec *spec,
                      const struct head_weights *head, struct lane *lane,
                      const struct lane_work *work, size_t rows) {
    const struct narrow *x =
        device_narrow(lane, work->x, rows * spec->hidden, work->narrow);
    if (!head->transform_norm.width) {
        device_linear_narrow(lane, &head->transform, x, rows, spec->word_inside,
                             work->inside);
        return;
    }
    device_linear(lane, &head->transform, x, rows, spec->word_inside, NULL,
                  work->other);
    device_norm(lane, &head->transform_norm, work->other, rows, NULL, NULL,
                work->inside);
}

/* The head that guesses words, some rows at a time: [rows, vocab] would be
 * large. */
static void splade(const struct model_spec *spec, const struct weights *weights,
                   struct lane *lane, const struct lane_work *work,
                   const struct group *group) {
    const struct linear *decoder = &weights->head.decoder;
    size_t rows = sequences_rows(&group->texts), text = 0;
    transform(spec, &weights->head, lane, work, rows);
    for (size_t row = 0; row < rows; row += DECODED_ROWS) {
        size_t end = rows - row < DECODED_ROWS ? rows : row + DECODED_ROWS;
        device_linear(lane, decoder,
                      narrow_row(lane->device, work->inside, row, decoder->in),
                      end - row, ACTIVATION_NONE, NULL, work->words);
        take_decoded(spec, lane, work, group, row, end, &text);
    }
}

/* model_spec_module's numbers: the token modules come behind the sentence's,
 * and the lexical one last. */
static void lexical(const struct model_spec *spec,
                    const struct weights *weights, struct lane *lane,
                    const struct lane_work *work, const struct group *group) {
    size_t module = spec->sentence_count + spec->token_count;
    size_t rows = sequences_rows(&group->texts);
    multiply(lane, work, &weights->modules[module].linear, work->x, rows,
             spec->lexical.activation, work->token);
    device_download(lane, work->token, rows,
                    group->out->lexical + group->batch->starts[group->first]);
}

/* ---- a vector a token --------------------------------------------------- */

/* May be last only: without a matrix it normalises x itself. */
static void multi(const struct model_spec *spec, const struct weights *weights,
                  struct lane *lane, const struct lane_work *work,
                  const struct group *group) {
    size_t rows = sequences_rows(&group->texts);
    float *from = work->x, *to = work->token, *other = work->token_too;
    for (size_t i = 0; i < spec->token_count; i++) {
        run_linear(lane, work, &spec->token[i],
                   &weights->modules[spec->sentence_count + i], from, rows, to);
        from = to;
        to = other;
        other = from;
    }
    if (spec->token_normalize)
        device_normalize(lane, from, rows, spec->multi_width);
    device_download(lane, from, rows * spec->multi_width,
                    group->out->multi +
                        group->batch->starts[group->first] * spec->multi_width);
}

/* ---- scores ------------------------------------------------------------- */

static void scores(const struct model_spec *spec, const struct weights *weights,
                   struct lane *lane, const struct lane_work *work,
                   const struct group *group) {
    const struct head_weights *head = &weights->head;
    size_t texts = group->texts.texts;
    float *from = work->pooled, *to = work->projected;
    if (group->read == ROWS_ALL)
        device_pool(lane, spec->label_pooling, &group->texts, work->x,
                    spec->hidden, from, spec->hidden);
    if (head->inside.out) {
        multiply(lane, work, &head->inside, from, texts, spec->label_inside,
                 to);
        from = to;
        to = work->pooled;
    }
    if (head->inside_norm.width)
        device_norm(lane, &head->inside_norm, from, texts, NULL, from, NULL);
    multiply(lane, work, &head->labels, from, texts, spec->label_activation,
             to);
    device_download(lane, to, texts * spec->labels,
                    group->out->scores + group->first * spec->labels);
}

void heads_run(const struct model_spec *spec, const struct weights *weights,
               struct lane *lane, const struct lane_work *work,
               const struct group *group) {
    const struct encoder_output *out = group->out;
    if (out->dense)
        dense(spec, weights, lane, work, group);
    if (out->splade)
        splade(spec, weights, lane, work, group);
    if (out->lexical)
        lexical(spec, weights, lane, work, group);
    if (out->scores)
        scores(spec, weights, lane, work, group);
    if (out->multi)
        multi(spec, weights, lane, work, group);
}
