/* zip_writer.c - an archive after PKWARE's APPNOTE.TXT 6.3.10: local headers
 * (4.3.7) with zip64 sizes (4.5.3), members, central directory (4.3.12 to
 * 4.3.16). */

#include <assert.h>
#include <string.h>

#include "base/zip_format.h"
#include "data/zip.h"

enum { ALIGNMENT = 64, PADDING_HEAD = 6 };

/* ---- the checksum ------------------------------------------------------- */

/* CRC-32 of ISO 3309, bits reversed, eight bytes a step: table k is for a byte
 * with k bytes behind it. */
static const uint32_t POLYNOMIAL = 0xEDB88320;

static void make_table(uint32_t *table) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        table[byte] = crc;
    }
    for (size_t i = 256; i < ZIP_CRC_TABLE; i++)
        table[i] = table[i - 256] >> 8 ^ table[table[i - 256] & 255];
}

static uint32_t crc_add(const uint32_t *table, uint32_t crc, const void *data,
                        size_t size) {
    const uint8_t *at = data;
    crc = ~crc;
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t x;
        memcpy(&x, at, sizeof x);
        x ^= crc;
        crc = 0;
        for (unsigned k = 0; k < 8; k++)
            crc ^= table[(7 - k) * 256 + (x >> 8 * k & 255)];
    }
    while (size-- > 0)
        crc = crc >> 8 ^ table[(crc ^ *at++) & 255];
    return ~crc;
}

/* a x b modulo the polynomial; bit 31 is x^0. */
static uint32_t multiply(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (uint32_t bit = UINT32_C(1) << 31; bit; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b >> 1 ^ (b & 1 ? POLYNOMIAL : 0);
    }
    return product;
}

/* The checksum of two runs of bytes from their own: the first one's has moved
 * on by 8 x SIZE bits, which is a multiplication by x^(8 SIZE). */
static uint32_t crc_join(uint32_t first, uint32_t second, uint64_t size) {
    uint32_t power = UINT32_C(1) << 23; /* x^8 */
    for (; size; size >>= 1) {
        if (size & 1)
            first = multiply(first, power);
        power = multiply(power, power);
    }
    return first ^ second;
}

/* ---- members ------------------------------------------------------------ */

/* Numbers, lowest byte first, one behind the other. */
struct fields {
    uint8_t bytes[128];
    size_t size;
};

static void put(struct fields *fields, uint64_t value, size_t bytes) {
    assert(fields->size + bytes <= sizeof fields->bytes);
    for (size_t i = 0; i < bytes; i++)
        fields->bytes[fields->size++] = (uint8_t)(value >> 8 * i);
}

bool zip_writer_open(struct zip_writer *zip, const char *path,
                     struct memory *memory, struct error *err) {
    *zip = (struct zip_writer){.file.fd = -1, .large_from = ZIP_LARGE};
    if (!file_writer_open(&zip->file, path, memory, err))
        return false;
    zip->crc_table =
        memory_alloc(memory, ZIP_CRC_TABLE, sizeof *zip->crc_table, err);
    if (zip->crc_table) {
        make_table(zip->crc_table);
        return true;
    }
    zip_writer_close(zip);
    return false;
}

/* Sizes stand in the zip64 field, whatever they are: they are not known yet.
 * A field of padding puts the data where it is aligned. */
static void local_header(const struct zip_member *member, struct fields *f) {
    size_t name = strlen(member->name);
    uint64_t end = member->header_at + ZIP_LOCAL_BYTES + name +
                   ZIP64_LOCAL_BYTES + PADDING_HEAD;
    size_t padding = (size_t)(-end % ALIGNMENT);
    put(f, ZIP_LOCAL, 4);
    put(f, ZIP_VERSION, 2);
    put(f, 0, 2); /* flags */
    put(f, 0, 2); /* stored */
    put(f, 0, 2); /* 00:00 */
    put(f, ZIP_DATE, 2);
    put(f, member->crc, 4);
    put(f, ZIP_LARGE, 4);
    put(f, ZIP_LARGE, 4);
    put(f, name, 2);
    put(f, ZIP64_LOCAL_BYTES + PADDING_HEAD + padding, 2);
    assert(f->size == ZIP_LOCAL_BYTES);
    for (size_t i = 0; i < name; i++)
        put(f, (uint8_t)member->name[i], 1);
    put(f, ZIP64_FIELD, 2);
    put(f, 16, 2);
    put(f, member->size, 8);
    put(f, member->size, 8);
    put(f, ZIP_PADDING_FIELD, 2);
    put(f, 2 + padding, 2);
    put(f, ALIGNMENT, 2);
    while (padding--)
        put(f, 0, 1);
}

