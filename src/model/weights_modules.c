/* weights_modules.c - layers outside of the family's table (model_spec_module):
 * in files of their own, or beside the encoder. One file is open at a time. */

#include "model/weights_parts.h"

/* torch's default, and no module's config says another. */
static const float LAYER_NORM_EPSILON = 1e-5f;

static bool beside_encoder(const struct loader *loader,
                           const struct module_spec *module) {
    return module->source && module->source->paths == loader->files->weights;
}

/* The tensor NAME of ST with COLUMNS (0: a vector); NAME may be NULL. */
static bool find_tensor(const struct module_spec *module,
                        const struct tensors *st, const char *name,
                        size_t columns, const struct tensor **to,
                        struct error *err) {
    const char *file = module->source->paths[0];
    *to = name ? tensors_find(st, name) : NULL;
    if (name && !*to)
        return error_set(err, ERROR_INPUT,
                         "%s: there is no tensor %s in it, which this module "
                         "needs",
                         file, name);
    return !*to || check_tensor(*to, module->out, columns, file, err);
}

/* The module's tensors in ST, of the right shapes. */
static bool find_tensors(const struct module_spec *module,
                         const struct tensors *st, struct module_tensors *to,
                         struct error *err) {
    const struct tensor_source *source = module->source;
    size_t columns = module->what == MODULE_LINEAR ? module->in : 0;
    return find_tensor(module, st, source->weight, columns, &to->weight, err) &&
           find_tensor(module, st, source->bias, 0, &to->bias, err) &&
           find_tensor(module, st, source->shortcut, columns, &to->shortcut,
                       err);
}

/* A file of the module's own has nothing else in it. */
static bool check_alone(const struct module_spec *module,
                        const struct tensors *st, struct error *err) {
    size_t want = module->bias ? 2 : 1;
    want += module->source->shortcut ? 1 : 0;
    return tensors_count(st) == want ||
           error_set(err, ERROR_INPUT,
                     "%s: it has %zu tensors, and %zu are expected for this "
                     "module",
                     module->source->paths[0], tensors_count(st), want);
}

static bool with_own_file(struct loader *loader, size_t i, bool fill,
                          struct memory *memory, struct error *err) {
    const struct module_spec *module = model_spec_module(loader->spec, i);
    const struct tensor_source *source = module->source;
    struct module_tensors found;
    struct tensors *st =
        tensors_open(memory, source->paths, source->paths_count, err);
    bool fine = st && check_alone(module, st, err) &&
                find_tensors(module, st, &found, err);
    if (fine && fill)
        fill_module(loader, i, &found);
    tensors_close(st);
    return fine;
}

/* One whose tensors are among the encoder's, which are open. */
static bool with_encoder(struct loader *loader, size_t i, bool fill,
                         struct error *err) {
    const struct module_spec *module = model_spec_module(loader->spec, i);
    const struct tensor *first = tensors_at(loader->st, 0);
    struct module_tensors found;
    if (!find_tensors(module, loader->st, &found, err))
        return false;
    if (fill)
        fill_module(loader, i, &found);
    if (loader->used) {
        loader->used[found.weight - first] = true;
        if (found.bias)
            loader->used[found.bias - first] = true;
        if (found.shortcut)
            loader->used[found.shortcut - first] = true;
    }
    return true;
}

static bool each_module(struct loader *loader, bool beside, bool own, bool fill,
                        struct memory *memory, struct error *err) {
    const struct module_spec *module;
    for (size_t i = 0; (module = model_spec_module(loader->spec, i)); i++) {
        if (!module->source)
            continue;
        bool with = beside_encoder(loader, module);
        if (with && beside && !with_encoder(loader, i, fill, err))
            return false;
        if (!with && own && !with_own_file(loader, i, fill, memory, err))
            return false;
    }
    return true;
}

bool check_modules_beside(struct loader *loader, struct error *err) {
    return each_module(loader, true, false, false, NULL, err);
}

bool check_module_files(struct loader *loader, struct memory *memory,
                        struct error *err) {
    return each_module(loader, false, true, false, memory, err);
}

bool fill_modules(struct loader *loader, struct error *err) {
    return each_module(loader, true, true, true, loader->weights->memory, err);
}

void place_modules(const struct loader *loader, struct layout *layout) {
    const struct module_spec *module;
    for (size_t i = 0; (module = model_spec_module(loader->spec, i)); i++) {
        struct module_weights *to = &loader->weights->modules[i];
        if (module->what == MODULE_LINEAR) {
            place_matrix(loader, layout, module->in, module->out, &to->linear);
            if (module->bias)
                to->linear.bias =
                    layout_take(layout, module->out, sizeof(float));
            if (module->source->shortcut)
                place_matrix(loader, layout, module->in, module->out,
                             &to->shortcut);
        } else if (module->what == MODULE_NORM) {
            to->norm.width = module->out;
            to->norm.epsilon = LAYER_NORM_EPSILON;
            to->norm.scale = layout_take(layout, module->out, sizeof(float));
            if (module->bias)
                to->norm.shift =
                    layout_take(layout, module->out, sizeof(float));
        }
    }
}
