/* fake_modules.cpp - the kernels of the fake libcuda: an image names a kernel
 * file and its options, and launches run it in the emulator. */

#include "device/cuda/fake_driver.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <sys/mman.h>

#include "device/cuda/emulate_kernels.h"

enum { PAGE_BYTES = 4096, GRID_Y_MOST = 65535 };
static const unsigned SHARED_USUAL = 48 << 10;

struct cu_function_s {
    cu_module module;
    std::string name;
    size_t params_bytes;
    unsigned shared_most;
};

struct cu_module_s {
    struct card *card;
    std::string file;
    emulate_choice choice; /* .file is of the string above */
    std::map<std::string, cu_function_s> functions;
};

static std::set<cu_module> modules;
static std::set<cu_function> functions;

void driver_count_launch(struct card *card) {
    card->counters.launches++;
    card_happens(card, false, card->counters.launches);
}

/* ---- images ---- */

static bool read_option(const std::string &line, unsigned *arch,
                        emulate_choice *choice) {
    static const struct {
        const char *begin;
        unsigned emulate_choice::*field;
    } KNOWN[] = {{"-DNARROW=", &emulate_choice::narrow},
                 {"-DHEAD_DIM=", &emulate_choice::head_dim},
                 {"-DFEATURES=", &emulate_choice::features}};
    for (const auto &known : KNOWN)
        if (line.compare(0, strlen(known.begin), known.begin) == 0) {
            choice->*known.field = (unsigned)strtoul(
                line.c_str() + strlen(known.begin), nullptr, 0);
            return true;
        }
    const char *name = "--gpu-architecture=sm_";
    if (line.compare(0, strlen(name), name) == 0)
        *arch = (unsigned)strtoul(line.c_str() + strlen(name), nullptr, 10);
    return line.compare(0, 2, "-D") != 0;
}

static bool read_image(const char *image, cu_module module, unsigned *arch) {
    std::istringstream in(image);
    std::string line;
    if (!std::getline(in, line) || line != "ensembed-emulated" ||
        !std::getline(in, module->file))
        return false;
    module->choice = {};
    while (std::getline(in, line))
        if (!read_option(line, arch, &module->choice)) {
            fprintf(stderr, "fake driver: the option %s is not known\n",
                    line.c_str());
            return false;
        }
    module->choice.file = module->file.c_str();
    module->choice.arch = *arch < 80 ? 75 : 80;
    return *arch != 0;
}

/* Machine code runs on its own major version from its minor on. */
static bool runs_on(unsigned arch, int capability) {
    return (int)arch / 10 == capability / 10 && (int)arch <= capability;
}

EXPORT cu_result cuModuleLoadData(cu_module *module, const void *image) {
    std::lock_guard<std::mutex> hold(everything);
    card *card = driver_card();
    if (!card)
        return RESULT_INVALID_CONTEXT;
    if (card->error)
        return card->error;
    std::unique_ptr<cu_module_s> made(new cu_module_s);
    unsigned arch = 0;
    made->card = card;
    if (!read_image(static_cast<const char *>(image), made.get(), &arch))
        return RESULT_INVALID_IMAGE;
    if (!runs_on(arch, card->capability))
        return RESULT_NO_BINARY;
    if (card->module > card_free(card))
        return CU_OUT_OF_MEMORY;
    card_used(card, card->module);
    card->counters.modules++;
    *module = made.release();
    modules.insert(*module);
    return 0;
}

EXPORT cu_result cuModuleUnload(cu_module module) {
    std::lock_guard<std::mutex> hold(everything);
    if (!modules.count(module))
        return RESULT_INVALID_HANDLE;
    card *card = module->card;
    if (card != driver_card())
        return RESULT_INVALID_CONTEXT;
    modules.erase(module);
    int result = card->error;
    for (auto &entry : module->functions)
        functions.erase(&entry.second);
    card->used -= card->module < card->used ? card->module : card->used;
    card->counters.modules--;
    delete module;
    return result;
}

EXPORT cu_result cuModuleGetFunction(cu_function *function, cu_module module,
                                     const char *name) {
    std::lock_guard<std::mutex> hold(everything);
    if (!modules.count(module))
        return RESULT_INVALID_HANDLE;
    if (module->card != driver_card())
        return RESULT_INVALID_CONTEXT;
    if (module->card->error)
        return module->card->error;
    size_t bytes = emulate_kernel_bytes(&module->choice, name);
    if (!bytes) {
        fprintf(stderr,
                "fake driver: no kernel %s in %s, NARROW %u, KERNEL_ARCH %u, "
                "HEAD_DIM %u\n",
                name, module->choice.file, module->choice.narrow,
                module->choice.arch, module->choice.head_dim);
        return RESULT_NOT_FOUND;
    }
    cu_function_s *f = &module->functions[name];
    *f = {module, name, bytes, SHARED_USUAL};
    functions.insert(f);
    *function = f;
    return 0;
}

