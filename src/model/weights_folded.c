/* weights_folded.c - model2vec's tables of fewer rows than there are words,
 * which are unfolded while they are loaded: the row of word I is row mapping[I]
 * of "embeddings", times weights[I] (StaticModel of model2vec, and
 * StaticEmbedding._fold_model2vec_weights of sentence-transformers). Each of
 * the two may lack: then it is row I, and once. */

#include <string.h>

#include "model/weights_parts.h"

static const struct tensor *mapping_of(const struct loader *loader) {
    return tensors_find(loader->st, "mapping");
}

static const struct tensor *weights_of(const struct loader *loader) {
    return tensors_find(loader->st, "weights");
}

/* Number I of a list of integers. */
static int64_t integer_at(const struct tensor *list, size_t i) {
    int64_t wide;
    int32_t narrow;
    if (list->dtype == TENSOR_I64)
        memcpy(&wide, (const char *)list->data + i * sizeof wide, sizeof wide);
    else
        memcpy(&narrow, (const char *)list->data + i * sizeof narrow,
               sizeof narrow);
    return list->dtype == TENSOR_I64 ? wide : narrow;
}

static double real_at(const struct tensor *list, size_t i) {
    double wide;
    float narrow;
    if (list->dtype == TENSOR_F64)
        memcpy(&wide, (const char *)list->data + i * sizeof wide, sizeof wide);
    else
        tensor_read_f32(list, i, 1, &narrow);
    return list->dtype == TENSOR_F64 ? wide : (double)narrow;
}

/* LIST has a number for each word. */
static bool check_list(struct loader *loader, const struct tensor *list,
                       bool right_kind, const char *kinds, struct error *err) {
    size_t vocab = loader->spec->vocab;
    const char *path = weights_path(loader, list);
    char shape[160];
    loader->used[list - tensors_at(loader->st, 0)] = true;
    tensor_shape_text(list, shape, sizeof shape);
    if (list->rank != 1 || list->elements != vocab)
        return error_set(err, ERROR_INPUT,
                         "%s: tensor %s has shape %s, and there are %zu words",
                         path, list->name, shape, vocab);
    return (right_kind && !list->strided) ||
           error_set(err, ERROR_UNSUPPORTED,
                     "%s: tensor %s is %s; %s are supported", path, list->name,
                     list->strided ? "strided" : list->dtype_name, kinds);
}

static bool check_mapping(struct loader *loader, const struct tensor *mapping,
                          struct error *err) {
    size_t rows = loader->spec->folded_rows;
    if (!check_list(loader, mapping,
                    mapping->dtype == TENSOR_I64 ||
                        mapping->dtype == TENSOR_I32,
                    "I64 and I32", err))
        return false;
    for (size_t i = 0; i < mapping->elements; i++)
        if (integer_at(mapping, i) < 0 ||
            (uint64_t)integer_at(mapping, i) >= rows)
            return error_set(err, ERROR_INPUT,
                             "%s: the mapping of word %zu is row %lld, and "
                             "the table has %zu",
                             weights_path(loader, mapping), i,
                             (long long)integer_at(mapping, i), rows);
    return true;
}

bool check_folded(struct loader *loader, struct error *err) {
    if (!loader->spec->folded_rows)
        return true;
    const struct tensor *mapping = mapping_of(loader);
    const struct tensor *weights = weights_of(loader);
    return (!mapping || check_mapping(loader, mapping, err)) &&
           (!weights || check_list(loader, weights,
                                   weights->dtype == TENSOR_F64 ||
                                       check_dtype(weights, "", NULL),
                                   "F64, F32, F16 and BF16", err));
}

void read_folded(const struct loader *loader, const struct tensor *table,
                 size_t first, size_t count) {
    const struct tensor *mapping = mapping_of(loader);
    const struct tensor *weights = weights_of(loader);
    size_t columns = table->shape[1];
    for (size_t i = 0; i < count; i++) {
        float *row = loader->stage + i * columns;
        size_t from =
            mapping ? (size_t)integer_at(mapping, first + i) : first + i;
        tensor_read_f32(table, from * columns, columns, row);
        if (!weights)
            continue;
        double weight = real_at(weights, first + i);
        for (size_t c = 0; c < columns; c++)
            row[c] = (float)((double)row[c] * weight);
    }
}
