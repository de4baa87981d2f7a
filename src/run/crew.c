/* crew.c - workers, the queue, and the caller's loop. */

#include "run/crew.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/layout.h"
#include "run/engine.h"
#include "run/ladder.h"
#include "run/plan.h"

enum {
    SLOTS = 2,        /* a worker encodes one batch while the other is stored */
    TEXTS_CPU = 1024, /* of a batch, at most */
    TEXTS_CARD = 2048, /* where there is a card */
    SHARE_LEAST = 512, /* tokens: a smaller piece is not worth its handling */
    TICK_MS = 100,     /* idle stations and signals are looked at this often */
    NONSENSE_MOST = 3, /* batches: a device (or a model) that gives more is
                          broken */
};

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_FULL };

struct slot {
    enum slot_state state;
    struct batch batch;
};

/* What a worker asks of the deciding thread, and waits for. */
enum request {
    REQUEST_NONE,
    REQUEST_RELIEVE, /* the margin is not free at the smallest budget */
    REQUEST_ROOM,    /* the smallest batch found no room */
    REQUEST_RESTORE, /* there is room for what was given up */
    REQUEST_LOST,    /* the device is gone */
    REQUEST_TRUSTED, /* nonsense twice: let the CPU try */
};

/* A decision that a worker took by itself, to be told by the deciding thread.
 * One at a time: it waits until it was told. */
struct note {
    const char *type; /* NULL: none */
    const char *reason;
    size_t from_tokens, to_tokens, texts, tokens;
    uint64_t bytes_free;
    struct job *job;
};

struct worker {
    struct crew *crew;
    struct station *station;
    pthread_t thread;
    bool started;
    struct slot slots[SLOTS];
    enum request request;
    struct job *request_job;
    struct resident *active; /* it computes with this one, or NULL */
    struct note note;
    unsigned doubts;   /* suspect pieces of it that nobody has judged yet */
    unsigned nonsense; /* those that another device did soundly */
};

struct crew {
    struct session *session;
    struct crew_size size;
    pthread_mutex_t lock;
    pthread_cond_t work;    /* something for workers changed */
    pthread_cond_t main;    /* something for the caller changed */
    struct worker *workers; /* [session->stations_count] */
    size_t workers_count;
    void *block; /* owned: the slots' buffers */
    bool closing;
    struct shift *shift; /* NULL: nothing to do */
    bool draining;       /* take no new pieces: the shift ends early */
    struct ladder ladder;
};

/* ---- memory ------------------------------------------------------------- */

/* Runs twice: first with an empty layout, to measure. */
static void place(struct layout *l, const struct crew_size *size,
                  struct worker *workers, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < SLOTS; k++) {
            struct batch b = {
                .ids = layout_take(l, size->tokens, sizeof *b.ids),
                .starts = layout_take(l, size->texts + 1, sizeof *b.starts),
                .digests = layout_take(l, size->texts, SHA256_BYTES),
                .cut_digests = layout_take(l, size->texts, SHA256_BYTES),
                .vectors =
                    layout_take(l, size->texts, size->width * sizeof(float)),
            };
            if (workers)
                workers[i].slots[k].batch = b;
        }
}

/* The CPU that was not asked for gets no buffers before it works: it borrows
 * those of the station that it stands in for. */
static size_t buffers_for(const struct session *session) {
    return session->stations_count;
}

static size_t member_tokens(const struct session *session,
                            const struct member *member) {
    size_t tokens = ENCODER_BATCH_TOKENS;
    for (size_t i = 0; i < session->stations_count; i++)
        if (!session->stations[i].device->shared)
            tokens = PLAN_CARD_TOKENS;
    if (member->request->budget)
        tokens = member->request->budget;
    return tokens > member->spec.max_length ? tokens : member->spec.max_length;
}

struct crew_size crew_size_for(const struct session *session,
                               const struct roster *roster,
                               const struct intake *intake) {
    struct crew_size size = {.texts = TEXTS_CPU};
    for (size_t i = 0; i < session->stations_count; i++)
        if (!session->stations[i].device->shared)
            size.texts = TEXTS_CARD;
    if (size.texts > intake->counts.unique)
        size.texts = (size_t)intake->counts.unique;
    for (size_t i = 0; i < roster->count; i++) {
        const struct member *member = &roster->members[i];
        if (member->error.code)
            continue;
        size_t tokens = member_tokens(session, member);
        if (tokens > size.tokens)
            size.tokens = tokens;
        if (member->spec.width > size.width)
            size.width = member->spec.width;
    }
    return size;
}

