/* crew.c - the caller's side of the crew: its buffers, the loop that stores,
 * answers and decides, opening and closing. */

#include "run/crew.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/layout.h"
#include "base/thread.h"
#include "run/crew_parts.h"
#include "run/decision.h"
#include "run/pass.h"
#include "run/plan.h"
#include "run/stations.h"

enum {
    TEXTS_LEAST = 1024, /* of a batch at most are these, or ... */
    TEXT_TOKENS = 16, /* ... as many as fill it if they are this long; fewer */
    ROOM_PART = 16,   /* where they would take more than this part of memory */
    TICK_MS = 100,    /* idle stations and signals are looked at this often */
};

/* ---- memory ------------------------------------------------------------- */

/* Runs twice: first with an empty layout, to measure. */
static void place(struct layout *l, const struct crew_size *size,
                  struct worker *workers, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < SLOTS; k++) {
            struct batch b = {
                .ids = layout_take(l, size->tokens, sizeof *b.ids),
                .starts =
                    layout_take(l, size->rows.texts + 1, sizeof *b.starts),
                .digests = layout_take(l, size->texts, SHA256_BYTES),
                .cut_digests = layout_take(l, size->texts, SHA256_BYTES),
            };
            rows_place(l, &size->rows, &b.rows);
            if (workers)
                workers[i].slots[k].batch = b;
        }
}

/* The largest batch of any station. */
static size_t tokens_most(const struct session *session) {
    size_t tokens = 0;
    for (size_t i = 0; i < session->stations_count; i++) {
        size_t some = plan_batch_tokens(&session->stations[i]);
        tokens = some > tokens ? some : tokens;
    }
    return tokens;
}

static size_t member_tokens(const struct session *session,
                            const struct member *member) {
    size_t tokens = member->request->budget;
    tokens = rows_tokens_most(member, tokens ? tokens : tokens_most(session));
    return tokens > member->spec.max_length ? tokens : member->spec.max_length;
}

static struct crew_size size_for(const struct session *session,
                                 const struct roster *roster,
                                 struct engine *const *engines,
                                 const struct intake *intake, size_t texts) {
    struct crew_size size = {.texts = texts};
    if (size.texts > intake->counts.unique)
        size.texts = (size_t)intake->counts.unique;
    for (size_t i = 0; i < roster->count; i++) {
        const struct member *member = &roster->members[i];
        if (member->error.code || member->bm25)
            continue;
        size_t tokens = member_tokens(session, member);
        if (tokens > size.tokens)
            size.tokens = tokens;
        if (!engines[i])
            continue;
        rows_size_add(&size.rows, member, size.texts, tokens,
                      &engines[i]->frame,
                      pass_tokens_longest(intake, member, engines[i]));
    }
    if (size.rows.texts < size.texts)
        size.rows.texts = size.texts;
    return size;
}

struct crew_size crew_size_for(const struct session *session,
                               const struct roster *roster,
                               struct engine *const *engines,
                               const struct intake *intake) {
    uint64_t ceiling = session->memory.ceiling;
    size_t texts = tokens_most(session) / TEXT_TOKENS;
    for (;; texts /= 2) {
        texts = texts > TEXTS_LEAST ? texts : TEXTS_LEAST;
        struct crew_size size =
            size_for(session, roster, engines, intake, texts);
        if (texts == TEXTS_LEAST || !ceiling ||
            crew_bytes(session, &size) <= ceiling / ROOM_PART)
            return size;
    }
}

uint64_t crew_bytes(const struct session *session,
                    const struct crew_size *size) {
    struct layout measure = {0};
    place(&measure, size, NULL, session->stations_count);
    return memory_block_bytes(measure.bytes) +
           memory_block_bytes(session->stations_count * sizeof(struct worker)) +
           memory_block_bytes(sizeof(struct crew));
}

/* ---- the caller --------------------------------------------------------- */

