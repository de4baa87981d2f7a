/* archive.h - the directory of a zip archive that lies in memory.
 *
 * Only what torch.save and scipy.sparse.save_npz(compressed=False) make: files
 * that are stored as they are, so that their bytes are used where they lie. An
 * archive with a compressed or encrypted file is refused by that file's name.
 * Archives beyond 4 GiB (zip64) are fine.
 *
 *     struct archive zip;
 *     if (!archive_read(&zip, memory, path, bytes, "fetch it again", err)) ...
 *     struct str content;
 *     if (archive_find(&zip, STR("archive/data.pkl"), &content)) ...
 *     archive_free(&zip);
 *
 * FACTS: PKWARE's APPNOTE 6.3.10, sections 4.3 and 4.5.3. The central directory
 * alone says what is in the archive; of the local headers only the length is
 * used. Checksums are not computed: such files have gigabytes.
 */

#ifndef BASE_ARCHIVE_H
#define BASE_ARCHIVE_H

#include "base/error.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/str.h"

struct archive_entry {
    struct str name, content; /* both in the archive's bytes */
};

struct archive {
    struct memory *memory;
    struct archive_entry *entries; /* [count], owned */
    size_t count;
    struct map names;
};

/* PATH and REMEDY (what to do about a file that cannot be read) are for
 * messages. ERROR_INPUT, ERROR_UNSUPPORTED; nothing to free then. The bytes
 * must outlive ZIP. */
bool archive_read(struct archive *zip, struct memory *memory, const char *path,
                  struct str bytes, const char *remedy, struct error *err);
void archive_free(struct archive *zip); /* {0} is fine */

bool archive_find(const struct archive *zip, struct str name,
                  struct str *content);

#endif