EXPORT cu_result cuFuncSetAttribute(cu_function function, int attribute,
                                    int value) {
    std::lock_guard<std::mutex> hold(everything);
    if (!functions.count(function))
        return RESULT_INVALID_HANDLE;
    card *card = function->module->card;
    if (card != driver_card())
        return RESULT_INVALID_CONTEXT;
    if (card->error)
        return card->error;
    if (attribute != CU_FUNCTION_SHARED_BYTES || value < 0 ||
        (unsigned)value > driver_shared_most(card->capability))
        return RESULT_INVALID_VALUE;
    function->shared_most =
        (unsigned)value > SHARED_USUAL ? (unsigned)value : SHARED_USUAL;
    return 0;
}

/* ---- launches ---- */

/* A launch under way: its kernel's struct with addresses as the program knows
 * them. */
struct launch {
    struct card *card;
    emulate_choice choice;
    std::string file, kernel;
    unsigned grid_x, grid_y, threads, shared_bytes;
    std::vector<uint64_t> params; /* words: a struct with pointers is aligned
                                     so */
    std::vector<bool> is_address;
    size_t bytes;
};

/* A word may also be two numbers: small ones look like addresses where
 * AddressSanitizer keeps its shadow, which ends below LOWEST. */
static bool is_mapped(uint64_t address) {
    const uint64_t LOWEST = 0x100080000000;
    unsigned char there;
    void *page = (void *)(uintptr_t)(address / PAGE_BYTES * PAGE_BYTES);
    return address >> 47 == 0 && address >= LOWEST &&
           mincore(page, 1, &there) == 0;
}

/* Which words are addresses: those inside of a block. It is an error if they
 * are of another card, or the host's. */
static const char *find_addresses(launch *l) {
    for (uint64_t word : l->params) {
        const block *b = card_find(l->card, word, 1);
        bool small = (uint32_t)word < LOWER_HALF_LEAST;
        bool ours = b && (!small || b->bytes >> 31);
        l->is_address.push_back(ours);
        if (ours || small)
            continue;
        for (const card &other : the_system.cards)
            if (card_find(&other, word, 1))
                return "is given memory of another card";
        if (is_mapped(word))
            return "is given the host's memory, or a card's beyond a block";
    }
    return nullptr;
}

static int complain(launch *l, int result, const char *what) {
    char text[800];
    snprintf(text, sizeof text, "kernel %s %s", l->kernel.c_str(), what);
    card_fault(l->card, result, text);
    return 0;
}

static int launch_run(launch *l) {
    uint64_t delay;
    {
        std::lock_guard<std::mutex> hold(everything);
        delay = l->card->delay_ms;
        for (size_t i = 0; i < l->params.size(); i++) {
            const block *b = l->is_address[i]
                                 ? card_find(l->card, l->params[i], 1)
                                 : nullptr;
            if (b)
                l->params[i] = (uintptr_t)b->memory +
                               (l->params[i] - (uintptr_t)b->address);
            else if (l->is_address[i])
                l->bytes = 0;
        }
    }
    if (!l->bytes)
        return complain(l, RESULT_ILLEGAL_ADDRESS,
                        "runs when its memory is freed");
    if (delay)
        std::this_thread::sleep_for(std::chrono::milliseconds(delay));
    l->choice.file = l->file.c_str();
    const char *wrong = emulate_kernel_launch(
        &l->choice, l->kernel.c_str(), l->grid_x, l->grid_y, l->threads,
        l->shared_bytes, l->params.data(), l->bytes);
    return wrong ? complain(l, RESULT_LAUNCH_FAILED, wrong) : 0;
}

EXPORT cu_result cuLaunchKernel(cu_function function, unsigned grid_x,
                                unsigned grid_y, unsigned grid_z,
                                unsigned block_x, unsigned block_y,
                                unsigned block_z, unsigned shared_bytes,
                                cu_stream stream, void **params, void **extra) {
    std::unique_lock<std::mutex> hold(everything);
    card *card = driver_card();
    if (!functions.count(function) || function->module->card != card)
        return card && card->error ? card->error : RESULT_INVALID_HANDLE;
    int result = driver_stream(card, stream);
    if (result || card->error)
        return card->error ? card->error : result;
    if (!grid_x || !grid_y || grid_y > GRID_Y_MOST || grid_z != 1 || !block_x ||
        block_x > EMULATE_THREADS_MAX || block_y != 1 || block_z != 1 ||
        shared_bytes > function->shared_most || extra)
        return RESULT_INVALID_VALUE;
    driver_count_launch(card);
    if (card->error)
        return card->error;
    auto l = std::make_shared<launch>();
    l->card = card;
    l->choice = function->module->choice;
    l->file = function->module->file;
    l->kernel = function->name;
    l->grid_x = grid_x;
    l->grid_y = grid_y;
    l->threads = block_x;
    l->shared_bytes = shared_bytes;
    l->bytes = function->params_bytes;
    l->params.resize((l->bytes + 7) / 8);
    memcpy(l->params.data(), params[0], l->bytes);
    const char *wrong = find_addresses(l.get());
    hold.unlock();
    if (wrong)
        complain(l.get(), RESULT_ILLEGAL_ADDRESS, wrong);
    stream_enqueue(stream, [l] { return launch_run(l.get()); });
    return 0;
}
