#include "data/chunk_decode.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "data/chunk_text.h"
#include "data/json_scan.h"

enum {
    ROOM_KEPT_BYTES = 1024 * 1024,
    ID_SUFFIX_BYTES = 12, /* "#" and a number */
};

struct chunk_parts chunk_parts_make(struct memory *memory) {
    struct strbuf empty = strbuf_make(memory);
    return (struct chunk_parts){
        .bytes = empty, .applied = empty, .made = empty, .chunk_id = empty};
}

void chunk_parts_free(struct chunk_parts *parts) {
    strbuf_free(&parts->bytes);
    strbuf_free(&parts->applied);
    strbuf_free(&parts->made);
    strbuf_free(&parts->chunk_id);
}

/* What parts may need, in bytes without the NUL. */
struct parts_sizes {
    uint64_t bytes, applied, made, chunk_id;
};

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* Of chunks of MOST bytes at most. An id may get a suffix, and may have been
 * put together; a text that is trimmed gets "...", and metadata that is put
 * together is made of a chunk's own bytes. */
static struct parts_sizes sizes_of(const struct intake *intake, uint64_t most) {
    const struct intake_counts *counts = &intake->counts;
    bool applied = text_options_on(&intake->options);
    most = least(most, counts->chunk_bytes_longest);
    return (struct parts_sizes){
        .bytes = most,
        .applied = applied ? least(counts->text_bytes_longest, most + 3) : 0,
        .made = least(counts->made_bytes_longest, most),
        .chunk_id = least(counts->id_bytes_longest, most + 3 * PATH_MAX) +
                    2 * ID_SUFFIX_BYTES};
}

/* Larger rooms come and go with their chunks. */
static size_t kept(uint64_t bytes) {
    return bytes < ROOM_KEPT_BYTES ? (size_t)bytes : 0;
}

static uint64_t room_bytes(uint64_t bytes) {
    return bytes ? memory_block_bytes(bytes + 1) : 0;
}

uint64_t chunk_parts_bytes(const struct intake *intake, uint64_t most) {
    struct parts_sizes sizes = sizes_of(intake, most);
    return room_bytes(sizes.bytes) + room_bytes(sizes.applied) +
           room_bytes(sizes.made) + room_bytes(sizes.chunk_id);
}

bool chunk_parts_reserve(struct chunk_parts *parts, const struct intake *intake,
                         uint64_t most, struct error *err) {
    struct parts_sizes sizes = sizes_of(intake, most);
    bool fine =
        strbuf_reserve(&parts->bytes, kept(sizes.bytes)) &&
        (!sizes.applied ||
         strbuf_reserve(&parts->applied, kept(sizes.applied))) &&
        (!sizes.made || strbuf_reserve(&parts->made, kept(sizes.made))) &&
        strbuf_reserve(&parts->chunk_id, kept(sizes.chunk_id));
    return fine || error_set(err, ERROR_MEMORY,
                             "no memory to read a chunk of %" PRIu64 " bytes",
                             sizes.bytes);
}

/* Empty BUF, and give back what one huge chunk needed. */
static void empty(struct strbuf *buf) {
    if (buf->capacity > ROOM_KEPT_BYTES)
        strbuf_free(buf);
    else
        strbuf_clear(buf);
}

/* parts->bytes with SIZE bytes that are to be filled in. */
static bool make_room(struct chunk_parts *parts, uint64_t size,
                      struct error *err) {
    struct strbuf *bytes = &parts->bytes;
    empty(bytes);
    empty(&parts->applied);
    empty(&parts->made);
    empty(&parts->chunk_id);
    if (bytes->capacity <= size) /* nothing in it is worth copying */
        strbuf_free(bytes);
    if (!strbuf_reserve(bytes, (size_t)size))
        return error_set(err, ERROR_MEMORY,
                         "no memory for a chunk of %zu bytes; raise --ceiling, "
                         "or split it",
                         (size_t)size);
    bytes->size = (size_t)size;
    bytes->data[size] = '\0';
    return true;
}

bool chunk_take(struct chunk_parts *parts, struct str bytes,
                struct error *err) {
    if (!make_room(parts, bytes.size, err))
        return false;
    memcpy(parts->bytes.data, bytes.data, bytes.size);
    return true;
}

bool chunk_load(struct chunk_parts *parts, int fd, uint64_t offset,
                uint64_t size, const char *path, struct error *err) {
    return make_room(parts, size, err) &&
           file_pread(fd, parts->bytes.data, (size_t)size, offset, path, err);
}

/* The members of a chunk object that we look at; the last one of a name
 * counts. */
struct members {
    struct json_item text, content, metadata, chunk_id, id;
};

static bool read_members(struct str object, struct members *members) {
    struct json_iter iter;
    struct json_item item;
    json_iter_begin(&iter, object);
    while (json_iter_next(&iter, &item)) {
        if (json_key_is(item.key, "text"))
            members->text = item;
        else if (json_key_is(item.key, "content"))
            members->content = item;
        else if (json_key_is(item.key, "metadata"))
            members->metadata = item;
        else if (json_key_is(item.key, "chunk_id"))
            members->chunk_id = item;
        else if (json_key_is(item.key, "id"))
            members->id = item;
    }
    return iter.scan.fault == SCAN_FINE;
}

/* A string that is not empty, or a number: an id. */
static bool usable_id(const struct json_item *item) {
    return item->kind == SCAN_NUMBER ||
           (item->kind == SCAN_STRING && item->value.size > 2);
}

static void take_id(struct chunk_parts *parts, const struct json_item *item) {
    parts->own_id = true;
    if (item->kind == SCAN_NUMBER)
        strbuf_add(&parts->chunk_id, item->value);
    else
        json_decode_add(item->value, &parts->chunk_id);
}

