/* table.c - a StaticEmbedding: a table of words, whose mean is a text's vector.
 *
 * There is no config.json; what one would say is in the shapes of the tensors,
 * and an object like it is made of them: "model_type" StaticEmbedding,
 * "hidden_size" and "vocab_size".
 *
 * model2vec calls the table "embeddings", and may keep fewer rows than there
 * are ids: "mapping" says which row an id has, "weights" by what it is
 * multiplied. Then "rows" is the table's own number. */

#include "hub/reading.h"

#include "base/json.h"
#include "hub/tensors.h"

enum { TOKENIZER_BYTES_MAX = 256 << 20 };

static bool refuse_table(const struct reading *r, const struct tensor *table,
                         struct error *err) {
    const char *path = r->files.weights[0];
    return table ? error_set(err, ERROR_INPUT,
                             "%s: %s is not a table with a row for each word",
                             path, table->name)
                 : error_set(err, ERROR_INPUT,
                             "%s: there is neither embedding.weight nor "
                             "embeddings in it, so it is no StaticEmbedding's",
                             path);
}

static bool make_config(struct reading *r, const struct tensors *st,
                        struct error *err) {
    const struct tensor *table = tensors_find(st, "embedding.weight");
    const struct tensor *mapping = NULL, *weights = NULL;
    if (!table && (table = tensors_find(st, "embeddings"))) {
        mapping = tensors_find(st, "mapping");
        weights = tensors_find(st, "weights");
    }
    if (!table || table->rank != 2)
        return refuse_table(r, table, err);
    size_t ids = mapping ? mapping->elements : table->shape[0];
    r->config = json_pack("{s:s, s:I, s:I}", "model_type", "StaticEmbedding",
                          "hidden_size", (json_int_t)table->shape[1],
                          "vocab_size", (json_int_t)ids);
    if (r->config && (mapping || weights))
        json_object_set_new(r->config, "rows",
                            json_integer((json_int_t)table->shape[0]));
    return r->config || error_set(err, ERROR_MEMORY, "no memory for a config");
}

static bool read_tensors(struct reading *r, struct error *err) {
    struct memory memory = {0};
    struct tensors *st =
        tensors_open(&memory, r->files.weights, r->files.weights_count, err);
    r->files.config_path = r->files.weights[0];
    bool fine = st && make_config(r, st, err);
    tensors_close(st);
    return fine;
}

/* The library takes tokenizer.json as it stands, so that here its own limit
 * counts. */
static bool read_truncation(struct reading *r, struct error *err) {
    const char *name =
        reading_path(r, modules_transformer(r), "tokenizer.json", err);
    json_t *json = name ? json_read_file(name, TOKENIZER_BYTES_MAX, err) : NULL;
    const json_t *truncation = json_object_get(json, "truncation");
    const json_t *limit = json_object_get(truncation, "max_length");
    bool fine = json && json_member_size(truncation, "max_length", name,
                                         &r->files.max_length, err);
    if (fine && limit && !r->files.max_length)
        fine = error_set(err, ERROR_INPUT,
                         "%s: its truncation's max_length is no number of "
                         "tokens, so that none is left of a text",
                         name);
    json_decref(json);
    return fine;
}

bool table_read(struct reading *r, struct error *err) {
    return read_tensors(r, err) && read_truncation(r, err);
}
