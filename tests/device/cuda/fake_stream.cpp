/* fake_stream.cpp - streams as threads; see fake_card.h.
 *
 * Locks: `everything` may be held when a stream's is taken, never the other way
 * round; records are under a lock of their own, which nothing is taken under.
 */

#include "device/cuda/fake_card.h"

#include <chrono>
#include <cstdio>

static std::mutex records;
static std::condition_variable recorded;
static std::mutex living; /* streams that a record may raise the demand of */
static std::set<cu_stream_s *> streams;

static int card_error(card *card) {
    std::lock_guard<std::mutex> hold(everything);
    return card->error;
}

void card_fault(card *card, int error, const char *why) {
    std::lock_guard<std::mutex> hold(everything);
    if (!card->error) {
        fprintf(stderr, "fake card %d: %s\n", card->ordinal, why);
        card->error = error;
        card->counters.faults++;
    }
}

static void run(card *card, const std::function<int()> &work) {
    int result = work();
    if (result)
        card_fault(card, result, "work on a stream went wrong");
}

static void stream_main(cu_stream_s *stream) {
    std::unique_lock<std::mutex> hold(stream->lock);
    for (;;) {
        stream->changed.wait(hold, [=] {
            return stream->stop || stream->done < stream->demanded;
        });
        if (stream->done == stream->demanded)
            return;
        std::function<int()> work = std::move(stream->queue.front());
        stream->queue.pop_front();
        hold.unlock();
        run(stream->card, work);
        work = nullptr;
        hold.lock();
        stream->done++;
        stream->changed.notify_all();
    }
}

cu_stream_s *stream_create(card *card) {
    cu_stream_s *stream = new cu_stream_s;
    stream->card = card;
    if (the_system.how != mode::SYNC)
        stream->worker = std::thread(stream_main, stream);
    std::lock_guard<std::mutex> hold(living);
    streams.insert(stream);
    return stream;
}

/* Returns the number of the work. */
static uint64_t enqueue(cu_stream_s *stream, std::function<int()> work) {
    if (!stream->worker.joinable()) {
        run(stream->card, work);
        return ++stream->done;
    }
    std::lock_guard<std::mutex> hold(stream->lock);
    stream->queue.push_back(std::move(work));
    stream->submitted++;
    if (the_system.how == mode::ASYNC)
        stream->demanded = stream->submitted;
    stream->changed.notify_all();
    return stream->submitted;
}

void stream_enqueue(cu_stream_s *stream, std::function<int()> work) {
    card *card = stream->card;
    enqueue(stream, [card, work = std::move(work)] {
        return card_error(card) ? 0 : work();
    });
}

static void demand(cu_stream_s *stream, uint64_t number) {
    std::lock_guard<std::mutex> hold(stream->lock);
    if (stream->demanded < number)
        stream->demanded = number;
    stream->changed.notify_all();
}

void stream_wait(cu_stream_s *stream) {
    std::unique_lock<std::mutex> hold(stream->lock);
    uint64_t last = stream->submitted;
    if (stream->demanded < last)
        stream->demanded = last;
    stream->changed.notify_all();
    stream->changed.wait(hold, [=] { return stream->done >= last; });
}

void stream_destroy(cu_stream_s *stream) {
    stream_wait(stream);
    {
        std::lock_guard<std::mutex> hold(living);
        streams.erase(stream);
    }
    {
        std::lock_guard<std::mutex> hold(stream->lock);
        stream->stop = true;
        stream->changed.notify_all();
    }
    if (stream->worker.joinable())
        stream->worker.join();
    delete stream;
}

static double now_ms() {
    auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double, std::milli>(now).count();
}

std::shared_ptr<event_record> stream_record(cu_stream_s *stream) {
    auto record = std::make_shared<event_record>();
    record->stream = stream;
    record->number = enqueue(stream, [record] {
        std::lock_guard<std::mutex> hold(records);
        record->done = true;
        record->ms = now_ms();
        recorded.notify_all();
        return 0;
    });
    return record;
}

void record_wait(const std::shared_ptr<event_record> &record) {
    std::unique_lock<std::mutex> hold(records);
    if (record->done)
        return;
    hold.unlock();
    {
        std::lock_guard<std::mutex> still(living);
        if (streams.count(record->stream))
            demand(record->stream, record->number);
    }
    hold.lock();
    recorded.wait(hold, [&] { return record->done; });
}

void stream_wait_for(cu_stream_s *stream,
                     std::shared_ptr<event_record> record) {
    enqueue(stream, [record] {
        record_wait(record);
        return 0;
    });
}

bool record_time(const std::shared_ptr<event_record> &record, double *ms) {
    std::lock_guard<std::mutex> hold(records);
    *ms = record->ms;
    return record->done;
}
