#include "run/telemetry.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"

/* One write a line: a process that dies leaves whole lines, but for the last
 * one of a full disk. An event that cannot be written is counted, not fatal. */
static void write_line(struct telemetry *telemetry, const char *type,
                       const json_t *fields) {
    json_t *line = json_pack(
        "{s:i, s:s, s:I, s:s}", "v", EVENTS_VERSION, "run", telemetry->run,
        "t_ms", (json_int_t)((clock_now_ns() - telemetry->begin_ns) / 1000000),
        "type", type);
    json_object_update(line, (json_t *)(uintptr_t)fields);
    char *text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    size_t size = text ? strlen(text) : 0;
    bool fine = text != NULL;
    if (fine) {
        text[size] = '\n'; /* in the place of the NUL */
        fine = write(telemetry->fd, text, size + 1) == (ssize_t)(size + 1);
    }
    free(text);
    if (fine)
        telemetry->written++;
    else
        telemetry->dropped++;
}

static void on_event(void *context, const char *type, const json_t *fields) {
    struct telemetry *telemetry = context;
    if (telemetry->fd >= 0 && telemetry->written < EVENTS_MAX)
        write_line(telemetry, type, fields);
    else
        telemetry->dropped++;
    const struct sink *outer = telemetry->outer;
    if (outer && outer->event)
        outer->event(outer->context, type, fields);
}

static void on_log(void *context, enum log_level level, const char *message) {
    const struct sink *outer = ((struct telemetry *)context)->outer;
    if (outer && outer->log)
        outer->log(outer->context, level, message);
}

static void on_progress(void *context, const struct progress *progress) {
    const struct sink *outer = ((struct telemetry *)context)->outer;
    if (outer && outer->progress)
        outer->progress(outer->context, progress);
}

static bool on_interrupted(void *context) {
    const struct sink *outer = ((struct telemetry *)context)->outer;
    return outer && outer->interrupted && outer->interrupted(outer->context);
}

/* A torn last line of a run that died stays a line of its own. */
static void end_torn_line(int fd) {
    struct stat status;
    char last = '\n';
    if (fstat(fd, &status) == 0 && status.st_size > 0 &&
        pread(fd, &last, 1, status.st_size - 1) == 1 && last != '\n')
        (void)!write(fd, "\n", 1);
}

static void name_run(struct telemetry *telemetry) {
    struct {
        int64_t now;
        pid_t pid;
        char date[21];
    } seed;
    memset(&seed, 0, sizeof seed);
    seed.now = telemetry->begin_ns;
    seed.pid = getpid();
    clock_date(seed.date);
    uint8_t digest[SHA256_BYTES];
    hash_sha256((struct str){(const char *)&seed, sizeof seed}, digest);
    hash_hex(digest, 16, telemetry->run);
}

bool telemetry_open(struct telemetry *telemetry, const char *path,
                    const struct sink *outer, struct error *err) {
    *telemetry = (struct telemetry){
        .outer = outer, .fd = -1, .begin_ns = clock_now_ns()};
    telemetry->sink = (struct sink){.context = telemetry,
                                    .log = on_log,
                                    .progress = on_progress,
                                    .event = on_event,
                                    .interrupted = on_interrupted};
    name_run(telemetry);
    if (!path)
        return true;
    telemetry->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (telemetry->fd < 0)
        return error_errno(err, "open %s", path);
    end_torn_line(telemetry->fd);
    return true;
}

void telemetry_close(struct telemetry *telemetry) {
    if (telemetry->fd >= 0)
        close(telemetry->fd);
    telemetry->fd = -1;
}
