/* test_strict.c - every reference model on a device that is as unlike the CPU
 * as a card is (strict_device.h): where its narrow numbers are whole floats,
 * all heads give the CPU's bits, and where they are f16, much the same. */

#include "model/fixture.h"

#include <dirent.h>
#include <math.h>

#include "model/cosine.h"
#include "model/strict_device.h"

enum { TEXTS = 9, TOKENS_MAX = 400 };

struct texts {
    uint32_t ids[TOKENS_MAX], starts[TEXTS + 1], second[TEXTS];
    struct encoder_batch batch;
    size_t longest;
};

static void make_texts(struct texts *t, const struct model_spec *spec) {
    static const uint32_t lengths[TEXTS] = {1, 40, 7, 33, 2, 25, 8, 40, 5};
    *t = (struct texts){0};
    for (size_t i = 0; i < TEXTS; i++) {
        uint32_t length = lengths[i];
        if (length > spec->max_length)
            length = (uint32_t)spec->max_length;
        t->starts[i + 1] = t->starts[i] + length;
        t->second[i] = length / 2;
        t->longest = length > t->longest ? length : t->longest;
    }
    for (size_t i = 0; i < t->starts[TEXTS]; i++)
        t->ids[i] = (uint32_t)(i * 2654435761u % spec->vocab);
    t->batch = (struct encoder_batch){.ids = t->ids,
                                      .starts = t->starts,
                                      .texts = TEXTS,
                                      .second = t->second};
}

/* ---- what comes of them ------------------------------------------------- */

/* Rows of WIDTH for every head that a model has; COUNT 0: it has not. */
struct result {
    float *numbers;
    size_t count, width;
};
enum { RESULTS = 5, SCORES = 4 };

static void make_results(struct result *r, const struct model_spec *spec,
                         const struct texts *t, struct encoder_output *out) {
    bool lexical = spec->sparse == SPARSE_LEXICAL;
    size_t tokens = t->starts[TEXTS];
    const struct result all[RESULTS] = {
        {.count = spec->gives & HEAD_DENSE ? TEXTS : 0, .width = spec->width},
        {.count = lexical, .width = tokens},
        {.count = spec->gives & HEAD_SPARSE && !lexical ? TEXTS : 0,
         .width = spec->vocab},
        {.count = spec->gives & HEAD_MULTI ? tokens : 0,
         .width = spec->multi_width},
        {.count = spec->gives & HEAD_SCORE ? TEXTS : 0, .width = spec->labels},
    };
    float **to[RESULTS] = {&out->dense, &out->lexical, &out->splade,
                           &out->multi, &out->scores};
    *out = (struct encoder_output){0};
    memcpy(r, all, sizeof all);
    for (size_t i = 0; i < RESULTS; i++)
        if (r[i].count) {
            *to[i] = r[i].numbers = calloc(r[i].count * r[i].width, 4);
            assert_non_null(r[i].numbers);
        }
}

static void free_results(struct result *r) {
    for (size_t i = 0; i < RESULTS; i++)
        free(r[i].numbers);
}

static void compare_bits(const char *what, const struct result *want,
                         const struct result *got) {
    for (size_t i = 0; i < want->count * want->width; i++)
        if (memcmp(&want->numbers[i], &got->numbers[i], 4) != 0)
            fail_msg("%s: number %zu of row %zu is %.9g, on the CPU %.9g", what,
                     i % want->width, i / want->width, (double)got->numbers[i],
                     (double)want->numbers[i]);
}

/* A score has no direction: it may be off by 1 %, or 0.01. */
static void compare_rounded(const char *what, const struct result *want,
                            const struct result *got, bool scores) {
    for (size_t r = 0; r < want->count; r++) {
        const float *a = want->numbers + r * want->width;
        const float *b = got->numbers + r * want->width;
        if (!scores && !(cosine_of(a, b, want->width) >= 0.9999))
            fail_msg("%s: row %zu has cosine %.6f to the CPU's", what, r,
                     cosine_of(a, b, want->width));
        for (size_t i = 0; scores && i < want->width; i++)
            if (!(fabs((double)a[i] - (double)b[i]) <=
                  0.01 * fmax(1, fabs((double)a[i]))))
                fail_msg("%s: score %zu is %.6g, on the CPU %.6g", what, r,
                         (double)b[i], (double)a[i]);
    }
}

