/* killed.h - a child that works on a store until it is killed. */

#ifndef TESTS_DATA_KILLED_H
#define TESTS_DATA_KILLED_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What the child does, for ever: after each thing that must last it writes the
 * number of texts (u64) to REPORT. KIND is the caller's. */
typedef void killed_child(const char *folder, int kind, int report);

/* Run CHILD for a while, kill it, and return what it reported last. */
static inline uint64_t run_and_kill(killed_child *child, const char *folder,
                                    int kind, unsigned round, uint64_t before) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        child(folder, kind, ends[1]);
    }
    close(ends[1]);
    uint64_t kept = before, next;
    /* Not before the first report, or slow machines only kill beginnings. */
    if (round % 3 && read(ends[0], &next, sizeof next) == sizeof next)
        kept = next;
    usleep((round * 7919) % 5000);
    kill(pid, SIGKILL);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    while (read(ends[0], &next, sizeof next) == sizeof next)
        kept = next;
    close(ends[0]);
    return kept;
}

#endif
