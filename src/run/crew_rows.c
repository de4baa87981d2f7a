#include "run/crew_rows.h"

#include <math.h>
#include <string.h>

#include "model/sparse_rows.h"
#include "run/crew.h"
#include "run/engine.h"

enum {
    WORDS_BYTES = 8 << 20,    /* of [texts, vocab] */
    VECTORS_BYTES = 32 << 20, /* of [tokens, multi_width] */
    WORDS_LEAST =
        2, /* rows: a window is taken into the one before it in place */
    WINDOWS_MOST = 16 /* of a long text, encoded together */
};

/* ---- sizes -------------------------------------------------------------- */

static bool gives_words(const struct member *member) {
    return member_has(member, ROW_SPARSE) &&
           member->spec.sparse != SPARSE_LEXICAL;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

struct row_batch rows_by_head(const struct batch_rows *rows,
                              const struct member *member, enum row_kind head) {
    return (struct row_batch){.kind = head,
                              .width = member_head_width(member, head),
                              .spans = head == ROW_SPARSE ? rows->pairs_of
                                                          : rows->vectors_of,
                              .indices = rows->indices,
                              .values = head == ROW_DENSE    ? rows->dense
                                        : head == ROW_SPARSE ? rows->values
                                                             : rows->vectors};
}

size_t rows_texts_most(const struct member *member, size_t most) {
    if (!gives_words(member) || !member->spec.vocab)
        return most;
    size_t texts = WORDS_BYTES / (member->spec.vocab * sizeof(float));
    return smaller(most, larger(texts, WORDS_LEAST));
}

size_t rows_tokens_most(const struct member *member, size_t tokens) {
    if (!member_has(member, ROW_MULTI) || !member->spec.multi_width)
        return tokens;
    size_t most = VECTORS_BYTES / (member->spec.multi_width * sizeof(float));
    return smaller(tokens, larger(most, member->spec.max_length));
}

void rows_size_add(struct rows_size *size, const struct member *member,
                   size_t texts, size_t tokens, const struct long_frame *frame,
                   size_t longest) {
    const struct model_spec *spec = &member->spec;
    bool windows = long_is(frame, longest);
    size_t words = windows ? smaller(spec->vocab, longest) : 0;
    size_t rows =
        windows ? larger(tokens, long_tokens(frame, longest)) : tokens;
    if (windows) /* the rows of a text's windows have to fit, too */
        texts = larger(texts, WINDOWS_MOST);
    texts = rows_texts_most(member, texts);
    size->texts = larger(size->texts, texts);
    if (member_has(member, ROW_DENSE))
        size->dense = larger(size->dense, texts * spec->width);
    if (gives_words(member))
        size->pairs = larger(size->pairs, texts * spec->vocab);
    else if (member_has(member, ROW_SPARSE))
        size->pairs = larger(size->pairs, tokens + words);
    if (member_has(member, ROW_MULTI))
        size->vectors = larger(size->vectors, rows * spec->multi_width);
    if (windows && member_has(member, ROW_DENSE))
        size->sum = larger(size->sum, spec->width);
}

void rows_place(struct layout *l, const struct rows_size *size,
                struct batch_rows *rows) {
    *rows = (struct batch_rows){
        .dense = layout_take(l, size->dense, sizeof *rows->dense),
        .indices = layout_take(l, size->pairs, sizeof *rows->indices),
        .values = layout_take(l, size->pairs, sizeof *rows->values),
        .vectors = layout_take(l, size->vectors, sizeof *rows->vectors),
        .sum = layout_take(l, size->sum, sizeof *rows->sum),
        .pairs_of = layout_take(l, size->texts, sizeof *rows->pairs_of),
        .vectors_of = layout_take(l, size->texts, sizeof *rows->vectors_of),
        .why = layout_take(l, size->texts, sizeof *rows->why),
    };
}

/* ---- what came out ------------------------------------------------------ */

static bool wants(const struct batch *batch, enum row_kind head) {
    return batch->job->heads & head_bit(head);
}

static bool all_finite(const float *values, size_t count) {
    float sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i] * 0.0f; /* 0, or NaN for ever */
    return sum == 0;
}

/* Numbers that are not finite are seen before they are made rows of: a NaN is
 * no pair, and would be gone without a word. */
static void check_raw(const struct batch *batch, size_t text, size_t tokens,
                      const float *weights, const float *words,
                      const float *vectors) {
    const struct model_spec *spec = &batch->job->member->spec;
    bool fine = (!weights || all_finite(weights, tokens)) &&
                (!words || all_finite(words, spec->vocab)) &&
                (!vectors || all_finite(vectors, tokens * spec->multi_width));
    if (!fine)
        batch->rows.why[text] = "it is not finite";
}

/* Of a text that is done: whether its rows may be stored. */
static void judge(struct batch *batch, size_t text, bool empty) {
    const struct member *member = batch->job->member;
    const char **why = &batch->rows.why[text];
    if (empty && (wants(batch, ROW_DENSE) || wants(batch, ROW_MULTI)))
        *why = "its text has no token for this model";
    else if (!*why && wants(batch, ROW_DENSE))
        vector_is_sound(member, batch->rows.dense + text * member->spec.width,
                        why);
    if (empty)
        return; /* no tokens, no vector */
    batch->sound += !*why;
    batch->unsound += *why != NULL;
}

