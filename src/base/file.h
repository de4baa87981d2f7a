/* file.h - files that are whole or not there.
 *
 * An artefact is written under PATH.part and gets its name only when it is
 * complete: flush, fsync, rename, fsync of the folder. A process that dies
 * leaves at most a .part file, which the next one writes over. Where PATH is a
 * device or a pipe (/dev/null, /dev/stdout), what is written goes there as it
 * comes: nothing takes its place.
 *
 *     struct file_writer writer;
 *     if (!file_writer_open(&writer, path, memory, err)) ...
 *     bool fine = file_writer_add(&writer, bytes, size, err) && ...
 *     fine = fine && file_writer_commit(&writer, err);
 *     file_writer_close(&writer);   // drops what was not committed
 */

#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/str.h"

/* A file mapped to read. An empty file has data "" and size 0. */
struct file_map {
    const char *data;
    size_t size;
};
bool file_map_open(struct file_map *map, const char *path, struct error *err);
void file_map_close(struct file_map *map); /* {0} is fine */
/* Tell the kernel that all of it is going to be read, from its begin to its
 * end: it reads ahead and maps large pages, where it can. A page that is needed
 * costs nothing then but its bytes. */
void file_map_read_through(const struct file_map *map);
/* Tell the kernel that [offset, offset + size) is not needed any more: it
 * stops counting as ours. The bytes stay readable. */
void file_map_forget(const struct file_map *map, size_t offset, size_t size);

/* A whole small file, at most MAX_BYTES, appended to OUT. */
bool file_read(const char *path, size_t max_bytes, struct strbuf *out,
               struct error *err);

struct file_writer {
    struct memory *memory; /* borrowed */
    int fd;                /* -1: closed */
    char *path;            /* owned; the name it will have */
    char *part;            /* owned; the name it has until then */
    bool stream;           /* PATH is no file and stays what it is */
    char *buffer;          /* owned; [buffer_bytes] */
    size_t buffer_bytes, buffered;
    uint64_t written; /* bytes added so far */
};
/* What one takes while it is open, as memory counts it, but for its paths. */
uint64_t file_writer_bytes(void);
bool file_writer_open(struct file_writer *writer, const char *path,
                      struct memory *memory, struct error *err);
/* For a file of about BYTES bytes that is going to be mapped and read through:
 * the larger the pieces that are written, each at a multiple of its size, the
 * larger the pages that the kernel keeps them in, and the fewer it has to map
 * (Linux 6.16 on ext4; others before). A piece has up to 2 MiB, a large page.
 */
uint64_t file_writer_large_bytes(uint64_t bytes);
bool file_writer_open_large(struct file_writer *writer, const char *path,
                            uint64_t bytes, struct memory *memory,
                            struct error *err);
bool file_writer_add(struct file_writer *writer, const void *data, size_t size,
                     struct error *err);
/* Overwrite bytes at OFFSET that were added before (a header's counts). */
bool file_writer_patch(struct file_writer *writer, uint64_t offset,
                       const void *data, size_t size, struct error *err);
bool file_writer_commit(struct file_writer *writer, struct error *err);
/* Without a commit before it, nothing is left. {.fd = -1} is fine. */
void file_writer_close(struct file_writer *writer);

/* TEXT as the whole content of PATH, by a file_writer. */
bool file_write(const char *path, struct str text, struct memory *memory,
                struct error *err);

/* A copy of FROM under the name TO, by a file_writer. */
bool file_copy(const char *from, const char *to, struct memory *memory,
               struct error *err);

/* All SIZE bytes at OFFSET or an error; PATH is for the message. A file that
 * ends before them is ERROR_INPUT. */
bool file_pread(int fd, void *data, size_t size, uint64_t offset,
                const char *path, struct error *err);
bool file_pwrite(int fd, const void *data, size_t size, uint64_t offset,
                 const char *path, struct error *err);

/* FOLDER/NAME into PATH; ERROR_USAGE if it is longer than paths may be. */
bool path_join(char path[PATH_MAX], const char *folder, const char *name,
               struct error *err);

/* A device, a pipe, or one of the process's own open files (/dev/stdout). */
bool file_is_stream(const char *path);
bool file_exists(const char *path); /* a regular file, links followed */
/* The same, but true where the system does not tell, for a reason other than
 * that nothing is there: who opens it hears why. For files without which
 * something else is computed: one that a failing disk hides for a moment is not
 * one that nobody has written. */
bool file_may_exist(const char *path);
/* Does errno, after stat and its like, say that nothing is there? */
bool file_is_absent(int cause);
bool folder_exists(const char *path);
bool file_size(const char *path, uint64_t *bytes, struct error *err);
/* Which file PATH is now, and when its bytes were written. Between two that are
 * equal nobody has written to it, and no other file came in its place. */
struct file_version {
    uint64_t device, inode;
    int64_t modified_ns;
};
bool file_version_of(const char *path, struct file_version *version,
                     struct error *err);
bool file_version_same(const struct file_version *a,
                       const struct file_version *b);
/* When its bytes were last written, in nanoseconds since 1970, as exactly as
 * the file system keeps it. */
bool file_modified(const char *path, int64_t *ns, struct error *err);
/* To be read, and how long it is now. *FD is the caller's to close unless it is
 * -1, even where its size cannot be told. */
bool file_open_sized(const char *path, int *fd, uint64_t *bytes,
                     struct error *err);
bool file_remove(const char *path, struct error *err); /* absent is fine */
bool file_rename(const char *from, const char *to, struct error *err);
/* Make PATH and what is missing above it. */
bool folder_make(const char *path, struct error *err);
/* fsync of what FD has open, PATH for the message. */
bool file_sync(int fd, const char *path, struct error *err);
/* The same without what is not needed to read it: times. */
bool file_sync_data(int fd, const char *path, struct error *err);
/* fsync of a folder, so that a rename in it survives a power failure. */
bool folder_sync(const char *path, struct error *err);
/* PATH and everything in it; links are removed, not followed. Absent is fine.
 */
bool folder_remove(const char *path, struct error *err);
/* Bytes that this user may still write on the disk that holds PATH (or its
 * nearest folder that exists). */
bool disk_free(const char *path, uint64_t *bytes, struct error *err);

#endif
