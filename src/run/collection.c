/* collection.c - one collection of a run: read - for each model: pass -
 * artefacts. */

#include "run/pipeline_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "run/artefacts.h"
#include "run/digest_list.h"
#include "run/dtype.h"
#include "run/estimate.h"
#include "run/lock.h"
#include "run/origin.h"
#include "run/pass.h"
#include "run/schedule.h"
#include "run/spool.h"
#include "run/summary.h"

/* What a collection holds while it is worked on. */
struct work {
    struct run *run;
    size_t number;
    const struct collection *collection;
    char folder[PATH_MAX];  /* OUT/COLLECTION */
    char private[PATH_MAX]; /* OUT/COLLECTION/.ensembed */
    char scratch[PATH_MAX]; /* scratch below it, empty at the start */
    int lock_fd;
    struct intake *intake;
    struct head_stores *stores; /* [roster.count] */
    struct artefacts artefacts;
    struct roster roster; /* the run's, without `fused` if a member failed */
    json_t *passes;
    struct error member_error; /* of the last model that failed */
    const char *member_failed; /* its key */
    bool member_known;         /* it was warned of before any collection */
    bool member_told;          /* it was told here */
    uint64_t truncated, failed_texts;
    struct schedule schedule;
    const char *mode, *mode_reason; /* NULL: nothing had to be computed */
};

/* ---- paths and locks ---------------------------------------------------- */

static bool open_folders(struct work *work, struct error *err) {
    const char *out = work->run->session.options->out;
    return path_join(work->folder, out, work->collection->folder, err) &&
           path_join(work->private, work->folder, ".ensembed", err) &&
           path_join(work->scratch, work->private, "scratch", err) &&
           folder_make(work->private, err) &&
           lock_take(work->private, work->folder, &work->lock_fd, err) &&
           folder_remove(work->scratch, err) &&
           folder_make(work->scratch, err) &&
           origin_note(work->private, work->run->session.options,
                       work->collection, &work->run->session.memory, err);
}

static bool spool_input(struct work *work, struct error *err) {
    const struct run *run = work->run;
    char path[PATH_MAX];
    if (strcmp(work->collection->files[0].path, "-") != 0)
        return true;
    return path_join(path, work->scratch, "stdin.jsonl", err) &&
           spool(&work->run->session.memory, &run->telemetry.sink,
                 run->session.options->input_fd, path, err) &&
           chunks_set_path(run->list, work->number, path, err);
}

/* Each store's own: what a device adds to it in another type is named. */
static void take_types(struct work *work) {
    const struct run *run = work->run;
    for (size_t i = 0; i < work->roster.count; i++)
        for (enum row_kind h = 0; h < ROW_KINDS; h++) {
            struct member *member = &work->roster.members[i];
            enum number_type type = NUMBER_DEFAULT;
            if (member->error.code || !member_has(member, h))
                continue;
            if (pipeline_takes_types(run))
                type = dtype_there(work->private, member, h);
            member_set_type(member, h, type ? type : run->session.type);
        }
}

/* ---- stores and passes -------------------------------------------------- */

static struct store *open_store(struct work *work, const struct member *member,
                                enum row_kind head, struct error *err) {
    struct session *session = &work->run->session;
    char folder[PATH_MAX];
    if (!member_store_path(folder, work->private, member, head, "", err))
        return NULL;
    struct store_request request = {.folder = folder,
                                    .kind = head,
                                    .fingerprint = member->fingerprints[head],
                                    .isa = session->facts.isa,
                                    .width = member_head_width(member, head),
                                    .restart = session->options->restart,
                                    .sink = &work->run->telemetry.sink};
    return store_open(&session->memory, &request, err);
}

static bool open_stores(struct work *work, struct error *err) {
    work->stores = memory_zalloc(&work->run->session.memory, work->roster.count,
                                 sizeof *work->stores, err);
    for (size_t i = 0; work->stores && i < work->roster.count; i++) {
        const struct member *member = &work->roster.members[i];
        for (enum row_kind h = 0; h < ROW_KINDS; h++) {
            if (member->error.code || !member_has(member, h))
                continue;
            work->stores[i].of[h] = open_store(work, member, h, err);
            if (!work->stores[i].of[h])
                return false;
        }
    }
    return work->stores != NULL;
}

/* Disk for the rows that a head still needs. Rows that stand in an array are
 * copied before it is replaced. */
static uint64_t bytes_of_rows(const struct work *work, size_t i,
                              enum row_kind head) {
    const struct intake_counts *counts = &work->intake->counts;
    const struct store *store = work->stores[i].of[head];
    if (!store)
        return 0;
    uint64_t row = estimate_row_bytes(&work->roster.members[i], head, counts) +
                   estimate_key_bytes(head);
    uint64_t rows = store_rows(store);
    if (store_is_retired(store))
        return counts->unique * row;
    return rows < counts->unique ? (counts->unique - rows) * row : 0;
}

