#include "data/npy.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char MAGIC[6] = "\x93NUMPY";
enum { VERSION_AT = 6, LENGTH_AT = 8, TEXT_AT_1 = 10, TEXT_AT_2 = 12 };

void npy_header_make(char header[NPY_HEADER_BYTES], const char *type,
                     const uint64_t *shape, size_t dimensions) {
    enum { LENGTH = NPY_HEADER_BYTES - TEXT_AT_1 };
    assert(dimensions <= NPY_DIMENSIONS_MAX && strlen(type) <= 4);
    memset(header, ' ', NPY_HEADER_BYTES);
    memcpy(header, MAGIC, sizeof MAGIC);
    header[VERSION_AT] = 1;
    header[VERSION_AT + 1] = 0;
    header[LENGTH_AT] = LENGTH & 255;
    header[LENGTH_AT + 1] = LENGTH >> 8;
    char numbers[2 * 20 + 3] = ""; /* a tuple of one has a comma */
    if (dimensions == 1)
        snprintf(numbers, sizeof numbers, "%" PRIu64 ",", shape[0]);
    else if (dimensions == 2)
        snprintf(numbers, sizeof numbers, "%" PRIu64 ", %" PRIu64, shape[0],
                 shape[1]);
    char text[LENGTH];
    int length = snprintf(text, sizeof text,
                          "{'descr': '%s', 'fortran_order': False, "
                          "'shape': (%s), }",
                          type, numbers);
    memcpy(header + TEXT_AT_1, text, (size_t)length);
    header[NPY_HEADER_BYTES - 1] = '\n';
}

void npy_header_write(char header[NPY_HEADER_BYTES], uint64_t rows,
                      size_t width) {
    npy_header_make(header, "<f4", (uint64_t[]){rows, width}, 2);
}

static uint64_t data_bytes(uint64_t rows, size_t width) {
    uint64_t bytes;
    return __builtin_mul_overflow(rows, (uint64_t)width * sizeof(float), &bytes)
               ? UINT64_MAX
               : bytes;
}

bool npy_writer_open(struct npy_writer *writer, const char *path, uint64_t rows,
                     size_t width, struct memory *memory, struct error *err) {
    assert(width > 0);
    *writer = (struct npy_writer){.rows = rows, .width = width};
    if (!file_writer_open_large(&writer->file, path, data_bytes(rows, width),
                                memory, err))
        return false;
    char header[NPY_HEADER_BYTES];
    npy_header_write(header, rows, width);
    if (file_writer_add(&writer->file, header, sizeof header, err))
        return true;
    npy_writer_close(writer);
    return false;
}

bool npy_writer_add(struct npy_writer *writer, const float *rows, size_t count,
                    struct error *err) {
    size_t bytes;
    if (!size_multiply(count, writer->width, &bytes) ||
        !size_multiply(bytes, sizeof(float), &bytes))
        return error_set(err, ERROR_MEMORY, "%zu rows of %zu cannot be written",
                         count, writer->width);
    assert(count <= writer->rows - writer->written);
    writer->written += count;
    return file_writer_add(&writer->file, rows, bytes, err);
}

bool npy_writer_commit(struct npy_writer *writer, struct error *err) {
    assert(writer->written == writer->rows);
    return file_writer_commit(&writer->file, err);
}

void npy_writer_close(struct npy_writer *writer) {
    file_writer_close(&writer->file);
}

/* The header's text is a Python dictionary. What is read of it is what NumPy
 * writes: three keys, a string, True or False, and a tuple of numbers. */
struct dict {
    struct str text;
    size_t at;
};

static void skip_spaces(struct dict *dict) {
    while (dict->at < dict->text.size && (dict->text.data[dict->at] == ' ' ||
                                          dict->text.data[dict->at] == '\t'))
        dict->at++;
}

/* Pass over TOKEN and the blanks before it, if it is next. */
static bool take(struct dict *dict, struct str token) {
    skip_spaces(dict);
    struct str rest = {dict->text.data + dict->at, dict->text.size - dict->at};
    if (!str_starts(rest, token))
        return false;
    dict->at += token.size;
    return true;
}

