/* fake_card.cpp - the memory and the script of fake cards; see fake_card.h. */

#include "device/cuda/fake_card.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <sys/mman.h>

std::mutex everything;
system_state the_system;

/* ---- memory ---- */

enum { PAGE = 4096, FILL_MAX = 64 << 20 };

uint64_t card_free(const card *card) {
    uint64_t gone = card->used + card->taken;
    return gone < card->memory ? card->memory - gone : 0;
}

void card_used(card *card, uint64_t more) {
    card->used += more;
    card->counters.bytes_used_peak =
        std::max(card->counters.bytes_used_peak, card->used);
}

/* WANTED: where, if nothing lies there; nullptr: anywhere. */
static unsigned char *pages(size_t bytes, int protection, void *wanted) {
    void *memory = mmap(wanted, bytes, protection,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? nullptr
                                : static_cast<unsigned char *>(memory);
}

static bool has_small_half(const unsigned char *address, size_t bytes) {
    uint64_t begin = (uintptr_t)address, end = begin + bytes - 1;
    return begin >> 32 != end >> 32 || (uint32_t)begin < LOWER_HALF_LEAST;
}

/* Where the system would put them, or else further and further below: what it
 * gives next lies beside the last. What cannot be had is tried only so often.
 */
static unsigned char *address_pages(size_t bytes) {
    std::vector<unsigned char *> unfit;
    unsigned char *address = pages(bytes, PROT_NONE, nullptr);
    uintptr_t wanted = (uintptr_t)address;
    while (address && has_small_half(address, bytes) && unfit.size() < 8) {
        unfit.push_back(address);
        wanted -= bytes + LOWER_HALF_LEAST;
        address = pages(bytes, PROT_NONE, (void *)wanted);
    }
    for (unsigned char *other : unfit)
        munmap(other, bytes);
    return address;
}

static size_t up(size_t bytes, size_t multiple) {
    return (bytes + multiple - 1) / multiple * multiple;
}

/* Pages that cannot be touched lie before and behind the bytes as well. */
static bool block_map(block *b, size_t bytes) {
    b->bytes = bytes;
    b->mapped = up(bytes, PAGE) + 2 * PAGE;
    b->address = address_pages(b->mapped);
    b->memory = pages(b->mapped, PROT_NONE, nullptr);
    if (!b->address || !b->memory ||
        mprotect(b->memory + PAGE, b->mapped - 2 * PAGE,
                 PROT_READ | PROT_WRITE) != 0)
        return false;
    b->address += PAGE;
    b->memory += PAGE;
    memset(b->memory, 0xff, std::min(bytes, (size_t)FILL_MAX));
    return true;
}

static void block_unmap(const block *b) {
    munmap(b->address - PAGE, b->mapped);
    munmap(b->memory - PAGE, b->mapped);
}

int card_alloc(card *card, size_t bytes, unsigned char **address) {
    card_happens(card, true, ++card->counters.allocs);
    if (card->error)
        return card->error;
    block b = {};
    b.counted = up(bytes, card->granularity);
    if (card->refusals) {
        card->refusals--;
        return CU_OUT_OF_MEMORY;
    }
    if (b.counted > card_free(card) || !block_map(&b, bytes))
        return CU_OUT_OF_MEMORY;
    card->blocks[(uintptr_t)b.address] = b;
    card_used(card, b.counted);
    card->counters.blocks++;
    card->counters.bytes_live += bytes;
    card->counters.bytes_peak =
        std::max(card->counters.bytes_peak, card->counters.bytes_live);
    *address = b.address;
    return 0;
}

bool card_release(card *card, uintptr_t address) {
    auto found = card->blocks.find(address);
    if (found == card->blocks.end())
        return false;
    card->used -= found->second.counted;
    card->counters.blocks--;
    card->counters.bytes_live -= found->second.bytes;
    block_unmap(&found->second);
    card->blocks.erase(found);
    return true;
}

const block *card_find(const card *card, uintptr_t address, size_t bytes) {
    auto next = card->blocks.upper_bound(address);
    if (next == card->blocks.begin())
        return nullptr;
    const block *b = &std::prev(next)->second;
    size_t at = address - (uintptr_t)b->address;
    return at < b->bytes && bytes <= b->bytes - at ? b : nullptr;
}

/* ---- what happens ---- */

static void act(card *card, const action *a) {
    switch (a->what) {
    case happens::TAKE:
        card->taken += std::min(a->value, card_free(card));
        break;
    case happens::GIVE:
        card->taken -= std::min(a->value, card->taken);
        break;
    case happens::REFUSE:
        card->refusals += a->value;
        break;
    case happens::LOST:
        card->error = (int)a->value;
        break;
    case happens::DELAY:
        card->delay_ms = a->value;
        break;
    }
}

void card_happens(card *card, bool at_alloc, uint64_t count) {
    for (const action &a : card->actions)
        if (a.at_alloc == at_alloc && a.at == count)
            act(card, &a);
}

/* ---- the script ---- */

typedef std::map<std::string, std::string> words;

static bool number(const std::string &text, uint64_t *value) {
    char *end;
    *value = strtoull(text.c_str(), &end, 10);
    const char *sizes = "KMG", *size = *end ? strchr(sizes, *end) : nullptr;
    if (size) {
        *value <<= 10 * (size - sizes + 1);
        end++;
    }
    return !text.empty() && !*end;
}

/* True where the line has no such word, or a number there, which is taken out
 * of it. */
static bool take(words *line, const char *key, uint64_t *value) {
    auto found = line->find(key);
    if (found == line->end())
        return true;
    bool fine = number(found->second, value);
    if (fine)
        line->erase(found);
    return fine;
}

static bool read_card(words *line, card *card) {
    uint64_t many = (uint64_t)card->multiprocessors;
    auto name = line->find("name");
    if (name != line->end()) {
        card->name = name->second;
        std::replace(card->name.begin(), card->name.end(), '_', ' ');
        line->erase(name);
    }
    auto capability = line->find("capability");
    if (capability != line->end()) {
        int major = 0, minor = 0;
        if (sscanf(capability->second.c_str(), "%d.%d", &major, &minor) != 2)
            return false;
        card->capability = major * 10 + minor;
        line->erase(capability);
    }
    bool fine = take(line, "memory", &card->memory) &&
                take(line, "context", &card->context) &&
                take(line, "module", &card->module) &&
                take(line, "granularity", &card->granularity) &&
                take(line, "fp8", &card->fp8) &&
                take(line, "closed", &card->closed) &&
                take(line, "multiprocessors", &many) && line->empty();
    card->multiprocessors = (int)many;
    return fine && card->granularity;
}

static bool read_action(words *line, system_state *system) {
    static const char *const NAMES[] = {"take", "give", "refuse", "lost",
                                        "delay"};
    uint64_t card = UINT64_MAX, at = 0;
    action a = {};
    a.at_alloc = line->count("alloc") != 0;
    if (!take(line, "card", &card) ||
        !take(line, a.at_alloc ? "alloc" : "launch", &at) ||
        card >= system->cards.size() || !at || line->size() != 1)
        return false;
    a.at = at;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (line->count(NAMES[i])) {
            a.what = (happens)i;
            system->cards[card].actions.push_back(a);
            return take(line, NAMES[i],
                        &system->cards[card].actions.back().value);
        }
    return false;
}

static bool read_line(const std::string &text, system_state *system) {
    std::istringstream in(text);
    std::string what, word;
    in >> what;
    if (what.empty() || what[0] == '#')
        return true;
    if (what == "driver" || what == "mode") {
        in >> word;
        uint64_t version = 0;
        if (what == "driver" && number(word, &version))
            system->driver = (int)version;
        else if (what == "mode" &&
                 (word == "async" || word == "lazy" || word == "sync"))
            system->how = word == "async"  ? mode::ASYNC
                          : word == "lazy" ? mode::LAZY
                                           : mode::SYNC;
        else
            return false;
        return !(in >> word);
    }
    words line;
    while (in >> word) {
        size_t equals = word.find('=');
        if (equals == std::string::npos)
            return false;
        line[word.substr(0, equals)] = word.substr(equals + 1);
    }
    if (what == "at")
        return read_action(&line, system);
    if (what != "card")
        return false;
    system->cards.emplace_back();
    system->cards.back().ordinal = (int)system->cards.size() - 1;
    return read_card(&line, &system->cards.back());
}

const char *script_read(const char *text, system_state *system) {
    static thread_local char wrong[256];
    std::istringstream in(text);
    std::string line;
    while (std::getline(in, line))
        if (!read_line(line, system)) {
            snprintf(wrong, sizeof wrong, "not understood: %s", line.c_str());
            return wrong;
        }
    return nullptr;
}