uint64_t crew_bytes(const struct session *session,
                    const struct crew_size *size) {
    struct layout measure = {0};
    place(&measure, size, NULL, buffers_for(session));
    return memory_block_bytes(measure.bytes) +
           memory_block_bytes(session->stations_count * sizeof(struct worker)) +
           memory_block_bytes(sizeof(struct crew));
}

/* ---- what a worker takes ------------------------------------------------ */

static bool job_is_open(const struct job *job) {
    return !job->failure.code && !job->paused && job->window->waiting > 0;
}

static bool is_trusted(const struct station *station) {
    return station->device->shared;
}

/* Stations that take from the same window share what is left by their speed,
 * in ever smaller pieces: so they end together. */
static size_t fair_share(const struct crew *crew, const struct station *self,
                         const struct job *job) {
    double speed_all = 0, speed_own = 0;
    size_t stations = 0, measured = 0;
    for (size_t i = 0; i < crew->session->stations_count; i++) {
        const struct station *s = &crew->session->stations[i];
        const struct resident *r = station_resident(s, job->member);
        if (s->lost || !r || r->leaving)
            continue;
        stations++;
        if (s->busy_ns <= 0)
            continue;
        double speed = (double)s->tokens / (double)s->busy_ns;
        speed_all += speed;
        measured++;
        if (s == self)
            speed_own = speed;
    }
    if (stations < 2)
        return SIZE_MAX;
    double part = 1.0 / (double)stations;
    if (measured == stations && speed_all > 0)
        part = speed_own / speed_all;
    double share = (double)job->window->waiting_tokens * part / 2;
    return share < SHARE_LEAST ? SHARE_LEAST : (size_t)share;
}

/* A device whose results are in doubt waits for the verdict. */
static bool may_take(const struct worker *worker, const struct job *job) {
    bool trusted = is_trusted(worker->station);
    bool doubted = !trusted && worker->doubts > NONSENSE_MOST &&
                   job->nonsense <= NONSENSE_MOST;
    return !doubted && window_longest(job->window, trusted) > 0;
}

static struct slot *free_slot(struct worker *worker) {
    for (size_t i = 0; i < SLOTS; i++)
        if (worker->slots[i].state == SLOT_FREE)
            return &worker->slots[i];
    return NULL;
}

/* The first job (the primary's before the others') whose model is here. */
static struct job *next_job(const struct crew *crew, struct worker *worker,
                            struct resident **resident) {
    const struct station *station = worker->station;
    if (!crew->shift || crew->draining || station->lost || worker->request ||
        worker->note.type)
        return NULL;
    for (size_t i = 0; i < crew->shift->jobs_count; i++) {
        struct job *job = &crew->shift->jobs[i];
        *resident = station_resident(station, job->member);
        if (*resident && !(*resident)->leaving && job_is_open(job) &&
            may_take(worker, job))
            return job;
    }
    return NULL;
}

/* ---- asking and telling ------------------------------------------------- */

/* With the lock held; comes back when the deciding thread has answered. */
static void ask(struct worker *worker, enum request request, struct job *job) {
    struct crew *crew = worker->crew;
    worker->request_job = job;
    worker->request = request;
    pthread_cond_signal(&crew->main);
    while (worker->request != REQUEST_NONE)
        pthread_cond_wait(&crew->work, &crew->lock);
}

static void tell(struct worker *worker, struct note note) {
    struct crew *crew = worker->crew;
    worker->note = note;
    pthread_cond_signal(&crew->main);
    while (worker->note.type)
        pthread_cond_wait(&crew->work, &crew->lock);
}

/* ---- free memory, before and after a batch ------------------------------ */

static size_t tokens_least(const struct station *station,
                           const struct job *job) {
    return window_longest(job->window, is_trusted(station));
}

/* Read the free memory and follow what the controller wishes. With the lock
 * held; may let it go to ask. False: the worker must choose again, for
 * something changed. */