bool zip_begin(struct zip_writer *zip, const char *name, size_t head_size,
               struct error *err) {
    static const char zeros[ZIP_HEAD_MAX];
    assert(zip->count < ZIP_MEMBERS_MAX && strlen(name) <= ZIP_NAME_MAX &&
           head_size <= ZIP_HEAD_MAX);
    struct zip_member *member = &zip->members[zip->count++];
    *member = (struct zip_member){.header_at = zip->file.written,
                                  .head_size = head_size};
    strcpy(member->name, name);
    struct fields header = {.size = 0};
    local_header(member, &header);
    member->data_at = member->header_at + header.size;
    assert(member->data_at % ALIGNMENT == 0);
    return file_writer_add(&zip->file, header.bytes, header.size, err) &&
           file_writer_add(&zip->file, zeros, head_size, err);
}

bool zip_add(struct zip_writer *zip, const void *data, size_t size,
             struct error *err) {
    struct zip_member *member = &zip->members[zip->count - 1];
    member->crc = crc_add(zip->crc_table, member->crc, data, size);
    member->size += size;
    return file_writer_add(&zip->file, data, size, err);
}

bool zip_end(struct zip_writer *zip, const void *head, struct error *err) {
    struct zip_member *member = &zip->members[zip->count - 1];
    uint32_t crc = crc_add(zip->crc_table, 0, head, member->head_size);
    member->crc = crc_join(crc, member->crc, member->size);
    member->size += member->head_size;
    struct fields header = {.size = 0};
    local_header(member, &header);
    return file_writer_patch(&zip->file, member->header_at, header.bytes,
                             header.size, err) &&
           file_writer_patch(&zip->file, member->data_at, head,
                             member->head_size, err);
}

/* ---- the directory ------------------------------------------------------ */

static void central_header(const struct zip_writer *zip,
                           const struct zip_member *member, struct fields *f) {
    size_t name = strlen(member->name);
    bool large_size = member->size >= zip->large_from;
    bool large_place = member->header_at >= zip->large_from;
    size_t extra = (large_size ? 16u : 0u) + (large_place ? 8u : 0u);
    put(f, ZIP_CENTRAL, 4);
    put(f, ZIP_VERSION, 2);
    put(f, ZIP_VERSION, 2);
    put(f, 0, 2);
    put(f, 0, 2);
    put(f, 0, 2);
    put(f, ZIP_DATE, 2);
    put(f, member->crc, 4);
    put(f, large_size ? ZIP_LARGE : member->size, 4);
    put(f, large_size ? ZIP_LARGE : member->size, 4);
    put(f, name, 2);
    put(f, extra ? extra + 4 : 0, 2);
    put(f, 0, 2); /* comment */
    put(f, 0, 2); /* disk */
    put(f, 0, 2); /* attributes */
    put(f, 0, 4);
    put(f, large_place ? ZIP_LARGE : member->header_at, 4);
    assert(f->size == ZIP_CENTRAL_BYTES);
    for (size_t i = 0; i < name; i++)
        put(f, (uint8_t)member->name[i], 1);
    if (!extra)
        return;
    put(f, ZIP64_FIELD, 2);
    put(f, extra, 2);
    if (large_size) {
        put(f, member->size, 8);
        put(f, member->size, 8);
    }
    if (large_place)
        put(f, member->header_at, 8);
}

static void end_records(const struct zip_writer *zip, uint64_t at,
                        uint64_t size, struct fields *f) {
    bool large = at >= zip->large_from;
    if (large) {
        put(f, ZIP64_END, 4);
        put(f, ZIP64_END_BYTES - 12, 8);
        put(f, ZIP_VERSION, 2);
        put(f, ZIP_VERSION, 2);
        put(f, 0, 4);
        put(f, 0, 4);
        put(f, zip->count, 8);
        put(f, zip->count, 8);
        put(f, size, 8);
        put(f, at, 8);
        put(f, ZIP64_LOCATOR, 4);
        put(f, 0, 4);
        put(f, at + size, 8);
        put(f, 1, 4); /* disks */
    }
    put(f, ZIP_END, 4);
    put(f, 0, 2);
    put(f, 0, 2);
    put(f, zip->count, 2);
    put(f, zip->count, 2);
    put(f, size, 4);
    put(f, large ? ZIP_LARGE : at, 4);
    put(f, 0, 2); /* comment */
}

bool zip_commit(struct zip_writer *zip, struct error *err) {
    uint64_t at = zip->file.written;
    for (size_t i = 0; i < zip->count; i++) {
        struct fields header = {.size = 0};
        central_header(zip, &zip->members[i], &header);
        if (!file_writer_add(&zip->file, header.bytes, header.size, err))
            return false;
    }
    struct fields end = {.size = 0};
    end_records(zip, at, zip->file.written - at, &end);
    return file_writer_add(&zip->file, end.bytes, end.size, err) &&
           file_writer_commit(&zip->file, err);
}

void zip_writer_close(struct zip_writer *zip) {
    if (!zip->file.memory)
        return;
    memory_free(zip->file.memory, zip->crc_table);
    file_writer_close(&zip->file);
    *zip = (struct zip_writer){.file.fd = -1};
}
