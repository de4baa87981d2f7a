/* torch_file.c - what torch.save wrote: a state dict of tensors, in the zip
 * format (torch 1.6 and later) or in the older one.
 *
 * Both are a pickle of {name: _rebuild_tensor_v2(storage, offset, shape,
 * strides, ...)} and the storages beside it. FACTS: torch 2.13,
 * torch/serialization.py (_load, _legacy_load), torch/_utils.py,
 * torch/csrc/jit/serialization. */

#include <stdio.h>
#include <string.h>

#include "base/archive.h"
#include "hub/pickle.h"
#include "hub/tensors_parts.h"

/* All that a state dict needs to import. */
enum { REBUILD_TENSOR_V2, REBUILD_TENSOR, REBUILD_PARAMETER, STORAGES };

static const struct pickle_global GLOBALS[] = {
    [REBUILD_TENSOR_V2] = {"torch._utils", "_rebuild_tensor_v2"},
    [REBUILD_TENSOR] = {"torch._utils", "_rebuild_tensor"},
    [REBUILD_PARAMETER] = {"torch._utils", "_rebuild_parameter"},
    [STORAGES] = {"torch", "FloatStorage"},
    {"torch", "HalfStorage"},
    {"torch", "BFloat16Storage"},
    {"torch", "DoubleStorage"},
    {"torch", "LongStorage"},
    {"torch", "IntStorage"},
    {"torch", "ShortStorage"},
    {"torch", "CharStorage"},
    {"torch", "ByteStorage"},
    {"torch", "BoolStorage"},
    {NULL, NULL},
};

/* The same in the same order, as safetensors calls them. */
static const char *const STORAGE_DTYPES[] = {
    "F32", "F16", "BF16", "F64", "I64", "I32", "I16", "I8", "U8", "BOOL",
};
enum { STORAGE_KINDS = sizeof STORAGE_DTYPES / sizeof *STORAGE_DTYPES };
_Static_assert(sizeof GLOBALS / sizeof *GLOBALS == STORAGES + STORAGE_KINDS + 1,
               "a dtype for each storage");

/* The first pickle of the older format: 0x1950a86a20f9469cfc6c. */
static const char MAGIC[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
enum { MAGIC_BYTES = sizeof MAGIC - 1, FORMAT_VERSION = 1001 };

/* Numbers in memory, that tensors are views of. */
struct storage {
    const struct dtype_row *row;
    struct str key;
    size_t elements;
    struct str content; /* empty until it is found */
};

struct file {
    struct tensors *st;
    unsigned index;
    const char *path;
    struct str bytes;
    struct arena arena; /* of the pickles */
    struct pickle pickle;
    /* zip */
    struct archive zip;
    struct str folder; /* "archive/" */
    /* older: storages by their key */
    struct map keys;
    struct storage *storages;
    size_t storages_count;
};

bool torch_file_is(struct str bytes) {
    return str_starts(bytes, STR("PK\3\4")) ||
           (bytes.size > 4 + MAGIC_BYTES &&
            memcmp(bytes.data, "\x80\x02\x8a\x0a", 4) == 0 &&
            memcmp(bytes.data + 4, MAGIC, MAGIC_BYTES) == 0);
}

static bool broken(const struct file *f, const char *what, struct error *err) {
    error_set(err, ERROR_INPUT,
              "%s: %s: not what torch.save writes, or damaged: fetch the file "
              "again",
              f->path, what);
    return false; /* said here, for the compiler to know */
}

static bool read_pickle(struct file *f, struct str bytes, struct error *err) {
    return pickle_read(&f->pickle, &f->arena, f->path, bytes, GLOBALS, err);
}

/* Values. */

static bool is_size(const struct pickle_value *value) {
    return value->type == PICKLE_INT && value->integer >= 0;
}

static bool is_text(const struct pickle_value *value, struct str text) {
    return value->type == PICKLE_TEXT && str_equal(value->text, text);
}

/* ("storage", torch.FloatStorage, key, location, elements), and in the older
 * format the storage that it is a part of, or None. */
static bool read_storage(const struct file *f, const struct pickle_value *value,
                         struct storage *storage, struct error *err) {
    const struct pickle_value *id =
        value->type == PICKLE_OUTSIDE ? value->argument : NULL;
    if (!id || id->type != PICKLE_TUPLE || id->count < 5 || id->count > 6 ||
        !is_text(id->items[0], STR("storage")) ||
        id->items[1]->type != PICKLE_GLOBAL ||
        id->items[2]->type != PICKLE_TEXT || !is_size(id->items[4]))
        return broken(f, "a storage without a type, a key or a size", err);
    int64_t kind = id->items[1]->integer - STORAGES;
    if (kind < 0 || kind >= STORAGE_KINDS)
        return broken(f, "a storage without a type", err);
    if (id->count == 6 && id->items[5]->type != PICKLE_NONE)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: a storage that is part of another, as torch "
                         "before 0.4 wrote them: save it with a newer torch",
                         f->path);
    *storage = (struct storage){.row = dtype_find(STORAGE_DTYPES[kind]),
                                .key = id->items[2]->text,
                                .elements = (size_t)id->items[4]->integer};
    return true;
}