static bool look(struct worker *worker, struct resident *resident,
                 struct job *job, uint64_t *bytes_free) {
    struct crew *crew = worker->crew;
    struct station *station = worker->station;
    struct controller *controller = &station->controller;
    struct error why = {0};
    if (!device_bytes_free(station->device, bytes_free, &why)) {
        snprintf(station->why_lost, sizeof station->why_lost, "%.150s",
                 why.message);
        ask(worker, REQUEST_LOST, job);
        return false;
    }
    if (!tokens_least(station, job))
        return true; /* nothing waits: there is no batch to size */
    struct controller_reading reading = {
        .bytes_free = *bytes_free,
        .tokens_least = tokens_least(station, job),
        .bytes_per_token = station_bytes_per_token(resident),
        .restore_bytes = ladder_restore_bytes(&crew->ladder, station)};
    size_t before = controller->tokens;
    enum controller_wish wish = controller_look(controller, &reading);
    struct note note = {.from_tokens = before,
                        .to_tokens = controller->tokens,
                        .bytes_free = *bytes_free,
                        .job = job};
    switch (wish) {
    case CONTROLLER_SHRINK:
        station_clear(station); /* a smaller one is laid out for the batch */
        note.type = "budget_shrunk";
        note.reason = *bytes_free < station->margin
                          ? "less memory is free than the margin"
                          : "the longer texts are done";
        tell(worker, note);
        return false;
    case CONTROLLER_GROW:
        note.type = "budget_grown";
        note.reason = controller->tokens <= reading.tokens_least
                          ? "the next text is longer"
                          : "the pressure has ended";
        tell(worker, note);
        return false;
    case CONTROLLER_RELIEVE:
        ask(worker, REQUEST_RELIEVE, job);
        return false;
    case CONTROLLER_RESTORE:
        ask(worker, REQUEST_RESTORE, job);
        return false;
    default:
        return true;
    }
}

/* ---- a batch ------------------------------------------------------------ */

static void fill(struct batch *batch) {
    const struct window *w = batch->job->window;
    size_t tokens = 0;
    batch->texts = batch->piece.count;
    batch->cut_count = 0;
    batch->starts[0] = 0;
    for (size_t i = 0; i < batch->texts; i++) {
        uint32_t text = w->order[batch->piece.first + i];
        size_t size = window_text_tokens(w, text);
        const uint8_t *digest = w->digests + (size_t)text * SHA256_BYTES;
        if (size) /* without tokens there may be no array of them */
            memcpy(batch->ids + tokens, w->tokens.ids + w->starts[text],
                   size * sizeof *batch->ids);
        memcpy(batch->digests + i * SHA256_BYTES, digest, SHA256_BYTES);
        if (w->was_cut[text])
            memcpy(batch->cut_digests + batch->cut_count++ * SHA256_BYTES,
                   digest, SHA256_BYTES);
        tokens += size;
        batch->starts[i + 1] = (uint32_t)tokens;
    }
    batch->tokens = tokens;
}

static bool is_sound(const struct batch *batch) {
    const struct member *member = batch->job->member;
    const char *reason;
    for (size_t i = 0; i < batch->texts; i++)
        if (batch->starts[i + 1] > batch->starts[i] &&
            !vector_is_sound(member, batch->vectors + i * member->spec.width,
                             &reason))
            return false;
    return true;
}

static bool encode(struct resident *resident, struct batch *batch,
                   struct error *err) {
    struct encoder_batch in = {.ids = batch->ids,
                               .starts = batch->starts,
                               .texts = batch->texts,
                               .prompt_tokens = batch->job->prompt_tokens};
    int64_t begin = clock_now_ns();
    bool fine =
        engine_check_ids(resident->member, batch->ids, batch->tokens, err) &&
        encoder_encode(resident->encoder, &in, batch->vectors, err);
    batch->ms += (double)(clock_now_ns() - begin) / 1e6;
    return fine;
}

/* Encode, and once more if a vector is nonsense: a card may have hiccuped. */
static bool encode_soundly(struct resident *resident, struct batch *batch,
                           bool *sound, struct error *err) {
    batch->ms = 0;
    batch->recomputed = batch->piece.suspect;
    if (!encode(resident, batch, err))
        return false;
    *sound = is_sound(batch);
    if (*sound || batch->job->nonsense > NONSENSE_MOST)
        return true;
    batch->recomputed = true;
    if (!encode(resident, batch, err))
        return false;
    *sound = is_sound(batch);
    return true;
}

