#include "run/dtype.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

enum {
    BF16_ARCH = 80,
    FP8_ARCH = 89,
    LIST_BYTES = 512,
    RECORD_MAX = 1 << 20, /* bytes of a store's record */
};

static const char *const names[] = {
    [NUMBER_DEFAULT] = "f32", [NUMBER_F32] = "f32",   [NUMBER_F16] = "fp16",
    [NUMBER_BF16] = "bf16",   [NUMBER_INT8] = "int8", [NUMBER_FP8] = "fp8"};

const char *dtype_name(enum number_type type) {
    return names[type];
}

enum number_type dtype_named(const char *name) {
    for (enum number_type t = NUMBER_F32; t <= NUMBER_FP8; t++)
        if (strcmp(name, names[t]) == 0)
            return t;
    return NUMBER_DEFAULT;
}

bool dtype_parse(const char *name, const char *where, enum number_type *type,
                 struct error *err) {
    *type = dtype_named(name);
    return *type != NUMBER_DEFAULT ||
           error_set(err, ERROR_USAGE,
                     "%s: '%.40s' is none of: f32, bf16, fp16, int8, fp8",
                     where, name);
}

struct asking {
    const struct run_options *options;
    const struct model_request *first; /* whose type is TYPE */
    enum number_type type;
};

static bool ask(struct asking *a, const struct model_request *model,
                struct error *err) {
    enum number_type type = model->type ? model->type : a->options->type;
    if (a->first && a->type && type && type != a->type)
        return error_set(err, ERROR_USAGE,
                         "%s is to be computed in %s and %s in %s, and a card "
                         "computes in one type in a run; run one after the "
                         "other with the same --out",
                         a->first->reference, dtype_name(a->type),
                         model->reference, dtype_name(type));
    if (!a->first || !a->type) {
        a->first = model;
        a->type = type;
    }
    return true;
}

bool dtype_asked(const struct run_options *options, enum number_type *asked,
                 struct error *err) {
    const struct model_request *lists[] = {options->models, options->sparse,
                                           options->multi, options->rerank};
    size_t counts[] = {options->models_count, options->sparse_count,
                       options->multi_count, options->rerank != NULL};
    struct asking a = {.options = options};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
        for (size_t i = 0; i < counts[k]; i++)
            if (!ask(&a, &lists[k][i], err))
                return false;
    *asked = a.first ? a.type : options->type;
    return true;
}

/* The CPU, where it is asked for and no card's stand-in. */
static bool is_chosen_cpu(const struct device_list *list,
                          const struct device_name *device) {
    return list->count && device_name_is_cpu(&list->items[0]) &&
           device_name_is_cpu(device);
}

static const char *types_of(const struct device_list *list,
                            const struct device_name *device) {
    return is_chosen_cpu(list, device) ? "f32, bf16 and int8"
           : device->arch >= FP8_ARCH  ? "f32, bf16, fp16 and fp8"
           : device->arch >= BF16_ARCH ? "f32, bf16 and fp16"
           : device->arch              ? "f32 and fp16"
                                       : "f32";
}

/* "cuda:0 (sm_75) in f32 and fp16; cpu in f32" */
static void list_types(const struct device_list *list, char text[LIST_BYTES]) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < list->count && used < LIST_BYTES; i++) {
        const struct device_name *d = &list->items[i];
        char arch[24] = "";
        if (d->arch)
            snprintf(arch, sizeof arch, " (sm_%u)", d->arch);
        used +=
            (size_t)snprintf(text + used, LIST_BYTES - used, "%s%s%s in %s",
                             i ? "; " : "", d->name, arch, types_of(list, d));
    }
}

bool dtype_check(enum number_type asked, const struct device_list *list,
                 struct error *err) {
    char text[LIST_BYTES];
    for (size_t i = 0; i < list->count; i++)
        if (!asked || dtype_in(list, &list->items[i], asked) == asked)
            return true;
    list_types(list, text);
    return error_set(err, ERROR_USAGE,
                     "--dtype: no device of this run computes in %s: %s%s",
                     dtype_name(asked), text,
                     asked == NUMBER_FP8
                         ? "; choose one of these, for fp8 needs a card from "
                           "sm_89 on (L4, RTX 40, H100)"
                         : "");
}

enum number_type dtype_default(const struct device_list *list) {
    enum number_type type = NUMBER_F32;
    for (size_t i = 0; i < list->count; i++) {
        const struct device_name *device = &list->items[i];
        if (device->arch && device->arch < BF16_ARCH)
            return NUMBER_F16;
        if (device->arch)
            type = NUMBER_BF16;
    }
    return type;
}

enum number_type dtype_on(const struct device_name *device,
                          enum number_type type) {
    bool has = device->arch && type != NUMBER_INT8 &&
               (type != NUMBER_BF16 || device->arch >= BF16_ARCH) &&
               (type != NUMBER_FP8 || device->arch >= FP8_ARCH);
    return has && type ? type : NUMBER_F32;
}

enum number_type dtype_in(const struct device_list *list,
                          const struct device_name *device,
                          enum number_type type) {
    bool narrow = type == NUMBER_BF16 || type == NUMBER_INT8;
    return narrow && is_chosen_cpu(list, device) ? type
                                                 : dtype_on(device, type);
}

enum number_type dtype_there(const char *private, const struct member *member,
                             enum row_kind head) {
    char path[PATH_MAX];
    if (!member_store_path(path, private, member, head, "store.json", NULL) ||
        !file_exists(path))
        return NUMBER_DEFAULT;
    json_t *record = json_read_file(path, RECORD_MAX, NULL);
    const char *name = json_string_value(
        json_object_get(json_object_get(record, "fingerprint"), "dtype"));
    enum number_type type = name ? dtype_named(name) : NUMBER_DEFAULT;
    json_decref(record);
    return type;
}

/* ---- fp8 ---------------------------------------------------------------- */

struct matrices {
    double all, fp8; /* numbers */
};

static void add_matrix(struct matrices *m, size_t in, size_t out,
                       size_t times) {
    double numbers = (double)in * (double)out * (double)times;
    m->all += numbers;
    m->fp8 += device_fp8_takes(in, out) ? numbers : 0;
}

double dtype_fp8_share(const struct model_spec *spec) {
    struct matrices m = {0};
    size_t gates = spec->traits & TRAIT_GATED ? 2 : 1;
    for (size_t i = 0; i < spec->depth; i++) {
        bool experts =
            layer_set_has(&spec->experts_at, model_spec_layer(spec, i));
        size_t blocks = experts ? spec->experts_chosen : 1;
        add_matrix(&m, spec->hidden, model_spec_qkv(spec), 1);
        add_matrix(&m, spec->heads * spec->head_dim, spec->hidden, 1);
        add_matrix(&m, spec->hidden,
                   experts ? spec->inter : gates * spec->inter, blocks);
        add_matrix(&m, spec->inter, spec->hidden, blocks);
    }
    return m.all > 0 ? m.fp8 / m.all : 0;
}
