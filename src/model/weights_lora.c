/* weights_lora.c - adapters (LoRA, Hu et al. 2021) that are merged into the
 * matrices that they adapt while these are loaded: W + scale * L R, where the
 * rows of L go with the rows of W and the columns of R with its columns.
 *
 * torch's parametrizations, as jina-embeddings-v3 has them, put beside the
 * matrix NAME.parametrizations.weight.original two tensors with one more
 * dimension for the tasks: of a linear lora_A [tasks, rank, in] is R and lora_B
 * [tasks, out, rank] L; of a table of embeddings lora_A [tasks, rows, rank] is
 * L and lora_B [tasks, rank, columns] R.
 *
 * peft's adapters lie in a file of their own, where a matrix NAME.weight has
 * ROOT NAME.lora_A.TASK.weight [rank, in] and lora_B [out, rank] (the published
 * jina-embeddings-v4: all tasks in one file). */

#include <stdio.h>
#include <string.h>

#include "model/weights_parts.h"

/* Of one matrix: A and B, of which one is L and one is R. NULL: none. */
struct adapter {
    const struct tensor *a, *b;
    const struct tensor *left, *right;
    size_t left_at, right_at; /* elements before those of the chosen task */
};

static const char original[] = ".parametrizations.weight.original";

/* NAME's tensor PART ("0.lora_A"), where NAME ends as ORIGINAL. */
static const struct tensor *find_part(const struct loader *loader,
                                      const char *name, const char *part) {
    size_t length = strlen(name), stem = length - strlen("original");
    char text[2 * NAME_MAX_BYTES];
    if (length < sizeof original ||
        strcmp(name + length - (sizeof original - 1), original) != 0)
        return NULL;
    snprintf(text, sizeof text, "%.*s%s", (int)stem, name, part);
    return tensors_find(loader->st, text);
}

static bool has_shape(const struct tensor *tensor, size_t tasks, size_t rows,
                      size_t columns) {
    return tensor->rank == 3 && tensor->shape[0] == tasks &&
           tensor->shape[1] == rows && tensor->shape[2] == columns;
}

static struct adapter find_stacked(const struct loader *loader,
                                   const struct tensor *tensor) {
    const struct model_spec *spec = loader->spec;
    struct adapter found = {0};
    found.a = find_part(loader, tensor->name, "0.lora_A");
    found.b = find_part(loader, tensor->name, "0.lora_B");
    if (!found.a || !found.b)
        return found;
    size_t tasks = spec->lora_tasks, rank = spec->lora_rank;
    size_t rows = tensor->shape[0], columns = tensor->shape[1];
    if (has_shape(found.a, tasks, rank, columns) &&
        has_shape(found.b, tasks, rows, rank)) {
        found.left = found.b;
        found.right = found.a;
    } else if (has_shape(found.a, tasks, rows, rank) &&
               has_shape(found.b, tasks, rank, columns)) {
        found.left = found.a;
        found.right = found.b;
    }
    if (spec->task != TASK_NONE) {
        found.left_at = spec->task * rows * rank;
        found.right_at = spec->task * rank * columns;
    }
    return found;
}

/* ---- peft's ------------------------------------------------------------- */

/* The names of modules begin with those of the classes around them. */
static const char *const roots[] = {"base_model.model.model.language_model.",
                                    "base_model.model.model."};

static const struct tensor *find_named(const struct loader *loader,
                                       const struct tensor *tensor, char part,
                                       const char *task) {
    const char *bare = tensor->name + strlen(loader->prefix);
    size_t length = strlen(bare), end = strlen(".weight");
    const struct tensor *found = NULL;
    char text[3 * NAME_MAX_BYTES];
    if (length < end || strcmp(bare + length - end, ".weight") != 0)
        return NULL;
    for (size_t i = 0; !found && i < sizeof roots / sizeof *roots; i++) {
        snprintf(text, sizeof text, "%s%.*s.lora_%c.%s.weight", roots[i],
                 (int)(length - end), bare, part, task);
        found = tensors_find(loader->st, text);
    }
    return found;
}

static bool is_matrix(const struct tensor *tensor, size_t rows,
                      size_t columns) {
    return tensor->rank == 2 && tensor->shape[0] == rows &&
           tensor->shape[1] == columns;
}