/* ---- whole texts -------------------------------------------------------- */

static void take_pairs(struct batch *batch, size_t text) {
    const struct member *member = batch->job->member;
    const struct head_rules *rules = batch->job->rules;
    struct batch_rows *rows = &batch->rows;
    size_t begin = batch->starts[text], end = batch->starts[text + 1];
    struct row_span *span = &rows->pairs_of[text];
    if (gives_words(member)) {
        size_t vocab = member->spec.vocab;
        float *words = rows->values + text * vocab;
        check_raw(batch, text, end - begin, NULL, words, NULL);
        *span = (struct row_span){
            text * vocab,
            end == begin
                ? 0
                : sparse_splade(words, vocab, member->files->sparse.active_max,
                                rows->indices + text * vocab, words)};
        return;
    }
    check_raw(batch, text, end - begin, rows->values + begin, NULL, NULL);
    *span = (struct row_span){
        begin, sparse_lexical(batch->ids + begin, rows->values + begin,
                              end - begin, rules->dropped, rules->dropped_count,
                              rows->indices + begin, rows->values + begin)};
}

static void take_vectors(struct batch *batch, size_t text) {
    size_t width = batch->job->member->spec.multi_width;
    size_t begin = batch->starts[text], end = batch->starts[text + 1];
    float *vectors = batch->rows.vectors + begin * width;
    check_raw(batch, text, end - begin, NULL, NULL, vectors);
    batch->rows.vectors_of[text] = (struct row_span){
        begin, multi_keep(&batch->job->rules->rule, batch->ids + begin,
                          end - begin, vectors, width)};
}

/* Where the encoder writes the batch; NULL: not wanted. */
static struct encoder_output outputs(const struct batch *batch) {
    const struct batch_rows *rows = &batch->rows;
    bool words = gives_words(batch->job->member);
    bool sparse = wants(batch, ROW_SPARSE);
    return (struct encoder_output){
        .dense = wants(batch, ROW_DENSE) ? rows->dense : NULL,
        .lexical = sparse && !words ? rows->values : NULL,
        .splade = sparse && words ? rows->values : NULL,
        .multi = wants(batch, ROW_MULTI) ? rows->vectors : NULL,
    };
}

static bool run(struct encoder *encoder, const struct batch *batch,
                size_t texts, const struct encoder_output *out,
                struct error *err) {
    struct encoder_batch in = {.ids = batch->ids,
                               .starts = batch->starts,
                               .texts = texts,
                               .prompt_tokens = batch->job->prompt_tokens};
    return engine_check_ids(batch->job->member, batch->ids,
                            batch->starts[texts], err) &&
           encoder_encode(encoder, &in, out, err);
}

static bool encode_texts(struct encoder *encoder, struct batch *batch,
                         struct error *err) {
    struct encoder_output out = outputs(batch);
    if (!run(encoder, batch, batch->texts, &out, err))
        return false;
    for (size_t i = 0; i < batch->texts; i++) {
        if (wants(batch, ROW_SPARSE))
            take_pairs(batch, i);
        if (wants(batch, ROW_MULTI))
            take_vectors(batch, i);
        judge(batch, i, batch->starts[i + 1] == batch->starts[i]);
    }
    return true;
}

/* ---- a text in windows -------------------------------------------------- */

/* The text on its way, window by window. */
struct windows {
    struct batch *batch;
    const uint32_t *ids; /* the text's */
    size_t tokens, count;
    size_t done;   /* windows */
    size_t weight; /* content ids of those */
    size_t first;  /* row of outputs of the first window that is encoded */
    size_t kept;   /* pairs or vectors of the windows that are done */
};

/* As many windows as the budget allows, to the batch's ids; how many. */
static size_t cut_windows(const struct windows *w, size_t budget) {
    struct batch *batch = w->batch;
    const struct long_frame *frame = batch->job->frame;
    size_t most = rows_texts_most(batch->job->member, WINDOWS_MOST);
    size_t used = 0, count = 0;
    while (w->done + count < w->count && used + frame->limit <= budget &&
           w->first + count < most) {
        used += long_window(frame, w->ids, w->tokens, w->done + count,
                            batch->ids + used);
        batch->starts[++count] = (uint32_t)used;
    }
    return count;
}

/* Rows are added up in the order of the windows, whatever was encoded
 * together. */
static void add_dense(struct windows *w, size_t window, const float *row) {
    struct batch *batch = w->batch;
    size_t width = batch->job->member->spec.width;
    double weight = (double)long_content(batch->job->frame, w->tokens, window);
    for (size_t i = 0; i < width; i++)
        batch->rows.sum[i] =
            (window ? batch->rows.sum[i] : 0) + weight * (double)row[i];
}

