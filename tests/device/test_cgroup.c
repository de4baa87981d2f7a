/* The CPU's memory inside real control groups. A child process moves itself
 * into a group that was made for it and says what the device tells there. */

#include "device/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((uint64_t)1024 * 1024)

struct version {
    int number;
    const char *mount, *limit;
};

/* False, with the reason printed: the test cannot be made here. */
static bool put(const char *folder, const char *file, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool fine = fd >= 0 && write(fd, text, strlen(text)) > 0;
    if (!fine)
        printf("skip: cannot write %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return fine;
}

static bool put_number(const char *folder, const char *file, uint64_t number) {
    char text[32];
    snprintf(text, sizeof text, "%llu\n", (unsigned long long)number);
    return put(folder, file, text);
}

/* OUTER has the lower limit, INNER is where the process goes. */
struct groups {
    char outer[128], inner[160];
};

static void groups_drop(const struct groups *groups) {
    rmdir(groups->inner);
    rmdir(groups->outer);
}

static bool groups_make(const struct version *v, uint64_t outer_bytes,
                        uint64_t inner_bytes, struct groups *groups) {
    snprintf(groups->outer, sizeof groups->outer, "%s/ensembed-test-%d",
             v->mount, (int)getpid());
    snprintf(groups->inner, sizeof groups->inner, "%s/inner", groups->outer);
    if (mkdir(groups->outer, 0755) != 0) {
        printf("skip: cannot make %s: %s\n", groups->outer, strerror(errno));
        return false;
    }
    bool fine = put_number(groups->outer, v->limit, outer_bytes) &&
                (v->number == 1 ||
                 put(groups->outer, "cgroup.subtree_control", "+memory"));
    if (fine && mkdir(groups->inner, 0755) != 0) {
        printf("skip: cannot make %s: %s\n", groups->inner, strerror(errno));
        fine = false;
    }
    fine = fine && put_number(groups->inner, v->limit, inner_bytes);
    if (!fine)
        groups_drop(groups);
    return fine;
}

/* What a device says, before and after HELD bytes are written to. */
struct seen {
    bool moved, fine;
    uint64_t total, before, after;
};

static struct seen look(const struct groups *groups, size_t held) {
    struct seen seen = {0};
    struct memory memory = {0};
    struct pool *pool = pool_create(&memory, 1, NULL);
    struct device_options options = {.memory = &memory, .pool = pool};
    struct device *device =
        pool ? device_open(&DEVICE_CPU, &options, NULL) : NULL;
    struct device_facts facts;
    seen.moved = put(groups->inner, "cgroup.procs", "0");
    seen.fine = seen.moved && device && device_facts(device, &facts, NULL);
    seen.total = seen.fine ? facts.bytes_total : 0;
    seen.before = seen.fine ? facts.bytes_free : 0;
    char *block = device ? device_alloc(device, held, held, NULL, NULL) : NULL;
    if (block)
        memset(block, 1, held);
    seen.fine =
        seen.fine && block && device_bytes_free(device, &seen.after, NULL);
    return seen;
}

/* The same in a process of its own, so that this one stays where it is. */
static struct seen look_inside(const struct groups *groups, size_t held) {
    struct seen seen = {.moved = true}; /* should the child die */
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        seen = look(groups, held);
        fflush(stdout);
        _exit(write(ends[1], &seen, sizeof seen) != (ssize_t)sizeof seen);
    }
    close(ends[1]);
    struct seen said;
    if (read(ends[0], &said, sizeof said) == (ssize_t)sizeof said)
        seen = said;
    close(ends[0]);
    waitpid(child, NULL, 0);
    return seen;
}

static void a_group_bounds_the_cpu(const struct version *v) {
    /* The kernel counts in lots; a sanitizer holds some bytes for each of ours.
     */
    enum { HELD_MIB = 32, SLACK_MIB = 4 };
    struct groups groups;
    if (!groups_make(v, 256 * MIB, 512 * MIB, &groups))
        return;
    struct seen seen = look_inside(&groups, HELD_MIB * MIB);
    groups_drop(&groups);
    if (!seen.moved)
        return;
    assert_true(seen.fine);
    assert_true(seen.total == 256 * MIB);
    assert_true(seen.before <= 256 * MIB);
    assert_true(seen.before > 128 * MIB);
    assert_true(seen.after <= seen.before - (HELD_MIB - SLACK_MIB) * MIB);
    assert_true(seen.after > 64 * MIB);
    printf("version %d: %llu bytes in all, %llu free, %llu free with %d MiB "
           "taken\n",
           v->number, (unsigned long long)seen.total,
           (unsigned long long)seen.before, (unsigned long long)seen.after,
           HELD_MIB);
}

static bool has_word(const char *path, const char *word) {
    char line[512] = "";
    FILE *file = fopen(path, "re");
    bool found = file && fgets(line, sizeof line, file) && strstr(line, word);
    if (file)
        fclose(file);
    return found;
}

static void version_1_bounds_the_cpu(void **state) {
    (void)state;
    static const struct version ONE = {1, "/sys/fs/cgroup/memory",
                                       "memory.limit_in_bytes"};
    if (access("/sys/fs/cgroup/memory/memory.limit_in_bytes", F_OK) == 0)
        a_group_bounds_the_cpu(&ONE);
    else
        printf("skip: control groups of version 1 do not count memory here\n");
}

static void version_2_bounds_the_cpu(void **state) {
    (void)state;
    static const struct version TWO = {2, "/sys/fs/cgroup", "memory.max"};
    if (has_word("/sys/fs/cgroup/cgroup.subtree_control", "memory"))
        a_group_bounds_the_cpu(&TWO);
    else
        printf("skip: control groups of version 2 do not count memory here\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1_bounds_the_cpu),
        cmocka_unit_test(version_2_bounds_the_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
