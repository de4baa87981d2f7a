/* zip_format.h - the numbers of PKWARE's APPNOTE.TXT that we write (data/zip)
 * and read (base/archive). */

#ifndef BASE_ZIP_FORMAT_H
#define BASE_ZIP_FORMAT_H

#include <stdint.h>

/* Signatures: "PK" and two bytes. */
static const uint32_t ZIP_LOCAL = 0x04034b50;
static const uint32_t ZIP_CENTRAL = 0x02014b50;
static const uint32_t ZIP_END = 0x06054b50;
static const uint32_t ZIP64_END = 0x06064b50;
static const uint32_t ZIP64_LOCATOR = 0x07064b50;

/* In a 32-bit size or place: the number is in the zip64 field. */
static const uint32_t ZIP_LARGE = 0xFFFFFFFF;

enum {
    ZIP_LOCAL_BYTES = 30,
    ZIP_CENTRAL_BYTES = 46,
    ZIP_END_BYTES = 22,
    ZIP64_END_BYTES = 56,
    ZIP64_LOCATOR_BYTES = 20,
    ZIP64_LOCAL_BYTES = 20, /* the field with two sizes */
    ZIP64_FIELD = 1,
    ZIP_PADDING_FIELD = 0xD935, /* Android's: an alignment, and zeros */
    ZIP_VERSION = 45,           /* zip64 */
    ZIP_DATE = 0x21,            /* 1980-01-01 */
    ZIP_COMMENT_MAX = 65535,
};

#endif