/* Printable ASCII in quotes: it may end up in a message. */
static bool take_string(struct dict *dict, struct str *out) {
    struct str quote = take(dict, STR("'"))    ? STR("'")
                       : take(dict, STR("\"")) ? STR("\"")
                                               : STR("");
    size_t begin = dict->at;
    if (!quote.size)
        return false;
    for (; dict->at < dict->text.size; dict->at++) {
        char c = dict->text.data[dict->at];
        if (c == quote.data[0] || c < ' ' || c > '~')
            break;
    }
    *out = (struct str){dict->text.data + begin, dict->at - begin};
    return take(dict, quote);
}

static bool take_number(struct dict *dict, uint64_t *out) {
    skip_spaces(dict);
    size_t begin = dict->at;
    uint64_t value = 0;
    for (; dict->at < dict->text.size; dict->at++) {
        unsigned digit = (unsigned char)dict->text.data[dict->at] - '0';
        if (digit > 9)
            break;
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = value;
    return dict->at > begin;
}

static bool take_bool(struct dict *dict, bool *out) {
    *out = take(dict, STR("True"));
    return *out || take(dict, STR("False"));
}

enum { DIMENSIONS_MAX = 32 }; /* NumPy's own limit, for the message */

struct array {
    struct str type;
    bool fortran;
    uint64_t shape[DIMENSIONS_MAX];
    size_t dimensions;
};

static bool take_shape(struct dict *dict, struct array *array) {
    if (!take(dict, STR("(")))
        return false;
    while (!take(dict, STR(")"))) {
        if (array->dimensions == DIMENSIONS_MAX ||
            !take_number(dict, &array->shape[array->dimensions]))
            return false;
        array->dimensions++;
        if (take(dict, STR(",")))
            continue;
        return take(dict, STR(")"));
    }
    return true;
}

static bool take_member(struct dict *dict, struct array *array,
                        unsigned *seen) {
    static const struct str keys[] = {
        {"descr", 5}, {"fortran_order", 13}, {"shape", 5}};
    struct str key;
    if (!take_string(dict, &key) || !take(dict, STR(":")))
        return false;
    unsigned which = 0;
    while (which < 3 && !str_equal(key, keys[which]))
        which++;
    if (which == 3 || *seen & 1u << which)
        return false;
    *seen |= 1u << which;
    switch (which) {
    case 0:
        return take_string(dict, &array->type);
    case 1:
        return take_bool(dict, &array->fortran);
    default:
        return take_shape(dict, array);
    }
}

/* The whole dictionary and nothing after it but blanks and a line's end. */
static bool take_array(struct dict *dict, struct array *array) {
    unsigned seen = 0;
    if (!take(dict, STR("{")))
        return false;
    while (!take(dict, STR("}"))) {
        if (!take_member(dict, array, &seen))
            return false;
        if (take(dict, STR(",")))
            continue;
        if (!take(dict, STR("}")))
            return false;
        break;
    }
    take(dict, STR("\n"));
    return seen == 7 && dict->at == dict->text.size;
}

/* Where the text lies, by the version in front of it. */
static bool find_text(struct str head, const char *name, struct str *text,
                      struct error *err) {
    if (head.size < TEXT_AT_2 || memcmp(head.data, MAGIC, sizeof MAGIC) != 0)
        return error_set(err, ERROR_INPUT, "%s is not a NumPy array file",
                         name);
    const unsigned char *byte = (const unsigned char *)head.data;
    unsigned version = byte[VERSION_AT];
    if (version < 1 || version > 3 || byte[VERSION_AT + 1] != 0)
        return error_set(err, ERROR_INPUT,
                         "%s has NumPy format version %u.%u; 1.0 to 3.0 can "
                         "be read",
                         name, version, byte[VERSION_AT + 1]);
    size_t at = version == 1 ? TEXT_AT_1 : TEXT_AT_2;
    size_t size = byte[LENGTH_AT] | (size_t)byte[LENGTH_AT + 1] << 8;
    if (version > 1)
        size |= (size_t)byte[LENGTH_AT + 2] << 16 | (size_t)byte[LENGTH_AT + 3]
                                                        << 24;
    if (size > head.size - at)
        return error_set(err, ERROR_INPUT,
                         "%s ends inside its header; make the file again",
                         name);
    *text = (struct str){head.data + at, size};
    return true;
}

static bool check_array(const struct array *array, const char *name,
                        struct error *err) {
    if (!str_equal(array->type, STR("<f4")))
        return error_set(err, ERROR_INPUT,
                         "%s holds values of type '%.*s'; little-endian f32 "
                         "('<f4') is needed",
                         name, STR_ARG(array->type));
    if (array->fortran)
        return error_set(err, ERROR_INPUT,
                         "%s is in Fortran order; C order is needed", name);
    if (array->dimensions != 2 || array->shape[1] == 0)
        return error_set(err, ERROR_INPUT,
                         "%s is not an array of rows and columns (it has %zu "
                         "dimensions)",
                         name, array->dimensions);
    return true;
}

static bool check_size(const struct npy_header *header, uint64_t file_bytes,
                       const char *name, struct error *err) {
    uint64_t bytes;
    if (__builtin_mul_overflow(header->rows, (uint64_t)header->width, &bytes) ||
        __builtin_mul_overflow(bytes, (uint64_t)sizeof(float), &bytes) ||
        __builtin_add_overflow(bytes, (uint64_t)header->offset, &bytes) ||
        bytes != file_bytes)
        return error_set(err, ERROR_INPUT,
                         "%s has %" PRIu64 " bytes, which is not what its "
                         "header says (%" PRIu64 " rows of %zu); make the "
                         "file again",
                         name, file_bytes, header->rows, header->width);
    if (header->offset % sizeof(float) != 0)
        return error_set(err, ERROR_INPUT,
                         "%s: its data begins at byte %zu, which is not "
                         "aligned; save it with NumPy again",
                         name, header->offset);
    return true;
}

/* The dictionary; *OFFSET is where the data begins. */
static bool read_dict(struct str head, const char *name, struct array *array,
                      size_t *offset, struct error *err) {
    struct dict dict = {0};
    if (!find_text(head, name, &dict.text, err))
        return false;
    if (!take_array(&dict, array))
        return error_set(err, ERROR_INPUT,
                         "%s: its NumPy header cannot be read (at byte %zu of "
                         "its text)",
                         name, dict.at);
    *offset = (size_t)(dict.text.data - head.data) + dict.text.size;
    return true;
}

bool npy_header_read(struct str head, uint64_t file_bytes, const char *name,
                     struct npy_header *out, struct error *err) {
    struct array array = {0};
    struct npy_header header;
    if (!read_dict(head, name, &array, &header.offset, err))
        return false;
    header.rows = array.shape[0];
    header.width = (size_t)array.shape[1];
    if (!check_array(&array, name, err) ||
        !check_size(&header, file_bytes, name, err))
        return false;
    *out = header;
    return true;
}

bool npy_array_read(struct str bytes, const char *type, size_t item_bytes,
                    size_t dimensions, const char *name, struct npy_array *out,
                    struct error *err) {
    struct array array = {0};
    size_t offset;
    if (!read_dict(bytes, name, &array, &offset, err))
        return false;
    if (!str_equal(array.type, str_from(type)) || array.fortran ||
        array.dimensions != dimensions)
        return error_set(err, ERROR_INPUT,
                         "%s is not an array of type '%s' with %zu dimensions "
                         "in C order",
                         name, type, dimensions);
    uint64_t size = item_bytes;
    bool fits = true;
    *out = (struct npy_array){.type = array.type, .dimensions = dimensions};
    for (size_t d = 0; d < dimensions; d++) {
        out->shape[d] = array.shape[d];
        fits = fits && !__builtin_mul_overflow(size, array.shape[d], &size);
    }
    if (!fits || size != bytes.size - offset)
        return error_set(err, ERROR_INPUT,
                         "%s has %zu bytes of values, which is not what its "
                         "header says; make the file again",
                         name, bytes.size - offset);
    out->data = (struct str){bytes.data + offset, bytes.size - offset};
    return true;
}

bool npy_map_open(struct npy_map *npy, const char *path, struct error *err) {
    *npy = (struct npy_map){0};
    if (!file_map_open(&npy->map, path, err))
        return false;
    struct str bytes = {npy->map.data, npy->map.size};
    struct npy_header header;
    if (!npy_header_read(bytes, bytes.size, path, &header, err)) {
        npy_map_close(npy);
        return false;
    }
    npy->rows = header.rows;
    npy->width = header.width;
    npy->data = (const float *)(const void *)(bytes.data + header.offset);
    return true;
}

void npy_map_close(struct npy_map *npy) {
    file_map_close(&npy->map);
    *npy = (struct npy_map){0};
}