static bool storage_bytes(const struct file *f, const struct storage *storage,
                          size_t *bytes, struct error *err) {
    return size_multiply(storage->elements, storage->row->bits / 8, bytes) ||
           broken(f, "a storage larger than memory", err);
}

/* Where a storage's bytes are, in the zip archive. */
static bool find_zipped(const struct file *f, struct storage *storage,
                        struct error *err) {
    char name[512];
    size_t bytes;
    int size = snprintf(name, sizeof name, "%.*sdata/%.*s", STR_ARG(f->folder),
                        STR_ARG(storage->key));
    if (!storage_bytes(f, storage, &bytes, err))
        return false;
    if (size < 0 || (size_t)size >= sizeof name ||
        !archive_find(&f->zip, (struct str){name, (size_t)size},
                      &storage->content))
        return broken(f, "a tensor whose data is not in the archive", err);
    return storage->content.size == bytes ||
           broken(f, "a tensor whose data has another size", err);
}

/* The same in the older format. */
static bool find_listed(const struct file *f, struct storage *storage,
                        struct error *err) {
    uint64_t i;
    if (!map_get(&f->keys, storage->key, &i) || !f->storages[i].content.data)
        return broken(f, "a tensor whose data is not in the file", err);
    storage->content = f->storages[i].content;
    return true;
}

/* Tensors. */

/* Shape and strides into T; *LAST is the element that lies farthest. */
static bool read_shape(const struct file *f, const struct pickle_value *shape,
                       const struct pickle_value *strides, struct tensor *t,
                       size_t *last, struct error *err) {
    if (shape->type != PICKLE_TUPLE || strides->type != PICKLE_TUPLE ||
        shape->count != strides->count)
        return broken(f, "a tensor without a shape", err);
    if (shape->count > TENSOR_RANK_MAX)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: tensor %s has %zu dimensions, expected at most "
                         "%d",
                         f->path, t->name, shape->count, TENSOR_RANK_MAX);
    t->rank = (unsigned)shape->count;
    t->elements = 1;
    *last = 0;
    for (size_t i = 0; i < t->rank; i++) {
        size_t far;
        if (!is_size(shape->items[i]) || !is_size(strides->items[i]))
            return broken(f, "a tensor without a shape", err);
        t->shape[i] = (size_t)shape->items[i]->integer;
        t->strides[i] = (size_t)strides->items[i]->integer;
        if (!size_multiply(t->elements, t->shape[i], &t->elements) ||
            !size_multiply(t->shape[i] ? t->shape[i] - 1 : 0, t->strides[i],
                           &far) ||
            far > SIZE_MAX - *last)
            return broken(f, "a tensor larger than memory", err);
        *last += far;
    }
    return true;
}

static void see_order(struct tensor *t) {
    size_t step = 1;
    for (unsigned i = t->rank; i-- > 0;) {
        t->strided |= t->shape[i] != 1 && t->strides[i] != step;
        step *= t->shape[i];
    }
    t->strided &= t->elements > 0;
}

static bool place(const struct file *f, struct tensor *t,
                  const struct storage *storage, size_t offset, size_t last,
                  struct error *err) {
    size_t bytes, width = storage->row->bits / 8;
    if (!size_multiply(t->elements, width, &bytes))
        return broken(f, "a tensor larger than memory", err);
    if (offset > storage->elements ||
        (t->elements && last >= storage->elements - offset))
        return error_set(err, ERROR_INPUT,
                         "%s: tensor %s lies behind the end of its data: "
                         "damaged, fetch the file again",
                         f->path, t->name);
    t->dtype = storage->row->dtype;
    t->dtype_name = storage->row->name;
    t->bytes = bytes;
    t->data = storage->content.data + offset * width;
    t->file = f->index;
    see_order(t);
    return true;
}

