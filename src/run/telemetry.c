#include "run/telemetry.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"

enum { SAMPLE_PERIOD_MS = 1000 };

/* How many lines may be written before an event of this type is dropped. */
static uint64_t room_of(const char *type) {
    static const char *const many[] = {"batch_completed", "memory_sample",
                                       "chunk_truncated", "chunk_problem",
                                       "vector_failed"};
    static const char *const frame[] = {"run_", "collection_",
                                        "ensemble_pass_"};
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        if (strcmp(type, many[i]) == 0)
            return EVENTS_MAX_MANY;
    for (size_t i = 0; i < sizeof frame / sizeof *frame; i++)
        if (strncmp(type, frame[i], strlen(frame[i])) == 0)
            return EVENTS_MAX;
    return EVENTS_MAX_PLAIN;
}

/* One write a line: a process that dies leaves whole lines. Of one that a full
 * disk cut nothing stays, or the next would go on in the middle of it. */
static bool put_line(int fd, const char *line, size_t size) {
    struct stat status;
    ssize_t wrote = write(fd, line, size);
    if (wrote > 0 && (size_t)wrote < size && fstat(fd, &status) == 0)
        (void)!ftruncate(fd, status.st_size - wrote);
    return wrote == (ssize_t)size;
}

static bool write_line(struct telemetry *telemetry, int64_t t_ms,
                       const char *type, const json_t *fields) {
    json_t *line =
        json_pack("{s:i, s:s, s:I, s:s}", "v", EVENTS_VERSION, "run",
                  telemetry->run, "t_ms", (json_int_t)t_ms, "type", type);
    json_object_update_missing(line, (json_t *)(uintptr_t)fields);
    char *text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    size_t size = text ? strlen(text) : 0;
    bool fine = text != NULL;
    if (fine) {
        text[size] = '\n'; /* in the place of the NUL */
        fine = put_line(telemetry->fd, text, size + 1);
    }
    free(text);
    return fine;
}

/* Into the file and the recorder. An event that cannot be written is counted,
 * not fatal. */
static void put(struct telemetry *telemetry, int64_t t_ms, const char *type,
                const json_t *fields) {
    if (telemetry->fd >= 0 && telemetry->written < room_of(type) &&
        write_line(telemetry, t_ms, type, fields)) {
        telemetry->written++;
    } else {
        telemetry->dropped++;
        tally_add(&telemetry->dropped_types, type);
    }
    if (telemetry->recorder)
        recorder_event(telemetry->recorder, t_ms, type, fields);
}

static void emit(struct telemetry *telemetry, const char *type,
                 const json_t *fields) {
    const struct sink *outer = telemetry->outer;
    put(telemetry, telemetry_now_ms(telemetry), type, fields);
    if (outer && outer->event)
        outer->event(outer->context, type, fields);
}

/* ---- memory_sample ------------------------------------------------------ */

static json_t *describe_sample(const struct sample *sample, size_t count) {
    json_t *devices = json_array();
    for (size_t d = 0; d < count; d++) {
        const struct sample_device *device = &sample->devices[d];
        if (device->total_bytes)
            json_array_append_new(
                devices,
                json_pack("{s:s, s:I, s:I, s:I, s:I}", "device", device->name,
                          "total_bytes", (json_int_t)device->total_bytes,
                          "free_bytes", (json_int_t)device->free_bytes,
                          "live_bytes", (json_int_t)device->live_bytes,
                          "ceiling_bytes", (json_int_t)device->ceiling_bytes));
    }
    json_t *fields =
        json_pack("{s:o, s:I}", "devices", devices, "process_bytes",
                  (json_int_t)sample->process_bytes);
    if (sample->cpu_percent >= 0)
        json_object_set_new(fields, "cpu_percent",
                            json_real(sample->cpu_percent));
    return fields;
}

/* A run of a day leaves some thousand lines, one of a minute sixty. */
static void plan_next_sample(struct telemetry *telemetry, int64_t now_ms) {
    if (++telemetry->samples_in_period == SAMPLES_PER_PERIOD) {
        telemetry->samples_in_period = 0;
        telemetry->sample_period_ms *= 2;
    }
    telemetry->sample_at_ms = now_ms + telemetry->sample_period_ms;
}

/* Emit a memory_sample if it is time: asked at events and progress. */
static void sample_if_due(struct telemetry *telemetry) {
    struct sample sample;
    int64_t now_ms = telemetry_now_ms(telemetry);
    if (!telemetry->sampler || now_ms < telemetry->sample_at_ms ||
        !sampler_latest(telemetry->sampler, &sample))
        return;
    plan_next_sample(telemetry, now_ms);
    json_t *fields =
        describe_sample(&sample, telemetry->sampler->setup.devices);
    emit(telemetry, "memory_sample", fields);
    json_decref(fields);
}

/* ---- the sink's callbacks ----------------------------------------------- */

/* When something was decided or loaded, memory is worth a look. */
static bool is_a_moment(const char *type) {
    return recorder_is_mitigation(type) || strncmp(type, "model_", 6) == 0 ||
           strncmp(type, "ensemble_pass_", 14) == 0;
}

static void on_event(void *context, const char *type, const json_t *fields) {
    struct telemetry *telemetry = context;
    sample_if_due(telemetry); /* before: nothing comes behind run_ended */
    emit(telemetry, type, fields);
    if (telemetry->sampler && is_a_moment(type))
        sampler_now(telemetry->sampler);
}

static void on_log(void *context, enum log_level level, const char *message) {
    struct telemetry *telemetry = context;
    if (telemetry->recorder)
        recorder_log(telemetry->recorder, telemetry_now_ms(telemetry), level,
                     message);
    const struct sink *outer = telemetry->outer;
    if (outer && outer->log)
        outer->log(outer->context, level, message);
}

static void on_progress(void *context, const struct progress *progress) {
    sample_if_due(context);
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
                    int64_t begin_ns, const struct sink *outer,
                    struct error *err) {
    *telemetry = (struct telemetry){.outer = outer,
                                    .fd = -1,
                                    .begin_ns = begin_ns,
                                    .sample_period_ms = SAMPLE_PERIOD_MS};
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

/* When the entry of a kept list was. */
static int64_t kept_ms(const struct telemetry *telemetry, const json_t *entry) {
    int64_t ns = json_integer_value(json_array_get(entry, 0));
    return (ns - telemetry->begin_ns) / 1000000;
}

void telemetry_catch_up(struct telemetry *telemetry,
                        const struct kept_events *kept) {
    size_t i;
    json_t *entry;
    json_array_foreach(kept->events, i, entry) {
        put(telemetry, kept_ms(telemetry, entry),
            json_string_value(json_array_get(entry, 1)),
            json_array_get(entry, 2));
    }
    json_array_foreach(kept->warnings, i, entry) {
        if (telemetry->recorder)
            recorder_log(
                telemetry->recorder, kept_ms(telemetry, entry),
                (enum log_level)json_integer_value(json_array_get(entry, 1)),
                json_string_value(json_array_get(entry, 2)));
    }
}

void telemetry_close(struct telemetry *telemetry) {
    if (telemetry->fd >= 0)
        close(telemetry->fd);
    telemetry->fd = -1;
}

int64_t telemetry_now_ms(const struct telemetry *telemetry) {
    return (clock_now_ns() - telemetry->begin_ns) / 1000000;
}

json_t *telemetry_dropped(const struct telemetry *telemetry) {
    return tally_describe(&telemetry->dropped_types);
}
