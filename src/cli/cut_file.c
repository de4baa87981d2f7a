#include "cli/cut_file.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"

/* Only what a signal's handler may call, and no memory but this: what the
 * kernel says of one mapping, such as
 * "7f0c1000-7f0c9000 r--s 00000000 fe:00 2310222    /models/a b.safetensors".
 */
static char line[PATH_MAX + 128];

/* The next line of FD into LINE, cut where it does not fit. */
static bool next_line(int fd) {
    size_t size = 0;
    char c;
    ssize_t got;
    while ((got = read(fd, &c, 1)) == 1 && c != '\n')
        if (size + 1 < sizeof line)
            line[size++] = c;
    line[size] = '\0';
    return got == 1;
}

static uintptr_t hexadecimal(const char **at) {
    static const char digits[] = "0123456789abcdef";
    uintptr_t value = 0;
    for (const char *found; **at && (found = strchr(digits, **at)); (*at)++)
        value = value * 16 + (uintptr_t)(found - digits);
    return value;
}

static bool holds(uintptr_t address) {
    const char *at = line;
    uintptr_t begin = hexadecimal(&at);
    if (*at++ != '-')
        return false;
    return begin <= address && address < hexadecimal(&at);
}

/* The file that is mapped at ADDRESS; NULL: none. */
static const char *file_at(uintptr_t address) {
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    const char *path = NULL;
    while (fd >= 0 && !path && next_line(fd))
        if (holds(address))
            path = strchr(line, '/');
    if (fd >= 0)
        close(fd);
    return path;
}

static void say(const char *text) {
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void on_bus_error(int number, siginfo_t *info, void *context) {
    static atomic_flag seen = ATOMIC_FLAG_INIT;
    (void)context;
    while (atomic_flag_test_and_set(&seen))
        pause(); /* another thread is about to end the process */
    const char *path = file_at((uintptr_t)info->si_addr);
    if (!path) { /* no file: again, as if nobody had caught it */
        signal(number, SIG_DFL);
        atomic_flag_clear(&seen);
        return;
    }
    if (isatty(STDERR_FILENO))
        say("\n"); /* behind the progress */
    say("ensembed: error: ");
    say(path);
    say(" was cut short, or could not be read any more, while it was in use; "
        "put it there whole and run the same command: what is stored stays\n");
    _exit(exit_status(ERROR_IO));
}

void cut_file_watch(void) {
    struct sigaction action = {.sa_sigaction = on_bus_error,
                               .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}