static const struct pickle_value *call_of(const struct pickle_value *value,
                                          int64_t global, size_t min,
                                          size_t max) {
    bool is = value->type == PICKLE_CALL &&
              value->callable->integer == global &&
              value->argument->count >= min && value->argument->count <= max;
    return is ? value->argument : NULL;
}

/* The arguments that make a tensor: storage, offset, shape, strides, and what
 * only training needs. Metadata (the last of 7) says "negate" or "conjugate".
 */
static const struct pickle_value *tensor_call(
    const struct pickle_value *value) {
    const struct pickle_value *parameter =
        call_of(value, REBUILD_PARAMETER, 1, 3);
    if (parameter)
        value = parameter->items[0];
    const struct pickle_value *call = call_of(value, REBUILD_TENSOR_V2, 6, 7);
    if (call && call->count == 7) {
        const struct pickle_value *metadata = call->items[6];
        bool nothing = metadata->type == PICKLE_NONE ||
                       (metadata->type == PICKLE_DICT && metadata->count == 0);
        return nothing ? call : NULL;
    }
    return call ? call : call_of(value, REBUILD_TENSOR, 4, 4);
}

static bool read_tensor(struct file *f, const struct pickle_value *name,
                        const struct pickle_value *value, struct error *err) {
    struct tensor t = {0};
    struct storage storage;
    size_t last = 0;
    if (name->type != PICKLE_TEXT)
        return broken(f, "a tensor without a name", err);
    t.name = arena_copy(&f->st->arena, name->text, err);
    const struct pickle_value *call = tensor_call(value);
    if (!t.name)
        return false;
    if (!call)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: %s is %s, expected a plain tensor: save the "
                         "model's state_dict()",
                         f->path, t.name, pickle_type_name(value));
    if (!is_size(call->items[1]))
        return broken(f, "a tensor without a place", err);
    return read_storage(f, call->items[0], &storage, err) &&
           (f->zip.count ? find_zipped(f, &storage, err)
                         : find_listed(f, &storage, err)) &&
           read_shape(f, call->items[2], call->items[3], &t, &last, err) &&
           place(f, &t, &storage, (size_t)call->items[1]->integer, last, err) &&
           tensors_add(f->st, &t, err);
}

static bool read_tensors(struct file *f, const struct pickle_value *dict,
                         struct error *err) {
    if (dict->type != PICKLE_DICT)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: holds %s, expected a dict of tensors: save the "
                         "model's state_dict()",
                         f->path, pickle_type_name(dict));
    bool fine = tensors_reserve(f->st, dict->count / 2, err);
    for (size_t i = 0; fine && i < dict->count; i += 2)
        fine = read_tensor(f, dict->items[i], dict->items[i + 1], err);
    return fine;
}

/* The zip format: FOLDER/data.pkl, FOLDER/data/KEY, FOLDER/byteorder. */

/* All names begin with one folder: that of the archive's name at first. */
static bool find_folder(struct file *f, struct error *err) {
    for (size_t i = 0; i < f->zip.count; i++) {
        struct str name = f->zip.entries[i].name;
        const char *slash = memchr(name.data, '/', name.size);
        size_t folder = slash ? (size_t)(slash - name.data) + 1 : 0;
        struct str rest = {name.data + folder, name.size - folder};
        if (slash && str_equal(rest, STR("data.pkl"))) {
            f->folder = (struct str){name.data, folder};
            return true;
        }
    }
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s: a zip archive without data.pkl, so not weights that "
                     "torch saved",
                     f->path);
}

static bool zipped(const struct file *f, const char *name,
                   struct str *content) {
    char path[512];
    int size = snprintf(path, sizeof path, "%.*s%s", STR_ARG(f->folder), name);
    return size > 0 && (size_t)size < sizeof path &&
           archive_find(&f->zip, (struct str){path, (size_t)size}, content);
}

static bool check_archive(const struct file *f, struct error *err) {
    struct str content;
    if (zipped(f, "constants.pkl", &content))
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: a TorchScript program, expected weights: save "
                         "the model's state_dict()",
                         f->path);
    if (zipped(f, "byteorder", &content) && !str_equal(content, STR("little")))
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s: byte order %.*s, expected little", f->path,
                         STR_ARG(content));
    return true;
}

static bool read_zip(struct file *f, struct error *err) {
    struct str content;
    if (!archive_read(&f->zip, f->st->memory, f->path, f->bytes,
                      "fetch the file again, or save it again with torch.save",
                      err))
        return false;
    if (!find_folder(f, err) || !check_archive(f, err))
        return false;
    if (!zipped(f, "data.pkl", &content))
        return broken(f, "no data.pkl", err);
    return read_pickle(f, content, err) && read_tensors(f, f->pickle.root, err);
}