/* The name of the top-level member that gave the id, or NULL. */
static const char *find_id(struct chunk_parts *parts,
                           const struct members *members) {
    struct json_item inner;
    if (members->metadata.kind == SCAN_OBJECT &&
        json_find(members->metadata.value, "chunk_id", &inner) &&
        usable_id(&inner)) {
        take_id(parts, &inner);
        return NULL;
    }
    if (usable_id(&members->chunk_id)) {
        take_id(parts, &members->chunk_id);
        return "chunk_id";
    }
    if (usable_id(&members->id)) {
        take_id(parts, &members->id);
        return "id";
    }
    return NULL;
}

/* An object of the members that are left: nothing that came is lost. */
static void make_metadata(struct chunk_parts *parts, struct str object,
                          const struct members *members, const char *text_name,
                          const char *id_name) {
    const char *null_name =
        members->metadata.kind == SCAN_NULL ? "metadata" : NULL;
    struct json_iter iter;
    struct json_item item;
    json_iter_begin(&iter, object);
    strbuf_add_char(&parts->made, '{');
    while (json_iter_next(&iter, &item)) {
        if (json_key_is(item.key, text_name) ||
            (id_name && json_key_is(item.key, id_name)) ||
            (null_name && json_key_is(item.key, null_name)))
            continue;
        if (parts->made.size > 1)
            strbuf_add_char(&parts->made, ',');
        strbuf_add_char(&parts->made, '"');
        strbuf_add(&parts->made, item.key);
        strbuf_add(&parts->made, STR("\":"));
        strbuf_add(&parts->made, item.value);
    }
    strbuf_add_char(&parts->made, '}');
    parts->metadata = strbuf_str(&parts->made);
    parts->made_bytes = parts->made.size;
}

/* VALUE is a string inside parts->bytes: decode it where it stands. */
static void take_text(struct chunk_parts *parts, struct str value) {
    char *place = parts->bytes.data + (value.data - parts->bytes.data) + 1;
    struct str raw = {place, value.size - 2};
    uint64_t lone = 0;
    size_t size = json_decode(raw, place, &lone);
    parts->original = parts->text = (struct str){place, size};
}

static bool wrong(struct chunk_parts *parts, const char *why) {
    parts->wrong = why;
    return false;
}

static bool decode_object(struct chunk_parts *parts) {
    struct str object = strbuf_str(&parts->bytes);
    struct members members = {0};
    if (!read_members(object, &members))
        return wrong(parts, "the chunk is no JSON any more");
    bool plain =
        members.text.kind != SCAN_ERROR &&
        (members.text.kind != SCAN_NULL || members.content.kind == SCAN_ERROR);
    struct json_item *text = plain ? &members.text : &members.content;
    if (text->kind == SCAN_ERROR)
        return wrong(parts, "the chunk has no \"text\" (nor \"content\")");
    if (text->kind != SCAN_STRING)
        return wrong(parts, "the chunk's text is not a string");
    const char *id_name = find_id(parts, &members);
    if (members.metadata.kind == SCAN_OBJECT)
        parts->metadata = members.metadata.value;
    else
        make_metadata(parts, object, &members, plain ? "text" : "content",
                      id_name);
    take_text(parts, text->value);
    return true;
}

/* The text with options, and the digests. */
static bool apply_options(struct chunk_parts *parts,
                          const struct chunk_options *options,
                          struct error *err) {
    hash_sha256(parts->original, parts->original_digest);
    memcpy(parts->digest, parts->original_digest, SHA256_BYTES);
    if (!text_options_on(options))
        return true;
    text_apply_options(parts->original, options, &parts->applied);
    parts->text = strbuf_str(&parts->applied);
    hash_sha256(parts->text, parts->digest);
    return strbuf_ok(&parts->applied, err);
}

bool chunk_decode(struct chunk_parts *parts,
                  const struct chunk_options *options, struct error *err) {
    struct strbuf *bytes = &parts->bytes;
    parts->wrong = NULL;
    parts->own_id = false;
    parts->made_bytes = 0;
    parts->surrogates = json_mend_surrogates(bytes->data, bytes->size);
    if (bytes->size >= 2 && bytes->data[0] == '"') {
        parts->metadata = STR("{}");
        take_text(parts, strbuf_str(bytes));
    } else if (!decode_object(parts)) {
        return false;
    }
    return strbuf_ok(&parts->made, err) && strbuf_ok(&parts->chunk_id, err) &&
           apply_options(parts, options, err);
}

bool chunk_decode_at(struct chunk_parts *parts, char *bytes, size_t size,
                     const struct chunk_options *options, struct error *err) {
    struct strbuf own = parts->bytes;
    empty(&parts->applied);
    empty(&parts->made);
    empty(&parts->chunk_id);
    parts->bytes =
        (struct strbuf){.data = bytes, .size = size, .capacity = size};
    bool fine = chunk_decode(parts, options, err);
    parts->bytes = own;
    return fine;
}

void chunk_id_base(struct chunk_parts *parts, const char *relative) {
    char hex[17];
    /* Of the text as it came: an option must not change the id. */
    hash_hex(parts->original_digest, 8, hex);
    strbuf_clear(&parts->chunk_id);
    strbuf_printf(&parts->chunk_id, "%s\x1f%s", relative, hex);
}

void chunk_uuid_space(uint8_t space[16]) {
    uuid5(UUID_DNS, STR("ensembed"), space);
}

void chunk_uuid(const uint8_t space[16], const char *collection,
                struct str chunk_id, uint8_t id[16]) {
    struct str name[] = {str_from(collection), STR("\x1f"), chunk_id};
    uuid5_of(space, name, sizeof name / sizeof *name, id);
}
