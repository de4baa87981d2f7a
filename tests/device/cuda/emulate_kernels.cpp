/* emulate_kernels.cpp - see emulate_kernels.h. */

#include "device/cuda/emulate_kernels.h"

static struct emulate_module *modules;

emulate_module::emulate_module(const char *file_, unsigned narrow_,
                               unsigned arch_, unsigned head_dim_,
                               const struct emulate_entry *entries_,
                               size_t count_)
    : file(file_), narrow(narrow_), arch(arch_), head_dim(head_dim_),
      entries(entries_), count(count_), next(modules) {
    modules = this;
}

static const struct emulate_entry *find(const struct emulate_choice *choice,
                                        const char *kernel) {
    for (struct emulate_module *m = modules; m; m = m->next) {
        if (strcmp(m->file, choice->file) != 0 || m->narrow != choice->narrow ||
            (choice->arch && m->arch && m->arch != choice->arch) ||
            (choice->head_dim && m->head_dim &&
             m->head_dim != choice->head_dim))
            continue;
        for (size_t i = 0; i < m->count; i++)
            if (strcmp(m->entries[i].name, kernel) == 0)
                return &m->entries[i];
    }
    return nullptr;
}

size_t emulate_kernel_bytes(const struct emulate_choice *choice,
                            const char *kernel) {
    const struct emulate_entry *entry = find(choice, kernel);
    return entry ? entry->params_bytes : 0;
}

const char *emulate_kernel_launch(const struct emulate_choice *choice,
                                  const char *kernel, unsigned grid_x,
                                  unsigned grid_y, unsigned threads,
                                  size_t shared_bytes, const void *params,
                                  size_t params_bytes) {
    static thread_local char text[200];
    const struct emulate_entry *entry = find(choice, kernel);
    if (!entry || (params_bytes && params_bytes != entry->params_bytes)) {
        snprintf(text, sizeof text,
                 "no kernel %s of %zu bytes in %s with NARROW %u, KERNEL_ARCH "
                 "%u, HEAD_DIM %u",
                 kernel, params_bytes, choice->file, choice->narrow,
                 choice->arch, choice->head_dim);
        return text;
    }
    struct emulate_launch launch = {entry->name, entry->call, entry->kernel,
                                    params,      grid_x,      grid_y,
                                    threads,     shared_bytes};
    emulate_features = choice->features;
    return emulate_run(&launch);
}

const char *emulate_all_orders(void *out, size_t bytes,
                               void (*run)(void *context), void *context) {
    return emulate_in_all_orders(out, bytes, [=] { run(context); });
}

size_t emulate_narrow_bytes(unsigned narrow) {
    return narrow == 0 ? 4 : narrow == 3 ? 1 : 2;
}

void emulate_widen(unsigned narrow, const void *from, size_t count, float *to) {
    const unsigned short *bits = (const unsigned short *)from;
    if (narrow == 0)
        memcpy(to, from, count * sizeof *to);
    else if (narrow == 3)
        for (size_t i = 0; i < count; i++)
            to[i] = emulate_widen_e4m3(((const unsigned char *)from)[i]);
    else
        for (size_t i = 0; i < count; i++)
            to[i] = narrow == 1 ? emulate_widen_half(bits[i])
                                : emulate_widen_bfloat(bits[i]);
}

void emulate_round(unsigned narrow, const float *from, size_t count, void *to) {
    unsigned short *bits = (unsigned short *)to;
    if (narrow == 0)
        memcpy(to, from, count * sizeof *from);
    else if (narrow == 3)
        for (size_t i = 0; i < count; i++)
            ((unsigned char *)to)[i] = emulate_round_e4m3(from[i]);
    else
        for (size_t i = 0; i < count; i++)
            bits[i] = narrow == 1 ? emulate_round_half(from[i])
                                  : emulate_round_bfloat(from[i]);
}
