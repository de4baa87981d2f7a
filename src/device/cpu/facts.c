#include "device/cpu/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

/* A file of the kernel's, a line at a time and without taking memory: free
 * memory is asked for before and after each batch. A line that BYTES cannot
 * hold is told in pieces. */
struct text {
    int fd;
    size_t begin, end; /* of what is read and not yet told */
    char bytes[PATH_MAX + 256];
};

static bool text_open(struct text *text, const char *root, const char *path) {
    /* The path lies where the lines will. */
    int length = snprintf(text->bytes, sizeof text->bytes, "%s%s", root, path);
    if (length < 0 || (size_t)length >= sizeof text->bytes)
        return false;
    text->begin = text->end = 0;
    text->fd = open(text->bytes, O_RDONLY | O_CLOEXEC);
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
    struct text info;
    const char *value;
    char maker[32] = "", part[32] = "";
    snprintf(name, size, "unknown");
    if (!text_open(&info, root, "/proc/cpuinfo"))
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
static bool number_after(const char *root, const char *path, const char *key,
                         uint64_t *number) {
    struct text text;
    size_t length = strlen(key);
    bool found = false;
    if (!text_open(&text, root, path))
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

static bool group_number(const char *root, const struct group_files *files,
                         const char *group, const char *file, const char *key,
                         uint64_t *number) {
    char path[PATH_MAX];
    int length =
        snprintf(path, sizeof path, "%s%s/%s", files->mount, group, file);
    return length > 0 && (size_t)length < sizeof path &&
           number_after(root, path, key, number);
}

/* "max" is no number, and a group without files sets no limit. */
static bool group_limit(const char *root, const struct group_files *files,
                        const char *group, uint64_t *limit) {
    uint64_t hard, brake;
    bool has_hard = group_number(root, files, group, files->limit, "", &hard);
    bool has_brake = files->brake &&
                     group_number(root, files, group, files->brake, "", &brake);
    if (has_hard)
        *limit = hard;
    if (has_brake && (!has_hard || brake < hard))
        *limit = brake;
    return has_hard || has_brake;
}

static void lower_to_group(const char *root, const struct group_files *files,
                           const char *group, uint64_t *bytes_total,
                           uint64_t *bytes_free) {
    uint64_t limit, usage, cache;
    if (!group_limit(root, files, group, &limit))
        return;
    if (limit < *bytes_total)
        *bytes_total = limit;
    if (!group_number(root, files, group, files->usage, "", &usage))
        return;
    if (group_number(root, files, group, "memory.stat", files->cache, &cache))
        usage -= cache < usage ? cache : usage;
    uint64_t left = limit > usage ? limit - usage : 0;
    if (left < *bytes_free)
        *bytes_free = left;
}

/* The group and all above it. In a container GROUP may name a path that is not
 * mounted there; its limits then stand at the top. */
static void lower_to_groups(const char *root, const struct group_files *files,
                            char *group, uint64_t *bytes_total,
                            uint64_t *bytes_free) {
    for (;;) {
        char *slash = strrchr(group, '/');
        if (slash && slash[1] == '\0')
            *slash = '\0'; /* "/" is "" */
        lower_to_group(root, files, group, bytes_total, bytes_free);
        slash = strrchr(group, '/');
        if (!slash)
            return;
        *slash = '\0';
    }
}

bool cpu_memory(const char *root, uint64_t *bytes_total, uint64_t *bytes_free,
                struct error *err) {
    uint64_t total, available;
    errno = 0;
    if (!number_after(root, "/proc/meminfo", "MemTotal:", &total) ||
        !number_after(root, "/proc/meminfo", "MemAvailable:", &available))
        return errno && !file_is_absent(errno)
                   ? error_errno(err, "read %s/proc/meminfo", root)
                   : error_set(err, ERROR_IO,
                               "%s/proc/meminfo does not tell MemTotal and "
                               "MemAvailable; set a ceiling for the cpu by "
                               "hand",
                               root);
    *bytes_total = total * 1024;
    *bytes_free = available * 1024;
    struct text groups;
    if (!text_open(&groups, root, "/proc/self/cgroup"))
        return true;
    for (char *line; (line = text_line(&groups));) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        if (strcmp(line, "0:") == 0)
            lower_to_groups(root, &VERSION_2, group, bytes_total, bytes_free);
        else if (strstr(controllers, "memory"))
            lower_to_groups(root, &VERSION_1, group, bytes_total, bytes_free);
    }
    text_close(&groups);
    return true;
}