/* The batch could not be done here. With the lock held. */
static void give_back(struct worker *worker, struct batch *batch,
                      const struct error *why) {
    struct job *job = batch->job;
    struct station *station = worker->station;
    window_return(job->window, batch->piece);
    if (why->code == ERROR_DEVICE) {
        snprintf(station->why_lost, sizeof station->why_lost, "%.150s",
                 why->message);
        ask(worker, REQUEST_LOST, job);
    } else if (why->code == ERROR_MEMORY) {
        size_t before = station->controller.tokens;
        size_t tokens = batch->tokens < before ? batch->tokens : before;
        station_clear(station);
        uint64_t bytes_free = 0;
        device_bytes_free(station->device, &bytes_free, NULL);
        if (controller_refused(&station->controller, tokens,
                               tokens_least(station, job)))
            tell(worker,
                 (struct note){.type = "batch_split",
                               .reason = "the device had no room for it",
                               .from_tokens = before,
                               .to_tokens = station->controller.tokens,
                               .texts = batch->texts,
                               .tokens = batch->tokens,
                               .bytes_free = bytes_free,
                               .job = job});
        else
            ask(worker, REQUEST_ROOM, job);
    } else {
        job->failure = *why;
    }
}

/* The CPU is trusted: nonsense that it computes is the model's. */
static bool must_be_checked(const struct worker *worker,
                            const struct batch *batch) {
    return !is_trusted(worker->station) &&
           batch->job->nonsense <= NONSENSE_MOST;
}

/* BATCH was nonsense on another device: is that device the culprit, or the
 * model? */
static void judge(struct crew *crew, const struct batch *batch, bool sound) {
    if (!batch->piece.by)
        return;
    struct worker *suspect = &crew->workers[batch->piece.by - 1];
    if (suspect->doubts)
        suspect->doubts--;
    if (sound)
        suspect->nonsense++;
    pthread_cond_broadcast(&crew->work);
}

static void hand_over(struct worker *worker, struct slot *slot, bool sound) {
    struct batch *batch = &slot->batch;
    struct station *station = worker->station;
    if (!sound)
        batch->job->nonsense++;
    judge(worker->crew, batch, sound);
    station->busy_ns += (int64_t)(batch->ms * 1e6);
    station->tokens += batch->tokens;
    station->texts += batch->texts;
    station->batches++;
    if (batch->budget > station->tokens_high)
        station->tokens_high = batch->budget;
    if (batch->recomputed && sound)
        tell(worker, (struct note){.type = "batch_recomputed",
                                   .reason = "its vectors were not sound at "
                                             "first",
                                   .texts = batch->texts,
                                   .bytes_free = batch->free_before,
                                   .job = batch->job});
    slot->state = SLOT_FULL;
    pthread_cond_signal(&worker->crew->main);
}

/* Room for a batch of the budget and for the longest text of it, which is its
 * first. */
static bool lay_out(struct resident *resident, const struct batch *batch,
                    struct error *err) {
    const struct window *w = batch->job->window;
    size_t first = window_text_tokens(w, w->order[batch->piece.first]);
    size_t longest = batch->job->longest;
    return station_lay_out(resident->station, resident, batch->budget,
                           first > longest ? first : longest, err);
}

/* With the lock held, which is let go while the device computes. */
static void do_piece(struct worker *worker, struct slot *slot,
                     struct resident *resident) {
    struct crew *crew = worker->crew;
    struct batch *batch = &slot->batch;
    struct error why = {0};
    bool sound = false;
    slot->state = SLOT_FILLING;
    worker->active = resident;
    bool fine = lay_out(resident, batch, &why);
    pthread_mutex_unlock(&crew->lock);
    fill(batch);
    fine = fine && encode_soundly(resident, batch, &sound, &why);
    pthread_mutex_lock(&crew->lock);
    worker->active = NULL;
    if (!fine) {
        slot->state = SLOT_FREE;
        give_back(worker, batch, &why);
        return;
    }
    if (!sound && must_be_checked(worker, batch)) {
        slot->state = SLOT_FREE;
        batch->piece.suspect = true;
        batch->piece.by = (unsigned)(worker - crew->workers) + 1;
        window_return(batch->job->window, batch->piece);
        worker->doubts++;
        ask(worker, REQUEST_TRUSTED, batch->job);
        return;
    }
    struct job *job = batch->job;
    batch->live = memory_live(worker->station->device->account);
    batch->free_after = batch->free_before;
    device_bytes_free(worker->station->device, &batch->free_after, NULL);
    hand_over(worker, slot, sound);
    uint64_t bytes_free;
    if (station_resident(worker->station, job->member) == resident)
        look(worker, resident, job, &bytes_free);
}