static void tell_note(struct crew *crew, struct worker *worker) {
    struct note note = worker->note;
    json_t *fields =
        decision_fields(worker->station, note.reason, note.bytes_free);
    if (note.to_tokens) {
        json_object_set_new(fields, "from_tokens",
                            json_integer((json_int_t)note.from_tokens));
        json_object_set_new(fields, "to_tokens",
                            json_integer((json_int_t)note.to_tokens));
    }
    if (note.tokens)
        json_object_set_new(fields, "tokens",
                            json_integer((json_int_t)note.tokens));
    if (note.texts)
        json_object_set_new(fields, "texts",
                            json_integer((json_int_t)note.texts));
    crew->shift->verbs->decided(crew->shift->context, note.job, worker->station,
                                note.type, fields);
    worker->note.type = NULL;
    pthread_cond_broadcast(&crew->work);
}

void job_is_nonsense(struct job *job) {
    error_set(&job->failure, ERROR_VECTOR,
              "%s: none of its vectors is sound (not finite, zero or of the "
              "wrong length), not on the CPU either: its weights are broken; "
              "fetch the model again or take another",
              job->member->key);
}

static void find_trusted(struct crew *crew, struct job *job) {
    if (ladder_trusted_home(&crew->ladder, job))
        return;
    /* Nobody to ask: what is not sound is left out, and named. */
    job->nonsense = NONSENSE_MOST + 1;
    window_trust(job->window);
}

static void answer(struct crew *crew, struct worker *worker) {
    struct station *station = worker->station;
    struct job *job = worker->request_job;
    switch (worker->request) {
    case REQUEST_LOST:
        ladder_lost(&crew->ladder, station);
        break;
    case REQUEST_TRUSTED:
        find_trusted(crew, job);
        break;
    case REQUEST_RELIEVE:
        if (!ladder_relieve(&crew->ladder, station, job))
            controller_exhausted(&station->controller);
        break;
    case REQUEST_ROOM:
        if (!ladder_relieve(&crew->ladder, station, job))
            error_set(&job->failure, ERROR_MEMORY,
                      "%s: %s has no room for a single text of it any more, "
                      "and no other device has",
                      job->member->key, station_name(station));
        break;
    case REQUEST_RESTORE:
        ladder_restore(&crew->ladder, station);
        break;
    default:
        break;
    }
    worker->request = REQUEST_NONE;
    pthread_cond_broadcast(&crew->work);
}

/* Rows go to the store without the lock: a worker goes on meanwhile. */
static bool store(struct crew *crew, struct slot *slot, struct error *err) {
    struct shift *shift = crew->shift;
    pthread_mutex_unlock(&crew->lock);
    bool fine = shift->verbs->store(shift->context, &slot->batch, err);
    pthread_mutex_lock(&crew->lock);
    if (fine)
        window_finish(slot->batch.job->window, slot->batch.piece);
    slot->state = SLOT_FREE;
    pthread_cond_broadcast(&crew->work);
    return fine;
}

/* One thing that a worker waits for; false if there is none. */
static bool serve(struct crew *crew, bool *fine, struct error *err) {
    for (size_t i = 0; i < crew->workers_count; i++) {
        struct worker *worker = &crew->workers[i];
        if (worker->note.type) {
            tell_note(crew, worker);
            return true;
        }
        for (size_t k = 0; k < SLOTS; k++)
            if (worker->slots[k].state == SLOT_FULL) {
                *fine =
                    store(crew, &worker->slots[k], *fine ? err : NULL) && *fine;
                return true;
            }
        if (worker->request) {
            answer(crew, worker);
            return true;
        }
    }
    return false;
}

static bool anybody_works(const struct crew *crew) {
    for (size_t i = 0; i < crew->workers_count; i++) {
        const struct worker *worker = &crew->workers[i];
        if (worker->request || worker->note.type || worker->active)
            return true;
        for (size_t k = 0; k < SLOTS; k++)
            if (worker->slots[k].state != SLOT_FREE)
                return true;
    }
    return false;
}

