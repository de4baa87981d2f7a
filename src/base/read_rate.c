#include "base/read_rate.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/doubles.h"

enum { LINE = 64, GRAIN_LINES = 16384 };

typedef uint64_t word2 __attribute__((vector_size(16)));

struct reading {
    const char *data;
    _Atomic uint64_t sum;
};

/* Four sums, so that no addition waits for the one before. */
static void read_lines(void *context, size_t begin, size_t end,
                       unsigned thread) {
    struct reading *reading = context;
    word2 sums[4] = {0};
    (void)thread;
    for (const char *at = reading->data + begin * LINE,
                    *stop = reading->data + end * LINE;
         at < stop; at += LINE)
        for (size_t i = 0; i < 4; i++) {
            word2 words;
            memcpy(&words, at + i * sizeof words, sizeof words);
            sums[i] += words;
        }
    word2 all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    reading->sum += all[0] + all[1];
}

void read_rate_measure(struct pool *pool, const void *data, size_t bytes,
                       int rounds, struct read_rate *rate) {
    assert(rounds >= 1 && rounds <= READ_ROUNDS_MOST);
    double rates[READ_ROUNDS_MOST];
    struct reading reading = {.data = data};
    size_t lines = bytes / LINE;
    for (int i = -1; i < rounds; i++) {
        int64_t begin = clock_now_ns();
        reading.sum = 0;
        pool_each(pool, lines, GRAIN_LINES, read_lines, &reading);
        double seconds = (double)(clock_now_ns() - begin) / 1e9;
        if (i >= 0)
            rates[i] = seconds > 0 ? (double)(lines * LINE) / seconds : 0;
    }
    doubles_sort(rates, (size_t)rounds);
    *rate = (struct read_rate){.best = rates[rounds - 1],
                               .median = rates[rounds / 2],
                               .sum = reading.sum};
}
