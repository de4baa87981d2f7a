#include "device/cpu/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

enum { TRIES = 6, FIRST_WAIT_MS = 10 };

/* Where the files lie, and whether one of them could not be read although it
 * may be there: errno's number, or 0. */
struct source {
    const char *root;
    int refused;
};

/* A file of the kernel's, a line at a time and without taking memory: free
 * memory is asked for before and after each batch. A line that BYTES cannot
 * hold is told in pieces. */
struct text {
    struct source *source;
    int fd;
    size_t begin, end; /* of what is read and not yet told */
    char bytes[PATH_MAX + 256];
};

/* What passes: no file may be opened for now, or the disk of a virtual machine
 * does not answer. A group's file that is not there, or not for us, is none. */
static bool passes(int cause) {
    return cause == EMFILE || cause == ENFILE || cause == ENOMEM ||
           cause == EINTR || cause == EAGAIN || cause == EIO;
}

static bool text_open(struct text *text, struct source *source,
                      const char *path) {
    /* The path lies where the lines will. */
    int length =
        snprintf(text->bytes, sizeof text->bytes, "%s%s", source->root, path);
    if (length < 0 || (size_t)length >= sizeof text->bytes)
        return false;
    text->source = source;
    text->begin = text->end = 0;
    text->fd = open(text->bytes, O_RDONLY | O_CLOEXEC);
    if (text->fd < 0 && passes(errno))
        source->refused = errno;
    return text->fd >= 0;
}

static void text_close(struct text *text) {
    close(text->fd);
}

/* More of the file behind what is left of BYTES; false: there is none, or no
 * room for it. */
static bool text_more(struct text *text) {
    text->end -= text->begin;
    memmove(text->bytes, text->bytes + text->begin, text->end);
    text->begin = 0;
    ssize_t got = read(text->fd, text->bytes + text->end,
                       sizeof text->bytes - 1 - text->end);
    if (got < 0 && passes(errno))
        text->source->refused = errno;
    text->end += got > 0 ? (size_t)got : 0;
    return got > 0;
}

/* Valid until the next; NULL at the end. The line has no newline. */
static char *text_line(struct text *text) {
    char *newline = NULL;
    bool more = true;
    while (more && !(newline = memchr(text->bytes + text->begin, '\n',
                                      text->end - text->begin)))
        more = text_more(text);
    if (!newline && text->begin == text->end)
        return NULL;
    char *line = text->bytes + text->begin;
    size_t size = newline ? (size_t)(newline - line) : text->end - text->begin;
    line[size] = '\0';
    text->begin += newline ? size + 1 : size;
    return line;
}

/* What stands behind the colon if LINE is the one called NAME, or NULL. */
static const char *named(const char *line, const char *name) {
    size_t length = strlen(name);
    const char *colon = strstr(line, ": ");
    bool it_is = colon && strncmp(line, name, length) == 0 &&
                 line + length + strspn(line + length, " \t") == colon;
    return it_is ? colon + 2 : NULL;
}

void cpu_model(const char *root, char *name, size_t size) {
    struct source source = {.root = root};
    struct text info;
    const char *value;
    char maker[32] = "", part[32] = "";
    snprintf(name, size, "unknown");
    if (!text_open(&info, &source, "/proc/cpuinfo"))
        return;
    for (char *line; !*part && (line = text_line(&info));) {
        if ((value = named(line, "model name"))) {
            snprintf(name, size, "%s", value);
            break;
        }
        if ((value = named(line, "CPU implementer")))
            snprintf(maker, sizeof maker, "%s", value);
        if ((value = named(line, "CPU part")))
            snprintf(part, sizeof part, "%s", value);
    }
    if (*maker && *part)
        snprintf(name, size, "ARM, implementer %s, part %s", maker, part);
    text_close(&info);
}

/* The number after KEY at the beginning of a line; false if none stands. */
static bool number_after(struct source *source, const char *path,
                         const char *key, uint64_t *number) {
    struct text text;
    size_t length = strlen(key);
    bool found = false;
    if (!text_open(&text, source, path))
        return false;
    for (char *line; !found && (line = text_line(&text));) {
        if (strncmp(line, key, length) != 0)
            continue;
        const char *digits = line + length + strspn(line + length, " \t");
        found = *digits >= '0' && *digits <= '9';
        if (found)
            *number = strtoull(digits, NULL, 10);
    }
    text_close(&text);
    return found;
}