/* ---- a model on a device ------------------------------------------------ */

static bool open_model(struct rig *r, const char *folder, enum model_use use) {
    char path[512];
    snprintf(path, sizeof path, MODELS "%s", folder);
    r->files = model_files_open(&r->files_memory, path, NULL, use, NULL, NULL);
    if (!r->files || !model_spec_read(r->files, &r->spec, NULL) ||
        !weights_check(&r->files_memory, &r->spec, r->files, NULL)) {
        model_files_free(r->files);
        return false;
    }
    if (use == MODEL_DENSE) { /* those that also have them */
        struct model_spec more = r->spec;
        if (model_spec_add_head(r->files, HEAD_SPARSE, &more, NULL))
            r->spec = more;
        more = r->spec;
        if (model_spec_add_head(r->files, HEAD_MULTI, &more, NULL))
            r->spec = more;
    }
    if (r->spec.lora_rank)
        r->spec.task = 1;
    r->deep = *r->files;
    return true;
}

/* Twice in the same workspace: what a batch leaves there is no part of the
 * next. */
static void encode(struct rig *r, size_t resident, const struct texts *t,
                   const struct encoder_output *out) {
    struct error err = {0};
    struct weights *weights = rig_load(r, resident);
    struct encoder *e =
        encoder_create(&r->memory, &r->spec, weights, r->device, r->pool, &err);
    assert_non_null(e);
    struct encoder_budget budget =
        encoder_budget_make(&r->spec, weights_stream(weights), r->device,
                            t->starts[TEXTS], t->longest);
    struct encoder_need need;
    assert_true(
        encoder_workspace(&r->spec, NULL, r->device, &budget, &need, &err));
    void *block = device_alloc(r->device, need.bytes, need.charge, NULL, &err);
    assert_non_null(block);
    encoder_lay_out(e, &budget, block);
    for (int i = 0; i < 2; i++)
        if (!encoder_encode(e, &t->batch, out, &err))
            fail_msg("%s", err.message);
    encoder_free(e);
    device_release(r->device, block);
    weights_free(weights);
}

static void check_placed(const struct rig *r, size_t resident) {
    struct weights_need need;
    struct weights_placement placement = rig_placement(resident);
    struct weights *w = rig_load((struct rig *)(uintptr_t)r, resident);
    assert_true(weights_measure(&r->spec, &r->deep, r->device, &placement,
                                &need, NULL));
    assert_int_equal(memory_live(r->device->account), need.charge_bytes);
    assert_int_equal(need.charge_bytes,
                     device_block_bytes(r->device, need.block_bytes));
    weights_free(w);
}

/* Of a layer without experts qkv, up and down are told readers; the first qkv
 * may read what has no norm before it. */
static void check_readers(const struct rig *r) {
    const struct strict *s = strict_of(r->device);
    size_t layers = r->spec.depth, told = r->spec.experts ? 1 : 3;
    assert_true(!layers || s->told_reads >= s->groups * (layers * told - 1));
}