static bool somebody_can(const struct crew *crew, const struct job *job) {
    for (size_t i = 0; i < crew->workers_count; i++)
        if (station_serving(crew->workers[i].station, job->member) &&
            crew_may_take(&crew->workers[i], job))
            return true;
    return false;
}

/* Models that went back to where they belong leave when nobody computes with
 * them any more. */
static void see_off(struct crew *crew) {
    for (size_t i = 0; i < crew->workers_count; i++) {
        struct worker *worker = &crew->workers[i];
        struct station *station = worker->station;
        for (size_t k = station->residents_count; k-- > 0;) {
            struct resident *resident = station->residents[k];
            if (resident->leaving && worker->active != resident)
                station_unload(station, resident);
        }
        if (!station->residents_count && !worker->active && station->block)
            station_clear(station);
    }
}

/* A station whose models went elsewhere has no worker that looks at its
 * memory. */
static void look_at_idle_stations(struct crew *crew) {
    for (size_t i = 0; i < crew->workers_count; i++) {
        struct station *station = crew->workers[i].station;
        uint64_t bytes_free;
        struct controller_reading reading = {.tokens_least = 1,
                                             .bytes_per_token = 1};
        reading.restore_bytes = ladder_restore_bytes(station);
        if (station->lost || station->residents_count ||
            !reading.restore_bytes ||
            !device_bytes_free(station->device, &bytes_free, NULL))
            continue;
        reading.bytes_free = bytes_free;
        if (controller_look(&station->controller, &reading) !=
            CONTROLLER_RESTORE)
            continue;
        ladder_restore(&crew->ladder, station);
        pthread_cond_broadcast(&crew->work);
    }
}

static bool is_waiting(const struct job *job) {
    return !job->failure.code && job->window->waiting > 0;
}

/* When nobody works: jobs whose model is nowhere get a home, or fail. True:
 * something changed. */
static bool house_the_homeless(struct crew *crew) {
    for (size_t i = 0; i < crew->shift->jobs_count; i++) {
        const struct job *job = &crew->shift->jobs[i];
        if (is_waiting(job) && !job->paused && somebody_can(crew, job))
            return false; /* its worker is only about to wake */
    }
    for (size_t i = 0; i < crew->shift->jobs_count; i++) {
        struct job *job = &crew->shift->jobs[i];
        if (!is_waiting(job))
            continue;
        if (!job->paused && stations_serve(crew->session, job->member))
            find_trusted(crew, job); /* only doubtful texts wait */
        else if (!ladder_find_home(&crew->ladder, job) && !job->failure.code)
            error_set(&job->failure, ERROR_MEMORY,
                      "%s: no device has room for it any more",
                      job->member->key);
        pthread_cond_broadcast(&crew->work);
        return true;
    }
    return false;
}

/* Preparing takes the session's threads, which the CPU computes with. Models
 * get there by decisions of this thread only. */
static bool pool_is_free(const struct crew *crew) {
    for (size_t i = 0; i < crew->workers_count; i++) {
        const struct worker *worker = &crew->workers[i];
        const struct station *station = worker->station;
        if (station->pool == crew->session->pool &&
            (station->residents_count || worker->active))
            return false;
    }
    return true;
}

/* Without the lock, like storing: workers go on meanwhile. */
static bool prepare(struct crew *crew) {
    const struct shift *shift = crew->shift;
    if (!shift->verbs->ahead || crew->draining || !pool_is_free(crew))
        return false;
    pthread_mutex_unlock(&crew->lock);
    bool did = shift->verbs->ahead(shift->context);
    pthread_mutex_lock(&crew->lock);
    return did;
}

static bool is_done(const struct crew *crew) {
    for (size_t i = 0; i < crew->shift->jobs_count; i++) {
        const struct job *job = &crew->shift->jobs[i];
        if (is_waiting(job))
            return false;
    }
    return true;
}

