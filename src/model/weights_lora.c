/* weights_lora.c - adapters (LoRA, Hu et al. 2021) that are merged into the
 * matrices that they adapt while these are loaded: W + scale * L R, where the
 * rows of L go with the rows of W and the columns of R with its columns.
 *
 * torch's parametrizations, as jina-embeddings-v3 has them, put beside the
 * matrix NAME.parametrizations.weight.original two tensors with one more
 * dimension for the tasks: of a linear lora_A [tasks, rank, in] is R and lora_B
 * [tasks, out, rank] L; of a table of embeddings lora_A [tasks, rows, rank] is
 * L and lora_B [tasks, rank, columns] R. */

#include <stdio.h>
#include <string.h>

#include "model/weights_parts.h"

/* Of one matrix: A and B, of which one is L and one is R. NULL: none. */
struct adapter {
    const struct tensor *a, *b;
    const struct tensor *left, *right;
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

static struct adapter find_adapter(const struct loader *loader,
                                   const struct tensor *tensor) {
    const struct model_spec *spec = loader->spec;
    struct adapter found = {0};
    if (!spec->lora_rank || tensor->rank != 2)
        return found;
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
    return found;
}

static bool refuse_shape(const struct loader *loader,
                         const struct tensor *tensor,
                         const struct adapter *adapter, struct error *err) {
    char a[160], b[160];
    tensor_shape_text(adapter->a, a, sizeof a);
    tensor_shape_text(adapter->b, b, sizeof b);
    return error_set(err, ERROR_INPUT,
                     "%s: the adapters of %s have shapes %s and %s, which are "
                     "not those of %zu tasks of rank %zu",
                     loader->files->weights[tensor->file], tensor->name, a, b,
                     loader->spec->lora_tasks, loader->spec->lora_rank);
}

bool check_lora(struct loader *loader, const struct tensor *tensor,
                struct error *err) {
    struct adapter adapter = find_adapter(loader, tensor);
    const struct tensor *parts[] = {adapter.a, adapter.b};
    if (!adapter.a && !adapter.b)
        return true;
    if (!adapter.a || !adapter.b)
        return error_set(err, ERROR_INPUT, "%s: of %s only lora_%c is there",
                         loader->files->weights[tensor->file], tensor->name,
                         adapter.a ? 'A' : 'B');
    if (!adapter.left)
        return refuse_shape(loader, tensor, &adapter, err);
    for (int i = 0; i < 2; i++) {
        if (!check_dtype(parts[i], loader->files->weights[parts[i]->file], err))
            return false;
        loader->used[parts[i] - tensors_at(loader->st, 0)] = true;
    }
    return true;
}

bool has_lora(const struct loader *loader, const struct tensor *tensor) {
    return loader->spec->task != TASK_NONE &&
           find_adapter(loader, tensor).left != NULL;
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
    struct adapter adapter = find_adapter(loader, tensor);
    if (!adapter.left)
        return;
    columns = tensor->shape[1];
    float *right = loader->stage + loader->stage_floats;
    float *left = right + rank * columns;
    size_t row = spec->task * tensor->shape[0] + first;
    tensor_read_f32(adapter.right, spec->task * rank * columns, rank * columns,
                    right);
    for (size_t i = 0; i < count; i++) {
        tensor_read_f32(adapter.left, (row + i) * rank, rank, left);
        for (size_t r = 0; r < rank; r++)
            for (size_t c = 0; c < columns; c++)
                rows[i * columns + c] +=
                    spec->lora_scale * left[r] * right[r * columns + c];
    }
}