/* Disk for the rows that are missing and for the artefacts. */
static bool check_disk(struct work *work, struct error *err) {
    const struct run_options *options = work->run->session.options;
    struct disk_estimate disk;
    uint64_t have;
    if (!estimate_disk(&work->run->session, &work->roster, work->intake,
                       options->exports ? options->exports : EXPORT_ALL, &disk,
                       err))
        return false;
    uint64_t need = disk_estimate_bytes(&disk);
    for (size_t i = 0; i < work->roster.count; i++)
        for (enum row_kind h = 0; h < ROW_KINDS; h++)
            need += bytes_of_rows(work, i, h);
    if (!disk_free(work->folder, &have, err))
        return false;
    return need <= have ||
           error_set(
               err, ERROR_FULL,
               "%s: about %" PRIu64 " bytes of disk are needed and %" PRIu64
               " are free; free some, or leave outputs away with --export",
               work->folder, need, have);
}

static void count_pass(struct work *work, const struct pass *pass) {
    struct run_result *result = work->run->result;
    result->texts_computed += pass->report.computed;
    result->texts_reused += pass->report.reused;
    result->tokens += pass->report.tokens;
    work->failed_texts += pass->report.failed;
}

static void note_mode(struct work *work) {
    work->mode = run_mode_name(work->schedule.mode);
    work->mode_reason = work->schedule.reason;
}

/* A model that failed is named and left out; the fused vector then does not
 * exist. True if at least one model is done. */
static bool note_turns(struct work *work, bool ended) {
    struct run *run = work->run;
    size_t done = 0;
    for (size_t i = 0; i < work->roster.count; i++) {
        const struct member *member = &work->roster.members[i];
        const struct turn *turn = &work->schedule.turns[i];
        if (!turn->pass.member) /* it ended before this one's began */
            continue;
        if (!member->error.code) {
            count_pass(work, &turn->pass);
            json_array_append_new(work->passes,
                                  summary_pass(&run->session, turn));
        }
        const struct error *failure =
            member->error.code ? &member->error : &turn->failure;
        if (!failure->code) {
            done++;
            continue;
        }
        work->member_error = *failure;
        work->member_failed = member->key;
        if (member_has(member, ROW_DENSE))
            work->roster.fused_width = 0;
        head_stores_close(&work->stores[i]);
        work->member_known = member->error.code != ERROR_NONE;
        work->member_told =
            !work->member_known && run->roster.count > 1 && !ended;
        if (work->member_told)
            event_log(&run->telemetry.sink, LOG_ERROR, "%s: model %s: %s",
                      work->collection->name, member->key, failure->message);
    }
    return done > 0;
}

static void explain_failures(struct work *work, bool fine, struct error *err) {
    const struct session *session = &work->run->session;
    for (size_t i = 0; work->schedule.turns && i < work->roster.count; i++)
        pass_blame_longest(session, work->intake,
                           &work->schedule.turns[i].failure);
    if (!fine)
        pass_blame_longest(session, work->intake, err);
}

static bool run_passes(struct work *work, struct error *err) {
    struct run *run = work->run;
    work->schedule = (struct schedule){.session = &run->session,
                                       .sink = &run->telemetry.sink,
                                       .roster = &work->roster,
                                       .intake = work->intake,
                                       .stores = work->stores,
                                       .folder = work->private,
                                       .scratch = work->scratch,
                                       .engines = run->engines,
                                       .collections = run->list->count};
    bool fine = schedule_run(&work->schedule, err);
    explain_failures(work, fine, err);
    bool any = work->schedule.turns && note_turns(work, !fine);
    note_mode(work);
    schedule_free(&work->schedule);
    if (!fine)
        return false;
    if (!any)
        *err = work->member_error;
    return any;
}

/* ---- a collection ------------------------------------------------------- */

static bool read_chunks(struct work *work, struct error *err) {
    struct run *run = work->run;
    struct chunk_options options = run->session.options->chunk;
    options.pool = run->session.pool;
    work->intake = intake_scan(&run->session.memory, work->collection, &options,
                               work->scratch, &run->telemetry.sink, err);
    if (!work->intake)
        return false;
    const struct intake_counts *counts = &work->intake->counts;
    event_emit(&run->telemetry.sink, "chunks_read",
               json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "collection",
                         work->collection->name, "files",
                         (json_int_t)counts->files, "found",
                         (json_int_t)counts->found, "unique",
                         (json_int_t)counts->unique, "duplicate",
                         (json_int_t)counts->duplicate, "blank",
                         (json_int_t)counts->blank));
    return true;
}