static bool begin_piece(struct worker *worker, struct slot *slot,
                        struct resident *resident, struct job *job) {
    struct crew *crew = worker->crew;
    struct station *station = worker->station;
    struct batch *batch = &slot->batch;
    uint64_t bytes_free;
    if (!look(worker, resident, job, &bytes_free))
        return false;
    size_t least = tokens_least(station, job);
    size_t budget = station->controller.tokens;
    if (budget > resident->tokens)
        budget = resident->tokens;
    if (budget < least)
        budget = least;
    if (budget > crew->size.tokens)
        budget = crew->size.tokens;
    size_t share = fair_share(crew, station, job);
    size_t tokens = share < budget ? share : budget;
    if (tokens < least)
        tokens = least;
    batch->job = job;
    batch->station = station;
    batch->budget = budget;
    batch->free_before = bytes_free;
    return window_cut(job->window, tokens, crew->size.texts,
                      is_trusted(station), &batch->piece);
}

static bool is_broken(const struct worker *worker) {
    const struct crew *crew = worker->crew;
    return worker->nonsense > NONSENSE_MOST && !worker->station->lost &&
           crew->shift && !crew->draining;
}

static void *work(void *context) {
    struct worker *worker = context;
    struct crew *crew = worker->crew;
    struct station *station = worker->station;
    pthread_mutex_lock(&crew->lock);
    while (!crew->closing) {
        if (is_broken(worker)) {
            snprintf(station->why_lost, sizeof station->why_lost,
                     "it gave vectors that are not sound, again and again");
            ask(worker, REQUEST_LOST, NULL);
        }
        struct resident *resident = NULL;
        struct slot *slot = free_slot(worker);
        struct job *job = slot ? next_job(crew, worker, &resident) : NULL;
        if (!job)
            pthread_cond_wait(&crew->work, &crew->lock);
        else if (begin_piece(worker, slot, resident, job))
            do_piece(worker, slot, resident);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* ---- the caller --------------------------------------------------------- */

static void tell_note(struct crew *crew, struct worker *worker) {
    struct note note = worker->note;
    json_t *fields =
        json_pack("{s:s, s:I, s:I}", "reason", note.reason, "free_bytes",
                  (json_int_t)note.bytes_free, "margin_bytes",
                  (json_int_t)worker->station->margin);
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

static bool has_model(const struct station *station, const struct job *job) {
    const struct resident *r = station_resident(station, job->member);
    return !station->lost && r && !r->leaving;
}

static bool somebody_has(const struct crew *crew, const struct job *job) {
    for (size_t i = 0; i < crew->workers_count; i++)
        if (has_model(crew->workers[i].station, job))
            return true;
    return false;
}

static bool somebody_can(const struct crew *crew, const struct job *job) {
    for (size_t i = 0; i < crew->workers_count; i++)
        if (has_model(crew->workers[i].station, job) &&
            may_take(&crew->workers[i], job))
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
        reading.restore_bytes = ladder_restore_bytes(&crew->ladder, station);
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
        if (!job->paused && somebody_has(crew, job))
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

static bool is_done(const struct crew *crew) {
    for (size_t i = 0; i < crew->shift->jobs_count; i++) {
        const struct job *job = &crew->shift->jobs[i];
        if (is_waiting(job))
            return false;
    }
    return true;
}

static void wait_a_tick(struct crew *crew) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += TICK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
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
        wait_a_tick(crew);
    }
}

bool crew_work(struct crew *crew, struct shift *shift, struct error *err) {
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
    return fine;
}

/* ---- opening ------------------------------------------------------------ */

static bool start(struct crew *crew, struct error *err) {
    for (size_t i = 0; i < crew->workers_count; i++) {
        struct worker *worker = &crew->workers[i];
        worker->crew = crew;
        worker->station = &crew->session->stations[i];
        if (pthread_create(&worker->thread, NULL, work, worker) != 0)
            return error_set(err, ERROR_IO, "no thread could be started for %s",
                             station_name(worker->station));
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
    pthread_cond_init(&crew->main, NULL);
    place(&measure, size, NULL, buffers_for(session));
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
