/* crew_worker.c - what a worker does: choose a piece, look at the memory,
 * encode, hand over; and what it asks when it cannot. */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "run/crew_parts.h"

enum {
    SHARE_LEAST = 512, /* tokens: a smaller piece is not worth it */
    PACED_GROUPS = 2,  /* a lane has at least so many of a batch */
};

/* ---- what a worker takes ------------------------------------------------ */

static bool job_is_open(const struct job *job) {
    return !job->failure.code && !job->paused && job->window->waiting > 0;
}

/* The CPU is: nonsense that it computes is the model's. */
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
        if (!station_serving(s, job->member))
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

/* On a device that others use too, whose batches are the slow ones. Where
 * layers stream a batch costs all weights once, however small it is. */
static size_t paced(const struct resident *resident) {
    const struct device *device = resident->station->device;
    if (!device->shared || weights_stream(resident->weights))
        return SIZE_MAX;
    return pace_tokens(&resident->pace,
                       device->lanes * device->group_tokens * PACED_GROUPS);
}

/* A device whose results are in doubt waits for the verdict. */
bool crew_may_take(const struct worker *worker, const struct job *job) {
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
        *resident = station_serving(station, job->member);
        if (*resident && job_is_open(job) && crew_may_take(worker, job))
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

/* The device is gone; WHY is for the person who reads of it. */
static void lose(struct worker *worker, const char *why, struct job *job) {
    struct station *station = worker->station;
    snprintf(station->why_lost, sizeof station->why_lost, "%.150s", why);
    ask(worker, REQUEST_LOST, job);
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

/* Follow what the controller wishes at a reading of BYTES_FREE. With the lock
 * held; may let it go to ask. False: the worker must choose again, for
 * something changed. */
static bool look(struct worker *worker, const struct resident *resident,
                 struct job *job, uint64_t bytes_free) {
    struct station *station = worker->station;
    struct controller *controller = &station->controller;
    size_t least = tokens_least(station, job);
    if (!least)
        return true; /* nothing waits: there is no batch to size */
    struct controller_reading reading = {
        .bytes_free = bytes_free,
        .tokens_least = least,
        .bytes_per_token = resident->bytes_per_token,
        .restore_bytes = ladder_restore_bytes(station)};
    size_t before = controller->tokens;
    enum controller_wish wish = controller_look(controller, &reading);
    struct note note = {.from_tokens = before,
                        .to_tokens = controller->tokens,
                        .bytes_free = bytes_free,
                        .job = job};
    switch (wish) {
    case CONTROLLER_SHRINK:
        station_clear(station); /* a smaller one is laid out for the batch */
        note.type = "budget_shrunk";
        note.reason = bytes_free < station->margin
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
        bool windows = long_is(batch->job->frame, size);
        const uint8_t *digest = w->digests + (size_t)text * SHA256_BYTES;
        size = windows ? 0 : size; /* they are cut as they are encoded */
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

static bool encode(struct resident *resident, struct batch *batch,
                   struct error *err) {
    int64_t begin = clock_now_ns();
    size_t budget = resident->budget.batch_tokens;
    size_t room = batch->budget;
    bool fine = batch_encode(resident->encoder, batch,
                             budget < room ? budget : room, err);
    batch->ms += (double)(clock_now_ns() - begin) / 1e6;
    return fine;
}

/* Encode, and once more (AGAIN) if a vector is nonsense: a card may have
 * hiccuped. */
static bool encode_soundly(struct resident *resident, struct batch *batch,
                           bool again, bool *sound, struct error *err) {
    batch->ms = 0;
    batch->recomputed = batch->piece.suspect;
    if (!encode(resident, batch, err))
        return false;
    *sound = !batch->unsound;
    if (*sound || !again)
        return true;
    batch->recomputed = true;
    if (!encode(resident, batch, err))
        return false;
    *sound = !batch->unsound;
    return true;
}

/* The batch could not be done here. With the lock held. */
static void give_back(struct worker *worker, struct batch *batch,
                      const struct error *why) {
    struct job *job = batch->job;
    struct station *station = worker->station;
    window_return(job->window, batch->piece);
    if (why->code == ERROR_DEVICE) {
        lose(worker, why->message, job);
    } else if (why->code == ERROR_MEMORY) {
        size_t before = station->controller.tokens;
        size_t tokens = batch->tokens < before ? batch->tokens : before;
        station_clear(station);
        uint64_t bytes_free = station_bytes_free(station);
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

/* Whether the model is to blame: nothing that it ever gave was sound. */
static void judge_model(struct job *job, const struct batch *batch) {
    job->nonsense += batch->unsound > 0;
    job->any_sound = job->any_sound || batch->sound > 0;
    if (job->nonsense > NONSENSE_MOST && !job->any_sound && !job->failure.code)
        job_is_nonsense(job);
}

static void hand_over(struct worker *worker, struct slot *slot, bool sound) {
    struct batch *batch = &slot->batch;
    struct station *station = worker->station;
    judge_model(batch->job, batch);
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
    size_t first = window_cost(w, batch->piece.first);
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
    bool again = batch->job->nonsense <= NONSENSE_MOST;
    pthread_mutex_unlock(&crew->lock);
    fill(batch);
    fine = fine && encode_soundly(resident, batch, again, &sound, &why);
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
    struct station *station = worker->station;
    uint64_t bytes_free = batch->free_before;
    bool read = device_bytes_free(station->device, &bytes_free, &why);
    batch->live = memory_live(station->device->account);
    batch->free_after = bytes_free;
    pace_add(&resident->pace, batch->tokens, batch->ms);
    hand_over(worker, slot, sound);
    if (station_resident(station, job->member) != resident)
        return;
    if (read)
        look(worker, resident, job, bytes_free);
    else
        lose(worker, why.message, job);
}

static bool begin_piece(struct worker *worker, struct slot *slot,
                        struct resident *resident, struct job *job) {
    struct crew *crew = worker->crew;
    struct station *station = worker->station;
    struct batch *batch = &slot->batch;
    uint64_t bytes_free;
    struct error why = {0};
    if (!device_bytes_free(station->device, &bytes_free, &why)) {
        lose(worker, why.message, job);
        return false;
    }
    if (!look(worker, resident, job, bytes_free))
        return false;
    size_t least = tokens_least(station, job);
    size_t budget = station->controller.tokens;
    if (budget > resident->tokens)
        budget = resident->tokens;
    if (budget < least)
        budget = least;
    if (budget > crew->size.tokens)
        budget = crew->size.tokens;
    size_t share = fair_share(crew, station, job), few = paced(resident);
    size_t tokens = share < budget ? share : budget;
    tokens = few < tokens ? few : tokens;
    if (tokens < least)
        tokens = least;
    batch->job = job;
    batch->station = station;
    batch->budget = budget;
    batch->free_before = bytes_free;
    return window_cut(job->window, tokens,
                      rows_texts_most(job->member, crew->size.texts),
                      is_trusted(station), &batch->piece);
}

static bool is_broken(const struct worker *worker) {
    const struct crew *crew = worker->crew;
    return worker->nonsense > NONSENSE_MOST && !worker->station->lost &&
           crew->shift && !crew->draining;
}

void *crew_worker(void *context) {
    struct worker *worker = context;
    struct crew *crew = worker->crew;
    pthread_mutex_lock(&crew->lock);
    while (!crew->closing) {
        if (is_broken(worker))
            lose(worker, "it gave vectors that are not sound, again and again",
                 NULL);
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