/* Chunks that at least one model saw only the beginning of. */
static bool count_truncated(struct work *work, struct error *err) {
    struct memory *memory = &work->run->session.memory;
    size_t most = work->roster.count * ROW_KINDS, count = 0;
    char(*paths)[PATH_MAX] = memory_alloc(memory, most, PATH_MAX, err);
    const char **list = memory_alloc(memory, most, sizeof *list, err);
    bool fine = paths && list;
    for (size_t i = 0; fine && i < most; i++) {
        const struct member *member = &work->roster.members[i / ROW_KINDS];
        enum row_kind head = (enum row_kind)(i % ROW_KINDS);
        if (!member_has(member, head))
            continue;
        list[count] = paths[count];
        fine = member_store_path(paths[count++], work->private, member, head,
                                 "truncated", err);
    }
    fine =
        fine && digest_list_count(list, count, false, work->intake,
                                  work->scratch, &work->truncated, NULL, err);
    memory_free(memory, paths);
    memory_free(memory, list);
    return fine;
}

static void prepare_artefacts(struct work *work) {
    struct run *run = work->run;
    work->artefacts = (struct artefacts){.session = &run->session,
                                         .sink = &run->telemetry.sink,
                                         .roster = &work->roster,
                                         .intake = work->intake,
                                         .stores = work->stores,
                                         .folder = work->folder,
                                         .scratch = work->scratch,
                                         .failed_texts = work->failed_texts};
}

/* A complete set is there: who says --skip-existing wants it left alone, and to
 * know where it is not what this run would make. */
static bool is_there(struct work *work) {
    const struct run *run = work->run;
    if (!artefacts_exist(work->folder))
        return false;
    prepare_artefacts(work);
    if (run->roster.usable == run->roster.count &&
        artefacts_made_otherwise(&work->artefacts))
        event_log(&run->telemetry.sink, LOG_WARNING,
                  "%s: left alone (--skip-existing), but the files in %s were "
                  "made with other models or options than this run's",
                  work->collection->name, work->folder);
    return true;
}

/* Nothing changed since a complete set was made: leave it alone. */
static bool is_unchanged(struct work *work) {
    const struct run *run = work->run;
    prepare_artefacts(work);
    return !run->session.options->restart &&
           run->roster.usable == run->roster.count &&
           artefacts_complete(&work->artefacts);
}

/* How a collection ended; CODE of `failure` is ERROR_NONE unless it failed. */
struct ending {
    const char *status;
    const char *reason;
    struct error failure;
};

static struct ending ended(const char *status, const char *reason) {
    return (struct ending){.status = status, .reason = reason};
}

static void enter(struct work *work, enum phase phase) {
    phases_enter(&work->run->session.phases, phase);
}

static bool embed_collection(struct work *work, struct error *err) {
    if (!open_stores(work, err) || !check_disk(work, err) ||
        !run_passes(work, err))
        return false;
    prepare_artefacts(work);
    if (!count_truncated(work, err))
        return false;
    enter(work, PHASE_EXPORT);
    if (work->run->session.options->exports == EXPORT_NONE)
        return true;
    if (artefacts_better_stay(&work->artefacts)) {
        event_log(&work->run->telemetry.sink, LOG_WARNING,
                  "%s: the files in %s are those of an earlier run and stay "
                  "as they are, for a model is missing in this one; what it "
                  "computed is kept for a run with all models, or without "
                  "that one",
                  work->collection->name, work->folder);
        return true;
    }
    return artefacts_write(&work->artefacts, err);
}

/* Every row is where it was: the passes have nothing to do. */
static bool note_unchanged(struct work *work, struct error *err) {
    struct run *run = work->run;
    for (size_t i = 0; i < work->roster.count; i++) {
        struct pass pass = {.session = &run->session,
                            .member = &work->roster.members[i],
                            .intake = work->intake,
                            .folder = work->private,
                            .number = (unsigned)i + 1,
                            .count = (unsigned)work->roster.count};
        struct turn turn = {0};
        pass.report.texts = pass.report.reused = work->intake->counts.unique;
        bool fine = pass_count_lists(&pass, work->scratch, err);
        turn.pass = pass;
        if (fine) {
            count_pass(work, &pass);
            json_array_append_new(work->passes,
                                  summary_pass(&run->session, &turn));
        }
        pass_free_report(&pass);
        if (!fine)
            return false;
    }
    return count_truncated(work, err);
}

static struct ending run_collection(struct work *work) {
    const struct run_options *options = work->run->session.options;
    struct ending failed = ended("failed", NULL);
    if (work->collection->missing)
        return ended("skipped_missing", "not_found");
    if (!open_folders(work, &failed.failure))
        return failed;
    take_types(work);
    if (options->skip_existing && !options->restart && is_there(work))
        return ended("skipped_existing", "exports_exist");
    enter(work, PHASE_INTAKE);
    if (!spool_input(work, &failed.failure) ||
        !read_chunks(work, &failed.failure))
        return failed;
    if (!work->intake->counts.found)
        return ended("skipped_no_chunks", "no_chunks");
    enter(work, PHASE_PREPARE);
    if (is_unchanged(work))
        return note_unchanged(work, &failed.failure)
                   ? ended("completed", "unchanged")
                   : failed;
    if (!embed_collection(work, &failed.failure))
        return failed;
    failed.failure = work->member_error;
    return work->member_failed ? failed : ended("completed", NULL);
}