/* The older format: five pickles (magic number, version, the machine, the
 * dict, the keys), then for each key the elements' count and the elements. */

static bool next_pickle(struct file *f, struct str *rest, struct error *err) {
    if (!read_pickle(f, *rest, err))
        return false;
    rest->data += f->pickle.bytes;
    rest->size -= f->pickle.bytes;
    return true;
}

static bool check_machine(const struct file *f, struct error *err) {
    const struct pickle_value *info = f->pickle.root;
    for (size_t i = 0; info->type == PICKLE_DICT && i < info->count; i += 2)
        if (is_text(info->items[i], STR("little_endian")))
            return (info->items[i + 1]->type == PICKLE_BOOL &&
                    info->items[i + 1]->integer) ||
                   error_set(err, ERROR_UNSUPPORTED,
                             "%s: written by a big-endian machine", f->path);
    return broken(f, "no byte order", err);
}

static bool skip_head(struct file *f, struct str *rest, struct error *err) {
    for (int skip = 0; skip < 2; skip++) /* the magic number, the version */
        if (!next_pickle(f, rest, err))
            return false;
    if (f->pickle.root->type != PICKLE_INT ||
        f->pickle.root->integer != FORMAT_VERSION)
        return broken(f, "an unknown version", err);
    return next_pickle(f, rest, err) && check_machine(f, err);
}

/* The storages that the dict speaks of, once each. */
static bool list_storages(struct file *f, struct error *err) {
    f->storages = arena_alloc(&f->arena, f->pickle.outside_count,
                              sizeof *f->storages, err);
    for (size_t i = 0; f->storages && i < f->pickle.outside_count; i++) {
        struct storage *storage = &f->storages[f->storages_count];
        uint64_t other;
        if (!read_storage(f, f->pickle.outside[i], storage, err))
            return false;
        if (!map_get(&f->keys, storage->key, &other)) {
            if (!map_put(&f->keys, storage->key, f->storages_count, err))
                return false;
            f->storages_count++;
        } else if (f->storages[other].row != storage->row ||
                   f->storages[other].elements != storage->elements) {
            return broken(f, "a storage with two types or sizes", err);
        }
    }
    return f->storages != NULL;
}

static bool find_one(struct file *f, const struct pickle_value *key,
                     struct str *rest, struct error *err) {
    uint64_t i, count = 0;
    size_t bytes;
    if (key->type != PICKLE_TEXT || !map_get(&f->keys, key->text, &i))
        return broken(f, "data that belongs to no tensor", err);
    struct storage *storage = &f->storages[i];
    if (!storage_bytes(f, storage, &bytes, err))
        return false;
    if (storage->content.data || rest->size < 8 || bytes > rest->size - 8)
        return broken(f, "it ends before the data does", err);
    for (unsigned b = 0; b < 8; b++)
        count |= (uint64_t)(unsigned char)rest->data[b] << (8 * b);
    if (count != storage->elements)
        return broken(f, "a tensor whose data has another size", err);
    storage->content = (struct str){rest->data + 8, bytes};
    rest->data += 8 + bytes;
    rest->size -= 8 + bytes;
    return true;
}

static bool find_storages(struct file *f, struct str *rest, struct error *err) {
    if (!next_pickle(f, rest, err))
        return false;
    const struct pickle_value *keys = f->pickle.root;
    if (keys->type != PICKLE_LIST)
        return broken(f, "no list of keys", err);
    bool fine = true;
    for (size_t i = 0; fine && i < keys->count; i++)
        fine = find_one(f, keys->items[i], rest, err);
    return fine;
}

static bool read_older(struct file *f, struct error *err) {
    struct str rest = f->bytes;
    if (!skip_head(f, &rest, err) || !next_pickle(f, &rest, err))
        return false;
    const struct pickle_value *dict = f->pickle.root;
    return list_storages(f, err) && find_storages(f, &rest, err) &&
           read_tensors(f, dict, err);
}

bool torch_file_read(struct tensors *st, unsigned file, struct error *err) {
    const struct source *source = &st->sources[file];
    struct file f = {.st = st,
                     .index = file,
                     .path = source->path,
                     .bytes = {source->map.data, source->map.size},
                     .arena = arena_make(st->memory),
                     .keys = map_make(st->memory)};
    bool fine = str_starts(f.bytes, STR("PK")) ? read_zip(&f, err)
                                               : read_older(&f, err);
    archive_free(&f.zip);
    map_free(&f.keys);
    arena_free(&f.arena);
    return fine;
}