static struct adapter find_peft(const struct loader *loader,
                                const struct tensor *tensor, size_t task) {
    struct adapter found = {0};
    size_t rank = loader->spec->lora_rank;
    if (task >= loader->files->tasks_count)
        return found;
    const char *name = loader->files->tasks[task].name;
    found.a = find_named(loader, tensor, 'A', name);
    found.b = find_named(loader, tensor, 'B', name);
    if (found.a && found.b && is_matrix(found.a, rank, tensor->shape[1]) &&
        is_matrix(found.b, tensor->shape[0], rank)) {
        found.left = found.b;
        found.right = found.a;
    }
    return found;
}

/* TASK: where each has tensors of its own. */
static struct adapter find_adapter(const struct loader *loader,
                                   const struct tensor *tensor, size_t task) {
    if (!loader->spec->lora_rank || tensor->rank != 2)
        return (struct adapter){0};
    return loader->files->adapter_path ? find_peft(loader, tensor, task)
                                       : find_stacked(loader, tensor);
}

/* ---- all ---------------------------------------------------------------- */

static bool refuse_shape(const struct loader *loader,
                         const struct tensor *tensor,
                         const struct adapter *adapter, struct error *err) {
    char a[160], b[160];
    tensor_shape_text(adapter->a, a, sizeof a);
    tensor_shape_text(adapter->b, b, sizeof b);
    return error_set(err, ERROR_INPUT,
                     "%s: the adapters of %s have shapes %s and %s, which are "
                     "not those of %zu tasks of rank %zu",
                     weights_path(loader, adapter->a), tensor->name, a, b,
                     loader->spec->lora_tasks, loader->spec->lora_rank);
}

static bool check_adapter(struct loader *loader, const struct tensor *tensor,
                          size_t task, struct error *err) {
    struct adapter adapter = find_adapter(loader, tensor, task);
    const struct tensor *parts[] = {adapter.a, adapter.b};
    if (!adapter.a && !adapter.b)
        return true;
    if (!adapter.a || !adapter.b)
        return error_set(err, ERROR_INPUT, "%s: of %s only lora_%c is there",
                         weights_path(loader, tensor), tensor->name,
                         adapter.a ? 'A' : 'B');
    if (!adapter.left)
        return refuse_shape(loader, tensor, &adapter, err);
    for (int i = 0; i < 2; i++) {
        if (!check_dtype(parts[i], weights_path(loader, parts[i]), err))
            return false;
        loader->used[parts[i] - tensors_at(loader->st, 0)] = true;
    }
    return true;
}

/* A task that lacks what another has is not as it was trained. */
bool check_lora(struct loader *loader, const struct tensor *tensor,
                struct error *err) {
    size_t tasks = loader->files->adapter_path ? loader->spec->lora_tasks : 1;
    size_t with = 0;
    for (size_t task = 0; task < tasks; task++) {
        if (!check_adapter(loader, tensor, task, err))
            return false;
        with += find_adapter(loader, tensor, task).left != NULL;
    }
    return with == 0 || with == tasks ||
           error_set(err, ERROR_INPUT,
                     "%s: %s has adapters for %zu of %zu tasks",
                     loader->files->adapter_path, tensor->name, with, tasks);
}

bool has_lora(const struct loader *loader, const struct tensor *tensor) {
    return loader->spec->task != TASK_NONE &&
           find_adapter(loader, tensor, loader->spec->task).left != NULL;
}

size_t lora_floats(const struct model_spec *spec) {
    return spec->lora_rank ? spec->lora_rank * (widest_row(spec) + 1) : 0;
}

/* R lies behind the stage, and a row of L behind R. */
void add_lora(const struct loader *loader, const struct tensor *tensor,
              size_t first, size_t count, float *rows) {
    const struct model_spec *spec = loader->spec;
    size_t rank = spec->lora_rank, columns;
    if (spec->task == TASK_NONE)
        return;
    struct adapter adapter = find_adapter(loader, tensor, spec->task);
    if (!adapter.left)
        return;
    columns = tensor->shape[1];
    float *right = loader->stage + loader->stage_floats;
    float *left = right + rank * columns;
    tensor_read_f32(adapter.right, adapter.right_at, rank * columns, right);
    for (size_t i = 0; i < count; i++) {
        tensor_read_f32(adapter.left, adapter.left_at + (first + i) * rank,
                        rank, left);
        for (size_t r = 0; r < rank; r++)
            for (size_t c = 0; c < columns; c++)
                rows[i * columns + c] +=
                    spec->lora_scale * left[r] * right[r * columns + c];
    }
}
