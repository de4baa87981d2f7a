#include "device/cpu/facts.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A small file of the kernel's, read without taking memory: free memory is
 * asked for before and after each batch. What is longer is cut at a line. */
struct text {
    char bytes[32 * 1024];
    char *next; /* the line that comes, or NULL */
};

static bool text_read(struct text *text, const char *root, const char *path) {
    char whole[PATH_MAX];
    size_t size = 0;
    text->next = NULL;
    int length = snprintf(whole, sizeof whole, "%s%s", root, path);
    if (length < 0 || (size_t)length >= sizeof whole)
        return false;
    int fd = open(whole, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = 1;
    while (got > 0 && size < sizeof text->bytes - 1) {
        got = read(fd, text->bytes + size, sizeof text->bytes - 1 - size);
        size += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    if (got > 0)
        while (size && text->bytes[size - 1] != '\n')
            size--;
    text->bytes[size] = '\0';
    text->next = text->bytes;
    return got >= 0;
}

/* NULL at the end. The line has no newline. */
static char *text_line(struct text *text) {
    char *line = text->next;
    if (!line || !*line)
        return NULL;
    size_t size = strcspn(line, "\n");
    text->next = line[size] ? line + size + 1 : NULL;
    line[size] = '\0';
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
    const char *value, *maker = NULL, *part = NULL;
    snprintf(name, size, "unknown");
    if (!text_read(&info, root, "/proc/cpuinfo"))
        return;
    for (char *line; !part && (line = text_line(&info));) {
        if ((value = named(line, "model name"))) {
            snprintf(name, size, "%s", value);
            return;
        }
        if ((value = named(line, "CPU implementer")))
            maker = value;
        if ((value = named(line, "CPU part")))
            part = value;
    }
    if (maker && part)
        snprintf(name, size, "ARM, implementer %s, part %s", maker, part);
}

/* The number after KEY at the beginning of a line; false if none stands. */
static bool number_after(const char *root, const char *path, const char *key,
                         uint64_t *number) {
    struct text text;
    size_t length = strlen(key);
    if (!text_read(&text, root, path))
        return false;
    for (char *line; (line = text_line(&text));) {
        if (strncmp(line, key, length) != 0)
            continue;
        const char *digits = line + length + strspn(line + length, " \t");
        if (*digits < '0' || *digits > '9')
            continue;
        *number = strtoull(digits, NULL, 10);
        return true;
    }
    return false;
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
    if (!number_after(root, "/proc/meminfo", "MemTotal:", &total) ||
        !number_after(root, "/proc/meminfo", "MemAvailable:", &available))
        return error_set(err, ERROR_IO,
                         "%s/proc/meminfo does not tell MemTotal and "
                         "MemAvailable; set a ceiling for the cpu by hand",
                         root);
    *bytes_total = total * 1024;
    *bytes_free = available * 1024;
    struct text groups;
    if (!text_read(&groups, root, "/proc/self/cgroup"))
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
    return true;
}