static void wait_a_tick(struct crew *crew) {
    struct timespec until = clock_in_ms(TICK_MS);
    pthread_cond_timedwait(&crew->main, &crew->lock, &until);
}

static bool serve_all(struct crew *crew, struct error *err) {
    bool fine = true;
    for (;;) {
        if (event_interrupted(crew->session->sink) && !crew->draining) {
            if (fine)
                error_set(err, ERROR_INTERRUPTED, "interrupted");
            fine = false;
        }
        crew->draining = crew->draining || !fine;
        see_off(crew);
        if (serve(crew, &fine, err))
            continue;
        bool busy = anybody_works(crew);
        if (!busy && (crew->draining || is_done(crew)))
            return fine;
        if (!crew->draining)
            look_at_idle_stations(crew);
        if (!busy && !crew->draining && house_the_homeless(crew))
            continue;
        if (busy && prepare(crew))
            continue;
        wait_a_tick(crew);
    }
}

bool crew_work(struct crew *crew, struct shift *shift, struct error *err) {
    struct phases *phases = &crew->session->phases;
    enum phase before = phases_enter(phases, PHASE_ENCODE);
    pthread_mutex_lock(&crew->lock);
    crew->shift = shift;
    crew->draining = false;
    for (size_t i = 0; i < crew->workers_count; i++)
        crew->workers[i].doubts = 0;
    crew->ladder = (struct ladder){.session = crew->session, .shift = shift};
    pthread_cond_broadcast(&crew->work);
    bool fine = serve_all(crew, err);
    crew->shift = NULL;
    pthread_mutex_unlock(&crew->lock);
    phases_enter(phases, before);
    return fine;
}

/* ---- opening ------------------------------------------------------------ */

static bool start(struct crew *crew, struct error *err) {
    for (size_t i = 0; i < crew->workers_count; i++) {
        struct worker *worker = &crew->workers[i];
        worker->crew = crew;
        worker->station = &crew->session->stations[i];
        int failure = thread_start(&worker->thread, crew_worker, worker);
        if (failure)
            return error_set(err, ERROR_IO,
                             "cannot start the thread of %s: %s; allow more "
                             "(ulimit -u, -v)",
                             station_name(worker->station), strerror(failure));
        worker->started = true;
    }
    return true;
}

struct crew *crew_open(struct session *session, const struct crew_size *size,
                       struct error *err) {
    struct memory *memory = &session->memory;
    struct layout measure = {0};
    struct crew *crew = memory_zalloc(memory, 1, sizeof *crew, err);
    if (!crew)
        return NULL;
    crew->session = session;
    crew->size = *size;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->work, NULL);
    clock_condition(&crew->main);
    place(&measure, size, NULL, session->stations_count);
    crew->workers = memory_zalloc(memory, session->stations_count,
                                  sizeof *crew->workers, err);
    crew->block =
        measure.overflow ? NULL : memory_alloc(memory, 1, measure.bytes, err);
    if (crew->workers && crew->block) {
        struct layout real = {.base = crew->block};
        crew->workers_count = session->stations_count;
        place(&real, size, crew->workers, crew->workers_count);
        if (start(crew, err))
            return crew;
    }
    crew_close(crew);
    return NULL;
}

void crew_close(struct crew *crew) {
    if (!crew)
        return;
    struct memory *memory = &crew->session->memory;
    pthread_mutex_lock(&crew->lock);
    crew->closing = true;
    pthread_cond_broadcast(&crew->work);
    pthread_mutex_unlock(&crew->lock);
    for (size_t i = 0; i < crew->workers_count; i++)
        if (crew->workers[i].started)
            pthread_join(crew->workers[i].thread, NULL);
    pthread_cond_destroy(&crew->main);
    pthread_cond_destroy(&crew->work);
    pthread_mutex_destroy(&crew->lock);
    memory_free(memory, crew->block);
    memory_free(memory, crew->workers);
    memory_free(memory, crew);
}