static void close_work(struct work *work) {
    struct memory *memory = &work->run->session.memory;
    artefacts_free(&work->artefacts);
    for (size_t i = 0; work->stores && i < work->roster.count; i++)
        head_stores_close(&work->stores[i]);
    memory_free(memory, work->stores);
    intake_free(work->intake);
    if (work->lock_fd >= 0)
        folder_remove(work->scratch, NULL);
    lock_drop(work->lock_fd);
    json_decref(work->passes);
}

/* With one collection its failure is the run's, and is told by that; and so is
 * one that ends the run. True: it was told here, with the collection's name. */
static bool tell_failure(const struct work *work, const struct error *failure) {
    bool of_member = work->member_failed &&
                     !strcmp(failure->message, work->member_error.message);
    if (of_member && (work->member_known || work->member_told))
        return work->member_told;
    if (work->run->list->count == 1 || schedule_ends_with(failure->code))
        return false;
    event_log(&work->run->telemetry.sink, LOG_ERROR, "%s: %s",
              work->collection->name, failure->message);
    return true;
}

static void note_ending(struct work *work, const struct ending *ending) {
    struct run_result *result = work->run->result;
    result->collections++;
    result->collections_completed += !strcmp(ending->status, "completed");
    char text[256];
    if (ending->failure.code)
        pipeline_note_worst(result, ending->failure.code,
                            ending->failure.message,
                            tell_failure(work, &ending->failure));
    if (!strcmp(ending->status, "skipped_missing")) {
        snprintf(text, sizeof text,
                 "no collection is called %.150s; leave --collection away to "
                 "take all that there are",
                 work->collection->name);
        pipeline_note_worst(result, ERROR_MISSING, text, false);
    }
    if (!strcmp(ending->status, "skipped_no_chunks")) {
        snprintf(text, sizeof text, "%.200s: no chunks found",
                 work->collection->name);
        pipeline_note_worst(result, ERROR_MISSING, text, false);
    }
    if (!work->intake)
        return;
    const struct intake_counts *counts = &work->intake->counts;
    result->points += work->artefacts.points;
    result->truncated += work->truncated;
    result->blank += counts->blank;
    result->left_out += work->artefacts.left_out + counts->failed;
    result->files_failed += counts->files_failed;
    result->lines_failed += counts->lines_failed;
    if (counts->failed || counts->files_failed || counts->lines_failed ||
        work->artefacts.left_out)
        pipeline_note_worst(
            result, ERROR_INPUT,
            "some chunks were left out: see the messages above and "
            "summary.json",
            false);
}

bool collection_run(struct run *run, size_t number) {
    struct work work = {.run = run,
                        .number = number,
                        .collection = &run->list->collections[number],
                        .lock_fd = -1,
                        .roster = run->roster,
                        .passes = json_array()};
    int64_t begin_ns = clock_now_ns();
    phases_enter(&run->session.phases, PHASE_OPEN);
    event_emit(&run->telemetry.sink, "collection_started",
               json_pack("{s:s}", "collection", work.collection->name));
    sampler_lap(&run->watch.sampler);
    struct ending ending = run_collection(&work);
    double ms = (double)(clock_now_ns() - begin_ns) / 1e6;
    phases_enter(&run->session.phases, PHASE_REPORT);
    note_ending(&work, &ending);
    json_t *sampled = sampler_describe_lap(&run->watch.sampler);
    struct summary_collection entry = {.collection = work.collection,
                                       .status = ending.status,
                                       .reason = ending.reason,
                                       .failure = &ending.failure,
                                       .failed_model = work.member_failed,
                                       .intake = work.intake,
                                       .artefacts = &work.artefacts,
                                       .passes = work.passes,
                                       .mode = work.mode,
                                       .mode_reason = work.mode_reason,
                                       .truncated = work.truncated,
                                       .duration_ms = ms,
                                       .sampled = sampled};
    json_array_append_new(run->collections, summary_collection(&entry));
    json_decref(sampled);
    event_emit(&run->telemetry.sink, "collection_ended",
               json_pack("{s:s, s:s, s:s?, s:f}", "collection",
                         work.collection->name, "status", ending.status,
                         "reason", ending.reason, "duration_ms", ms));
    bool go_on = !schedule_ends_with(ending.failure.code);
    close_work(&work);
    return go_on;
}