/* Rows [first, first + count) of words: the largest of each goes to row 0. */
static void add_words(struct windows *w, size_t count) {
    size_t vocab = w->batch->job->member->spec.vocab;
    float *all = w->batch->rows.values;
    for (size_t k = w->first; k < w->first + count; k++) {
        const float *row = all + k * vocab;
        check_raw(w->batch, 0, 0, NULL, row, NULL);
        for (size_t i = 0; i < vocab && k > 0; i++)
            all[i] = row[i] > all[i] ? row[i] : all[i];
    }
}

static void add_weights(struct windows *w, size_t tokens) {
    struct batch *batch = w->batch;
    struct batch_rows *rows = &batch->rows;
    const struct head_rules *rules = batch->job->rules;
    check_raw(batch, 0, tokens, rows->values + w->kept, NULL, NULL);
    memcpy(rows->indices + w->kept, batch->ids, tokens * sizeof *batch->ids);
    w->kept = sparse_lexical(rows->indices, rows->values, w->kept + tokens,
                             rules->dropped, rules->dropped_count,
                             rows->indices, rows->values);
}

static void add_vectors(struct windows *w, size_t *kept, size_t count) {
    struct batch *batch = w->batch;
    size_t width = batch->job->member->spec.multi_width;
    float *all = batch->rows.vectors;
    size_t raw = *kept;
    check_raw(batch, 0, batch->starts[count], NULL, NULL, all + raw * width);
    for (size_t k = 0; k < count; k++) {
        size_t begin = batch->starts[k], size = batch->starts[k + 1] - begin;
        memmove(all + *kept * width, all + (raw + begin) * width,
                size * width * sizeof *all);
        *kept += multi_keep(&batch->job->rules->rule, batch->ids + begin, size,
                            all + *kept * width, width);
    }
}

static bool encode_some(struct encoder *encoder, struct windows *w,
                        size_t budget, size_t *vectors, struct error *err) {
    struct batch *batch = w->batch;
    const struct member *member = batch->job->member;
    struct encoder_output out = outputs(batch);
    bool words = out.splade != NULL;
    w->first = words && w->done ? 1 : 0;
    size_t count = cut_windows(w, budget);
    if (words)
        out.splade += w->first * member->spec.vocab;
    if (out.lexical)
        out.lexical += w->kept;
    if (out.multi)
        out.multi += *vectors * member->spec.multi_width;
    if (!run(encoder, batch, count, &out, err))
        return false;
    batch->tokens += batch->starts[count];
    for (size_t k = 0; k < count && out.dense; k++)
        add_dense(w, w->done + k, out.dense + k * member->spec.width);
    if (words)
        add_words(w, count);
    if (out.lexical)
        add_weights(w, batch->starts[count]);
    if (out.multi)
        add_vectors(w, vectors, count);
    for (size_t k = 0; k < count; k++)
        w->weight += long_content(batch->job->frame, w->tokens, w->done + k);
    w->done += count;
    return true;
}

static void finish_dense(const struct windows *w) {
    const struct model_spec *spec = &w->batch->job->member->spec;
    const double *sum = w->batch->rows.sum;
    double square = 0, scale = (double)w->weight;
    for (size_t i = 0; i < spec->width; i++)
        square += sum[i] / scale * (sum[i] / scale);
    if (spec->normalize)
        scale *= sqrt(square);
    for (size_t i = 0; i < spec->width; i++)
        w->batch->rows.dense[i] = (float)(sum[i] / scale);
}

static bool encode_windows(struct encoder *encoder, struct batch *batch,
                           size_t budget, struct error *err) {
    const struct window *all = batch->job->window;
    uint32_t text = all->order[batch->piece.first];
    struct windows w = {.batch = batch,
                        .ids = all->tokens.ids + all->starts[text],
                        .tokens = window_text_tokens(all, text)};
    struct batch_rows *rows = &batch->rows;
    const struct member *member = batch->job->member;
    size_t vectors = 0;
    w.count = long_windows(batch->job->frame, w.tokens);
    batch->tokens = 0;
    while (w.done < w.count)
        if (!encode_some(encoder, &w, budget, &vectors, err))
            return false;
    if (wants(batch, ROW_DENSE))
        finish_dense(&w);
    if (wants(batch, ROW_SPARSE) && gives_words(member))
        w.kept = sparse_splade(rows->values, member->spec.vocab,
                               member->files->sparse.active_max, rows->indices,
                               rows->values);
    rows->pairs_of[0] = (struct row_span){0, w.kept};
    rows->vectors_of[0] = (struct row_span){0, vectors};
    judge(batch, 0, false);
    return true;
}

bool batch_is_windows(const struct batch *batch) {
    const struct window *w = batch->job->window;
    return batch->texts == 1 &&
           long_is(batch->job->frame,
                   window_text_tokens(w, w->order[batch->piece.first]));
}

bool batch_encode(struct encoder *encoder, struct batch *batch, size_t budget,
                  struct error *err) {
    batch->sound = batch->unsound = 0;
    for (size_t i = 0; i < batch->texts; i++)
        batch->rows.why[i] = NULL;
    return batch_is_windows(batch) ? encode_windows(encoder, batch, budget, err)
                                   : encode_texts(encoder, batch, err);
}