/* The files of one version of control groups. */
struct group_files {
    const char *mount;
    const char *limit;
    const char
        *brake; /* past it the kernel slows its processes down; or NULL */
    const char *usage, *cache; /* cache: a line of memory.stat */
};
static const struct group_files VERSION_1 = {
    "/sys/fs/cgroup/memory", "memory.limit_in_bytes", NULL,
    "memory.usage_in_bytes", "total_inactive_file "};
static const struct group_files VERSION_2 = {"/sys/fs/cgroup", "memory.max",
                                             "memory.high", "memory.current",
                                             "inactive_file "};

static bool group_number(struct source *source, const struct group_files *files,
                         const char *group, const char *file, const char *key,
                         uint64_t *number) {
    char path[PATH_MAX];
    int length =
        snprintf(path, sizeof path, "%s%s/%s", files->mount, group, file);
    return length > 0 && (size_t)length < sizeof path &&
           number_after(source, path, key, number);
}

/* "max" is no number, and a group without files sets no limit. */
static bool group_limit(struct source *source, const struct group_files *files,
                        const char *group, uint64_t *limit) {
    uint64_t hard, brake;
    bool has_hard = group_number(source, files, group, files->limit, "", &hard);
    bool has_brake = files->brake && group_number(source, files, group,
                                                  files->brake, "", &brake);
    if (has_hard)
        *limit = hard;
    if (has_brake && (!has_hard || brake < hard))
        *limit = brake;
    return has_hard || has_brake;
}

static void lower_to_group(struct source *source,
                           const struct group_files *files, const char *group,
                           uint64_t *bytes_total, uint64_t *bytes_free) {
    uint64_t limit, usage, cache;
    if (!group_limit(source, files, group, &limit))
        return;
    if (limit < *bytes_total)
        *bytes_total = limit;
    if (!group_number(source, files, group, files->usage, "", &usage))
        return;
    if (group_number(source, files, group, "memory.stat", files->cache, &cache))
        usage -= cache < usage ? cache : usage;
    uint64_t left = limit > usage ? limit - usage : 0;
    if (left < *bytes_free)
        *bytes_free = left;
}

/* The group and all above it. In a container GROUP may name a path that is not
 * mounted there; its limits then stand at the top. */
static void lower_to_groups(struct source *source,
                            const struct group_files *files, char *group,
                            uint64_t *bytes_total, uint64_t *bytes_free) {
    for (;;) {
        char *slash = strrchr(group, '/');
        if (slash && slash[1] == '\0')
            *slash = '\0'; /* "/" is "" */
        lower_to_group(source, files, group, bytes_total, bytes_free);
        slash = strrchr(group, '/');
        if (!slash)
            return;
        *slash = '\0';
    }
}

/* False: /proc/meminfo does not tell it. */
static bool read_memory(struct source *source, uint64_t *bytes_total,
                        uint64_t *bytes_free) {
    uint64_t total, available;
    if (!number_after(source, "/proc/meminfo", "MemTotal:", &total) ||
        !number_after(source, "/proc/meminfo", "MemAvailable:", &available))
        return false;
    *bytes_total = total * 1024;
    *bytes_free = available * 1024;
    struct text groups;
    if (!text_open(&groups, source, "/proc/self/cgroup"))
        return true;
    for (char *line; (line = text_line(&groups));) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        if (strcmp(line, "0:") == 0)
            lower_to_groups(source, &VERSION_2, group, bytes_total, bytes_free);
        else if (strstr(controllers, "memory"))
            lower_to_groups(source, &VERSION_1, group, bytes_total, bytes_free);
    }
    text_close(&groups);
    return true;
}

/* A run asks hundreds of times an hour, and must neither end nor take more than
 * its group may have because one file could not be opened at that moment. */
bool cpu_memory(const char *root, uint64_t *bytes_total, uint64_t *bytes_free,
                struct error *err) {
    int64_t wait_ms = FIRST_WAIT_MS;
    for (int tries = 1;; tries++, wait_ms *= 2) {
        struct source source = {.root = root};
        bool told = read_memory(&source, bytes_total, bytes_free);
        if (told && !source.refused)
            return true;
        if (!source.refused)
            return error_set(err, ERROR_IO,
                             "%s/proc/meminfo does not tell MemTotal and "
                             "MemAvailable, which every run goes by: have "
                             "/proc mounted",
                             root);
        errno = source.refused;
        if (tries == TRIES)
            return error_errno(err,
                               "read the free memory in %s/proc and "
                               "%s/sys/fs/cgroup",
                               root, root);
        clock_sleep_ms(wait_ms);
    }
}
