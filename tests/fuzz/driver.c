/* driver.c - runs a fuzz target without libFuzzer: each file of the corpus
 * folder once, then N mutations of them from a fixed seed: the same inputs in
 * the same order wherever it runs.
 *
 *     fuzz_X N CORPUS_FOLDER
 */

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEEDS_MAX = 4096, SEED_BYTES_MAX = 1 << 20 };

struct seed {
    uint8_t *data;
    size_t size;
};

static uint64_t state = 0x9E3779B97F4A7C15u;

static size_t below(size_t limit) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return limit ? (size_t)(state % limit) : 0;
}

static size_t load(const char *folder, struct seed seeds[SEEDS_MAX]) {
    struct dirent **entries;
    size_t count = 0;
    int found = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < found; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        bool taken = entries[i]->d_name[0] != '.' && count < SEEDS_MAX;
        FILE *file = taken ? fopen(path, "rb") : NULL;
        free(entries[i]);
        if (!file)
            continue;
        uint8_t *data = malloc(SEED_BYTES_MAX);
        size_t size = data ? fread(data, 1, SEED_BYTES_MAX, file) : 0;
        seeds[count++] = (struct seed){data, size};
        fclose(file);
    }
    if (found >= 0)
        free(entries);
    return count;
}

/* A copy of exactly SIZE bytes, so that reading past it is seen. */
static void run(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

/* Some of OTHER instead of what is there. */
static size_t cross(uint8_t *data, size_t size, size_t at,
                    const struct seed *other) {
    size_t from = below(other->size), most = other->size - from;
    if (most > SEED_BYTES_MAX - at)
        most = SEED_BYTES_MAX - at;
    size_t taken = most ? 1 + below(most) : 0;
    if (taken)
        memcpy(data + at, other->data + from, taken);
    return at + taken > size ? at + taken : size;
}

static size_t mutate(uint8_t *data, size_t size, const struct seed *other) {
    static const uint8_t spice[] = {'"',  '\\', '{',  '}',  '[',  ']',  ',',
                                    ':',  0,    0x7F, 0x80, 0xC0, 0xED, 0xF4,
                                    0xFF, '-',  '0',  '9',  'u',  'e'};
    for (size_t n = 1 + below(6); n > 0 && size > 0; n--) {
        size_t at = below(size);
        switch (below(6)) {
        case 0:
            data[at] ^= (uint8_t)(1u << below(8));
            break;
        case 1:
            data[at] = spice[below(sizeof spice)];
            break;
        case 2:
            size = at;
            break;
        case 3: {
            size_t gone = 1 + below(size - at);
            memmove(data + at, data + at + gone, size - at - gone);
            size -= gone;
            break;
        }
        case 4:
            size = cross(data, size, at, other);
            break;
        default: {
            size_t more = 1 + below(size - at);
            if (size + more > SEED_BYTES_MAX)
                break;
            memmove(data + at + more, data + at, size - at);
            size += more;
        }
        }
    }
    return size;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: %s RUNS CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    static struct seed seeds[SEEDS_MAX];
    size_t count = load(argv[2], seeds);
    if (!count) {
        fprintf(stderr, "%s: no corpus in %s\n", argv[0], argv[2]);
        return 1;
    }
    for (size_t i = 0; i < count; i++)
        run(seeds[i].data, seeds[i].size);
    uint8_t *work = malloc(SEED_BYTES_MAX);
    size_t runs = strtoul(argv[1], NULL, 10);
    for (size_t i = 0; work && i < runs; i++) {
        struct seed *seed = &seeds[below(count)];
        memcpy(work, seed->data, seed->size);
        run(work, mutate(work, seed->size, &seeds[below(count)]));
    }
    printf("%zu seeds and %zu mutations, no crash\n", count, runs);
    free(work);
    for (size_t i = 0; i < count; i++)
        free(seeds[i].data);
    return 0;
}