/* False: it is no model of that use. */
static bool check_model(const char *folder, enum model_use use,
                        enum strict_kind kind, const struct family **family) {
    struct texts t;
    struct rig cpu, strict;
    struct encoder_output want_out, got_out;
    struct result want[RESULTS], got[RESULTS];
    rig_open_device(&cpu, "cpu", 1, NULL);
    if (!open_model(&cpu, folder, use)) {
        device_close(cpu.device);
        pool_free(cpu.pool);
        return false;
    }
    *family = cpu.spec.family;
    make_texts(&t, &cpu.spec);
    make_results(want, &cpu.spec, &t, &want_out);
    encode(&cpu, SIZE_MAX, &t, &want_out);
    for (size_t k = 0; k <= 2; k++) {
        size_t resident = k == 0 ? 0 : k == 1 ? SIZE_MAX : FROM_FILE;
        char what[128];
        rig_open_device(&strict, "cpu", 1, NULL);
        assert_true(open_model(&strict, folder, use));
        strict.device = strict_open(strict.device, kind);
        make_results(got, &strict.spec, &t, &got_out);
        check_placed(&strict, resident);
        encode(&strict, resident, &t, &got_out);
        assert_int_equal(strict_of(strict.device)->uploads > 0,
                         !resident && strict.spec.layers);
        check_readers(&strict);
        bool stays = resident == SIZE_MAX || !strict.spec.layers;
        assert_in_range(strict_of(strict.device)->groups, stays ? 4 : 2,
                        stays ? 2 * TEXTS : 2);
        for (size_t i = 0; i < RESULTS; i++) {
            snprintf(what, sizeof what, "%s, result %zu%s", folder, i,
                     stays ? "" : ", streamed");
            if (kind == STRICT_F16)
                compare_rounded(what, &want[i], &got[i], i == SCORES);
            else
                compare_bits(what, &want[i], &got[i]);
        }
        free_results(got);
        rig_close(&strict);
    }
    free_results(want);
    rig_close(&cpu);
    return true;
}

/* ---- all models --------------------------------------------------------- */

enum { FAMILIES_MAX = 64 };

static void check_all(enum strict_kind kind) {
    const struct family *met[FAMILIES_MAX], *one = NULL;
    size_t count = 0, models = 0, orders = 0;
    DIR *folder = opendir(MODELS);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        for (int use = MODEL_DENSE; use <= MODEL_RERANK; use++) {
            if (entry->d_name[0] == '.' ||
                !check_model(entry->d_name, (enum model_use)use, kind, &one))
                continue;
            size_t i = 0;
            while (i < count && met[i] != one)
                i++;
            if (i == count)
                met[count++] = one;
            assert_true(count < FAMILIES_MAX);
            orders |= (size_t)1 << one->norms;
            models++;
        }
    }
    closedir(folder);
    print_message("%zu models of %zu families\n", models, count);
    assert_int_equal(orders, 1 << NORM_BEHIND | 1 << NORM_BEFORE |
                                 1 << NORM_AROUND | 1 << NORM_TWICE);
    assert_true(models >= 100 && count >= 20);
}

static void floats_that_lie_apart_give_the_cpus_bits(void **state) {
    (void)state;
    check_all(STRICT_APART);
}

static void rounded_numbers_give_much_the_same(void **state) {
    (void)state;
    check_all(STRICT_F16);
}

/* The heads' matrices read narrow rows as wide as any of them. */
static void wide_heads_have_room(void **state) {
    (void)state;
    enum { WIDE = 4096, TOKENS = 100 };
    struct rig r;
    struct encoder_need narrow, wide;
    rig_open(&r, "cpu", 1, "dense", 0);
    r.device = strict_open(r.device, STRICT_F16);
    struct encoder_budget budget =
        encoder_budget_make(&r.spec, false, r.device, TOKENS, TOKENS);
    assert_true(r.spec.sentence_count > 0);
    assert_true(
        encoder_workspace(&r.spec, NULL, r.device, &budget, &narrow, NULL));
    r.spec.sentence[0].out = WIDE;
    assert_true(
        encoder_workspace(&r.spec, NULL, r.device, &budget, &wide, NULL));
    /* two rows of floats, and what is read; none was as wide as 512 before */
    size_t each = budget.group_tokens * (2 * sizeof(float) + 2);
    assert_in_range(wide.bytes - narrow.bytes, (WIDE - 512) * each,
                    WIDE * each);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_that_lie_apart_give_the_cpus_bits),
        cmocka_unit_test(rounded_numbers_give_much_the_same),
        cmocka_unit_test(wide_heads_have_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
