#include "device/cpu/facts.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_under(const char *root, const char *path) {
    char whole[PATH_MAX];
    int length = snprintf(whole, sizeof whole, "%s%s", root, path);
    if (length < 0 || (size_t)length >= sizeof whole)
        return NULL;
    return fopen(whole, "re");
}

void cpu_model(const char *root, char *name, size_t size) {
    snprintf(name, size, "unknown");
    FILE *info = open_under(root, "/proc/cpuinfo");
    if (!info)
        return;
    char line[512];
    while (fgets(line, sizeof line, info)) {
        char *colon = strstr(line, ": ");
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(name, size, "%s", colon + 2);
        break;
    }
    fclose(info);
}

/* The number after KEY at the beginning of a line; false if none stands. */
static bool number_after(const char *root, const char *path, const char *key,
                         uint64_t *number) {
    FILE *file = open_under(root, path);
    if (!file)
        return false;
    char line[256];
    bool found = false;
    size_t length = strlen(key);
    while (!found && fgets(line, sizeof line, file))
        found = strncmp(line, key, length) == 0 &&
                sscanf(line + length, "%" SCNu64, number) == 1;
    fclose(file);
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
    if (!number_after(root, "/proc/meminfo", "MemTotal:", &total) ||
        !number_after(root, "/proc/meminfo", "MemAvailable:", &available))
        return error_set(err, ERROR_IO,
                         "%s/proc/meminfo does not tell MemTotal and "
                         "MemAvailable; set a ceiling for the cpu by hand",
                         root);
    *bytes_total = total * 1024;
    *bytes_free = available * 1024;
    FILE *groups = open_under(root, "/proc/self/cgroup");
    if (!groups)
        return true;
    char line[PATH_MAX];
    while (fgets(line, sizeof line, groups)) {
        line[strcspn(line, "\n")] = '\0';
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
    fclose(groups);
    return true;
}
