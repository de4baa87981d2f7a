#define _GNU_SOURCE /* nftw, MADV_HUGEPAGE */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { BUFFER_BYTES = 256 * 1024, LARGE_BUFFER_BYTES = 2048 * 1024 };

bool file_map_open(struct file_map *map, const char *path, struct error *err) {
    *map = (struct file_map){.data = ""};
    /* Without waiting: a pipe that nobody writes to is refused below. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_errno(err, "open %s", path);
    struct stat status;
    bool fine = fstat(fd, &status) == 0 || error_errno(err, "stat %s", path);
    if (fine && !S_ISREG(status.st_mode))
        fine = error_set(err, ERROR_INPUT, "%s is not a file", path);
    if (fine && status.st_size > 0) {
        size_t size = (size_t)status.st_size;
        void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            fine = error_errno(err, "map %s", path);
        else
            *map = (struct file_map){.data = data, .size = size};
    }
    close(fd);
    return fine;
}

void file_map_close(struct file_map *map) {
    if (map->size)
        munmap((void *)(uintptr_t)map->data, map->size);
    *map = (struct file_map){.data = ""};
}

void file_map_read_through(const struct file_map *map) {
    if (map->size)
        madvise((void *)(uintptr_t)map->data, map->size, MADV_HUGEPAGE);
}

void file_map_forget(const struct file_map *map, size_t offset, size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t begin = offset & ~(page - 1);
    if (begin < map->size && offset + size <= map->size)
        madvise((void *)(uintptr_t)(map->data + begin), offset + size - begin,
                MADV_DONTNEED);
}

bool file_open_sized(const char *path, int *fd, uint64_t *bytes,
                     struct error *err) {
    struct stat status;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return error_errno(err, "open %s", path);
    if (fstat(*fd, &status) != 0)
        return error_errno(err, "stat %s", path);
    *bytes = (uint64_t)status.st_size;
    return true;
}

bool file_read(const char *path, size_t max_bytes, struct strbuf *out,
               struct error *err) {
    struct file_map map;
    if (!file_map_open(&map, path, err))
        return false;
    bool fine =
        map.size <= max_bytes ||
        error_set(err, ERROR_INPUT, "%s: %zu bytes, expected at most %zu", path,
                  map.size, max_bytes);
    if (fine)
        strbuf_add(out, (struct str){map.data, map.size});
    file_map_close(&map);
    return fine && strbuf_ok(out, err);
}

/* File systems in a network or in a process of their own are interrupted. */
static bool sync_by(int (*call)(int fd), int fd, const char *path,
                    struct error *err) {
    int failed;
    do
        failed = call(fd);
    while (failed && errno == EINTR);
    return !failed || error_errno(err, "sync %s", path);
}

bool file_sync(int fd, const char *path, struct error *err) {
    return sync_by(fsync, fd, path, err);
}

bool file_sync_data(int fd, const char *path, struct error *err) {
    return sync_by(fdatasync, fd, path, err);
}

static bool write_all(int fd, const void *data, size_t size, const char *path,
                      struct error *err) {
    const char *at = data;
    while (size > 0) {
        ssize_t wrote = write(fd, at, size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return error_errno(err, "write %s", path);
        at += wrote;
        size -= (size_t)wrote;
    }
    return true;
}

static char *join(struct memory *memory, const char *a, const char *b,
                  struct error *err) {
    size_t size = strlen(a) + strlen(b) + 1;
    char *joined = memory_alloc(memory, size, 1, err);
    if (joined)
        snprintf(joined, size, "%s%s", a, b);
    return joined;
}

uint64_t file_writer_bytes(void) {
    return memory_block_bytes(BUFFER_BYTES);
}

static size_t large_buffer(uint64_t bytes) {
    return bytes < LARGE_BUFFER_BYTES ? BUFFER_BYTES : LARGE_BUFFER_BYTES;
}

uint64_t file_writer_large_bytes(uint64_t bytes) {
    return memory_block_bytes(large_buffer(bytes));
}

/* The process's own open file that PATH names (/dev/stdout, /dev/fd/3); -1: it
 * names none. */
static int own_file(const char *path) {
    static const char *const names[] = {"/dev/stdin", "/dev/stdout",
                                        "/dev/stderr"};
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(path, names[i]))
            return i;
    for (int i = 0; i < 2; i++) {
        size_t size = strlen(folders[i]);
        if (strncmp(path, folders[i], size) != 0)
            continue;
        size_t digits = strspn(path + size, "0123456789");
        if (digits && digits < 6 && !path[size + digits])
            return atoi(path + size);
    }
    return -1;
}

/* A device, a pipe or a socket, or the process's own open file. */
bool file_is_stream(const char *path) {
    struct stat status;
    return own_file(path) >= 0 ||
           (stat(path, &status) == 0 && !S_ISDIR(status.st_mode) &&
            !S_ISREG(status.st_mode));
}

/* What is open already goes on where it is: its offset is shared. */
static int open_stream(const char *path) {
    int own = own_file(path);
    return own >= 0 ? fcntl(own, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
                    : open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
}

static bool writer_open(struct file_writer *writer, const char *path,
                        size_t buffer_bytes, struct memory *memory,
                        struct error *err) {
    *writer = (struct file_writer){.memory = memory,
                                   .fd = -1,
                                   .stream = file_is_stream(path),
                                   .buffer_bytes = buffer_bytes};
    writer->path = join(memory, path, "", err);
    writer->part = join(memory, path, writer->stream ? "" : ".part", err);
    writer->buffer = memory_alloc(memory, buffer_bytes, 1, err);
    if (writer->path && writer->part && writer->buffer) {
        writer->fd = writer->stream
                         ? open_stream(path)
                         : open(writer->part,
                                O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (writer->fd >= 0)
            return true;
        error_errno(err, writer->stream ? "open %s" : "create %s",
                    writer->part);
    }
    file_writer_close(writer);
    return false;
}

bool file_writer_open(struct file_writer *writer, const char *path,
                      struct memory *memory, struct error *err) {
    return writer_open(writer, path, BUFFER_BYTES, memory, err);
}

bool file_writer_open_large(struct file_writer *writer, const char *path,
                            uint64_t bytes, struct memory *memory,
                            struct error *err) {
    return writer_open(writer, path, large_buffer(bytes), memory, err);
}

static bool writer_flush(struct file_writer *writer, struct error *err) {
    size_t size = writer->buffered;
    writer->buffered = 0;
    return write_all(writer->fd, writer->buffer, size, writer->path, err);
}

/* Pieces end at multiples of the buffer in the file, whatever is added: see
 * file_writer_open_large. */
bool file_writer_add(struct file_writer *writer, const void *data, size_t size,
                     struct error *err) {
    const char *at = data;
    while (size > 0) {
        size_t room = writer->buffer_bytes -
                      (size_t)(writer->written % writer->buffer_bytes);
        size_t some = size < room ? size : room;
        memcpy(writer->buffer + writer->buffered, at, some);
        writer->buffered += some;
        writer->written += some;
        at += some;
        size -= some;
        if (some == room && !writer_flush(writer, err))
            return false;
    }
    return true;
}

bool file_writer_patch(struct file_writer *writer, uint64_t offset,
                       const void *data, size_t size, struct error *err) {
    return writer_flush(writer, err) &&
           file_pwrite(writer->fd, data, size, offset, writer->path, err);
}

/* fsync of the folder that holds PATH. */
static bool sync_parent(const char *path, struct error *err) {
    char copy[PATH_MAX];
    if (strlen(path) >= sizeof copy)
        return error_set(err, ERROR_USAGE, "path too long: %s", path);
    strcpy(copy, path);
    return folder_sync(dirname(copy), err);
}

bool file_writer_commit(struct file_writer *writer, struct error *err) {
    if (!writer_flush(writer, err))
        return false;
    if (!writer->stream && !file_sync(writer->fd, writer->path, err))
        return false;
    int fd = writer->fd;
    writer->fd = -1;
    bool fine = close(fd) == 0 || error_errno(err, "close %s", writer->path);
    if (writer->stream)
        return fine;
    if (fine && rename(writer->part, writer->path) != 0)
        fine = error_errno(err, "rename %s to %s", writer->part, writer->path);
    if (!fine) {
        unlink(writer->part);
        return false;
    }
    return sync_parent(writer->path, err);
}

void file_writer_close(struct file_writer *writer) {
    if (writer->fd >= 0) {
        close(writer->fd);
        if (!writer->stream)
            unlink(writer->part);
    }
    memory_free(writer->memory, writer->path);
    memory_free(writer->memory, writer->part);
    memory_free(writer->memory, writer->buffer);
    *writer = (struct file_writer){.memory = writer->memory, .fd = -1};
}

bool file_write(const char *path, struct str text, struct memory *memory,
                struct error *err) {
    struct file_writer writer;
    bool fine = file_writer_open(&writer, path, memory, err) &&
                file_writer_add(&writer, text.data, text.size, err) &&
                file_writer_commit(&writer, err);
    file_writer_close(&writer);
    return fine;
}

bool file_copy(const char *from, const char *to, struct memory *memory,
               struct error *err) {
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, "open %s", from);
    struct file_writer writer;
    char *piece = memory_alloc(memory, BUFFER_BYTES, 1, err);
    bool fine = file_writer_open(&writer, to, memory, piece ? err : NULL);
    ssize_t got = 1;
    while (fine && piece && got > 0) {
        do
            got = read(fd, piece, BUFFER_BYTES);
        while (got < 0 && errno == EINTR);
        fine = got >= 0 ? file_writer_add(&writer, piece, (size_t)got, err)
                        : error_errno(err, "read %s", from);
    }
    fine = fine && piece && file_writer_commit(&writer, err);
    file_writer_close(&writer);
    memory_free(memory, piece);
    close(fd);
    return fine;
}

bool file_pread(int fd, void *data, size_t size, uint64_t offset,
                const char *path, struct error *err) {
    char *at = data;
    while (size > 0) {
        ssize_t got = pread(fd, at, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(err, "read %s", path);
        if (got == 0)
            return error_set(err, ERROR_INPUT,
                             "%s ends at byte %" PRIu64 ", %zu bytes early",
                             path, offset, size);
        at += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return true;
}

bool file_pwrite(int fd, const void *data, size_t size, uint64_t offset,
                 const char *path, struct error *err) {
    const char *at = data;
    while (size > 0) {
        ssize_t wrote = pwrite(fd, at, size, (off_t)offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return error_errno(err, "write %s", path);
        at += wrote;
        offset += (uint64_t)wrote;
        size -= (size_t)wrote;
    }
    return true;
}

bool path_join(char path[PATH_MAX], const char *folder, const char *name,
               struct error *err) {
    return snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX ||
           error_set(err, ERROR_USAGE, "path too long: %s/%s", folder, name);
}

bool file_exists(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

bool file_is_absent(int cause) {
    return cause == ENOENT || cause == ENOTDIR;
}

bool file_may_exist(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? S_ISREG(status.st_mode)
                                    : !file_is_absent(errno);
}

bool folder_exists(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool file_size(const char *path, uint64_t *bytes, struct error *err) {
    struct stat status;
    if (stat(path, &status) != 0)
        return error_errno(err, "stat %s", path);
    *bytes = (uint64_t)status.st_size;
    return true;
}

bool file_version_of(const char *path, struct file_version *version,
                     struct error *err) {
    struct stat status;
    if (stat(path, &status) != 0)
        return error_errno(err, "stat %s", path);
    *version = (struct file_version){
        .device = status.st_dev,
        .inode = status.st_ino,
        .modified_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 +
                       status.st_mtim.tv_nsec};
    return true;
}

bool file_version_same(const struct file_version *a,
                       const struct file_version *b) {
    return a->device == b->device && a->inode == b->inode &&
           a->modified_ns == b->modified_ns;
}

bool file_modified(const char *path, int64_t *ns, struct error *err) {
    struct file_version version;
    if (!file_version_of(path, &version, err))
        return false;
    *ns = version.modified_ns;
    return true;
}

bool file_remove(const char *path, struct error *err) {
    if (unlink(path) == 0 || errno == ENOENT)
        return true;
    return error_errno(err, "remove %s", path);
}

bool file_rename(const char *from, const char *to, struct error *err) {
    if (rename(from, to) != 0)
        return error_errno(err, "rename %s to %s", from, to);
    return sync_parent(to, err);
}

bool folder_make(const char *path, struct error *err) {
    char copy[PATH_MAX];
    if (strlen(path) >= sizeof copy)
        return error_set(err, ERROR_USAGE, "path too long: %s", path);
    strcpy(copy, path);
    for (char *slash = strchr(copy + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            return error_errno(err, "make folder %s", copy);
        *slash = '/';
    }
    if (mkdir(copy, 0777) != 0 && errno != EEXIST)
        return error_errno(err, "make folder %s", copy);
    struct stat status;
    if (stat(path, &status) != 0)
        return error_errno(err, "stat %s", path);
    return S_ISDIR(status.st_mode) ||
           error_set(err, ERROR_IO, "%s is in the way: not a folder", path);
}

bool folder_sync(const char *path, struct error *err) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, "open folder %s", path);
    bool fine = file_sync(fd, path, err);
    close(fd);
    return fine;
}

static int remove_entry(const char *path, const struct stat *status, int type,
                        struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

bool folder_remove(const char *path, struct error *err) {
    struct stat status;
    if (lstat(path, &status) != 0)
        return errno == ENOENT || error_errno(err, "stat %s", path);
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        return error_errno(err, "remove folder %s", path);
    return true;
}

bool disk_free(const char *path, uint64_t *bytes, struct error *err) {
    char copy[PATH_MAX];
    if (strlen(path) >= sizeof copy)
        return error_set(err, ERROR_USAGE, "path too long: %s", path);
    strcpy(copy, path);
    struct statvfs disk;
    while (statvfs(copy, &disk) != 0) {
        bool top = !strcmp(copy, "/") || !strcmp(copy, ".");
        if (errno != ENOENT || top)
            return error_errno(err, "ask for the free space of %s", copy);
        const char *above = dirname(copy); /* cuts COPY */
        memmove(copy, above, strlen(above) + 1);
    }
    *bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    return true;
}
