/* zip.h - a zip of members that are stored as they are, with fixed dates: the
 * same members give the same bytes. Members of any size (zip64), written one
 * after the other in constant memory; a member's data begins at a multiple of
 * 64 in the file, so that a mapped reader can use it in place.
 *
 *     zip_writer_open(&zip, path, memory, err) &&
 *     zip_begin(&zip, "format.npy", 0, err) &&
 *     zip_add(&zip, bytes, size, err) && ... && zip_end(&zip, NULL, err) &&
 *     zip_commit(&zip, err);
 *     zip_writer_close(&zip);
 *
 * base/archive reads them.
 */

#ifndef DATA_ZIP_H
#define DATA_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

enum {
    ZIP_MEMBERS_MAX = 8,
    ZIP_NAME_MAX = 31,
    ZIP_HEAD_MAX = 128,
    ZIP_CRC_TABLE = 8 * 256
};

struct zip_member {
    char name[ZIP_NAME_MAX + 1];
    uint64_t header_at, data_at, size;
    size_t head_size;
    uint32_t crc;
};

struct zip_writer {
    struct file_writer file;
    uint32_t *crc_table; /* [ZIP_CRC_TABLE], owned */
    struct zip_member members[ZIP_MEMBERS_MAX];
    size_t count;
    uint64_t large_from; /* sizes and places from here on are zip64 */
};

bool zip_writer_open(struct zip_writer *zip, const char *path,
                     struct memory *memory, struct error *err);
/* NAME is plain ASCII, at most ZIP_NAME_MAX bytes. The member's first HEAD_SIZE
 * bytes (0 to ZIP_HEAD_MAX) may be known only at its end: they are told to
 * zip_end, and zip_add goes on behind them. */
bool zip_begin(struct zip_writer *zip, const char *name, size_t head_size,
               struct error *err);
bool zip_add(struct zip_writer *zip, const void *data, size_t size,
             struct error *err);
bool zip_end(struct zip_writer *zip, const void *head, struct error *err);
bool zip_commit(struct zip_writer *zip, struct error *err);
void zip_writer_close(struct zip_writer *zip); /* {0} is fine */

#endif
