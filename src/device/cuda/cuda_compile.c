#include "device/cuda/cuda_compile.h"

#include <stdio.h>
#include <string.h>

#include "device/cuda/cuda_cache.h"

enum { CAPABILITY_MIN = 75, ARCHS_MAX = 128, NAME_MAX_BYTES = 96 };

/* Raise it when what is below changes what comes of the same text. */
static const char CACHE_VERSION[] = "ensembed kernels 1";

static const char *const common_options[] = {"--std=c++17", "--fmad=true"};
enum { COMMON = sizeof common_options / sizeof *common_options };

/* Kernels use what only this very card has on 9.0 (wgmma): "sm_90a". */
static void arch_text(unsigned arch, char text[16]) {
    snprintf(text, 16, "sm_%u%s", arch, arch == 90 ? "a" : "");
}

static bool known_archs(const struct cuda_nvrtc *nvrtc, int archs[ARCHS_MAX],
                        int *count) {
    return nvrtc->nvrtcGetNumSupportedArchs(count) == 0 && *count >= 0 &&
           *count <= ARCHS_MAX && nvrtc->nvrtcGetSupportedArchs(archs) == 0;
}

bool cuda_compile_arch(const struct cuda_library *library, int major, int minor,
                       unsigned *arch, struct error *err) {
    const struct cuda_found *found = &library->found[CUDA_FOUND_NVRTC];
    int archs[ARCHS_MAX], count = 0, best = 0;
    int card = 10 * major + minor;
    if (card < CAPABILITY_MIN)
        return error_set(err, ERROR_USAGE,
                         "cuda: a card of compute capability %d.%d is too old: "
                         "7.5 is the least; use --device cpu",
                         major, minor);
    if (!known_archs(&library->nvrtc, archs, &count))
        return error_set(err, ERROR_DEVICE,
                         "cuda: %s does not tell which cards it compiles for",
                         found->path);
    for (int i = 0; i < count; i++)
        if (archs[i] / 10 == major && archs[i] <= card && archs[i] > best)
            best = archs[i];
    if (!best)
        return error_set(
            err, ERROR_USAGE,
            "cuda: NVRTC %d.%d (%s) does not compile for a card "
            "of compute capability %d.%d; install a newer one "
            "with `%s`",
            found->major, found->minor, found->path, major, minor,
            cuda_install_advice(library->found[CUDA_FOUND_DRIVER].major));
    *arch = (unsigned)best;
    return true;
}

static void add_text(struct sha256 *sha, const char *text) {
    sha256_add(sha, text, strlen(text) + 1);
}

static bool set_key(const struct cuda_library *library,
                    const struct cuda_source *source, const char *text,
                    struct cuda_key *key) {
    const struct cuda_found *found = &library->found[CUDA_FOUND_NVRTC];
    char version[64];
    struct sha256 *sha = sha256_begin();
    if (!sha)
        return false;
    snprintf(version, sizeof version, "NVRTC %d.%d sm_%u", found->major,
             found->minor, source->arch);
    add_text(sha, CACHE_VERSION);
    add_text(sha, version);
    for (size_t i = 0; i < COMMON; i++)
        add_text(sha, common_options[i]);
    for (size_t i = 0; i < source->options_count; i++)
        add_text(sha, source->options[i]);
    add_text(sha, text);
    sha256_end(sha, key->digest);
    return true;
}

/* What NVRTC said, appended to LOG. */
static void add_log(const struct cuda_nvrtc *nvrtc, nvrtc_program program,
                    struct strbuf *log) {
    size_t bytes = 0;
    if (nvrtc->nvrtcGetProgramLogSize(program, &bytes) != 0 || bytes < 2 ||
        !strbuf_reserve(log, bytes))
        return;
    char *at = log->data + log->size;
    if (nvrtc->nvrtcGetProgramLog(program, at) != 0)
        return;
    at[bytes - 1] = '\0';
    log->size += strlen(at);
}

static bool run_nvrtc(const struct cuda_library *library,
                      const struct cuda_source *source, nvrtc_program program,
                      struct strbuf *log, struct error *err) {
    const struct cuda_found *found = &library->found[CUDA_FOUND_NVRTC];
    char arch[16], option[48];
    const char *options[COMMON + CUDA_OPTIONS_MAX + 1];
    size_t count = 0;
    arch_text(source->arch, arch);
    snprintf(option, sizeof option, "--gpu-architecture=%s", arch);
    options[count++] = option;
    for (size_t i = 0; i < COMMON; i++)
        options[count++] = common_options[i];
    for (size_t i = 0; i < source->options_count; i++)
        options[count++] = source->options[i];
    int result =
        library->nvrtc.nvrtcCompileProgram(program, (int)count, options);
    size_t begin = log->size;
    char words[500] = "";
    add_log(&library->nvrtc, program, log);
    if (result == 0)
        return true;
    if (log->size > begin)
        snprintf(words, sizeof words, "%s", log->data + begin);
    for (char *c = words; *c; c++)
        *c = *c == '\n' ? ' ' : *c;
    return error_set(err, ERROR_DEVICE,
                     "cuda: kernels/%s.cu does not compile for %s under NVRTC "
                     "%d.%d (%s); this is a mistake in ensembed, please report "
                     "it: %s",
                     source->name, arch, found->major, found->minor,
                     library->nvrtc.nvrtcGetErrorString(result), words);
}

static bool take_image(const struct cuda_nvrtc *nvrtc, nvrtc_program program,
                       struct memory *memory, struct cuda_image *image,
                       struct error *err) {
    if (nvrtc->nvrtcGetCUBINSize(program, &image->bytes) != 0 || !image->bytes)
        return error_set(err, ERROR_DEVICE,
                         "cuda: NVRTC gave no machine code for a kernel that "
                         "it compiled");
    image->data = memory_alloc(memory, image->bytes, 1, err);
    if (!image->data)
        return false;
    if (nvrtc->nvrtcGetCUBIN(program, image->data) == 0)
        return true;
    cuda_image_free(memory, image);
    return error_set(err, ERROR_DEVICE,
                     "cuda: NVRTC does not hand out the machine code of a "
                     "kernel that it compiled");
}

bool cuda_compile_logged(const struct cuda_library *library,
                         const struct cuda_source *source, const char *text,
                         struct memory *memory, struct cuda_image *image,
                         struct strbuf *log, struct error *err) {
    const struct cuda_nvrtc *nvrtc = &library->nvrtc;
    nvrtc_program program = NULL;
    char name[NAME_MAX_BYTES];
    *image = (struct cuda_image){0};
    text = text ? text : cuda_kernel_text(source->name);
    if (!text || source->options_count > CUDA_OPTIONS_MAX)
        return error_set(err, ERROR_DEVICE,
                         "cuda: there is no kernel file %s in this program",
                         source->name);
    snprintf(name, sizeof name, "%s.cu", source->name);
    int result = nvrtc->nvrtcCreateProgram(&program, text, name, 0, NULL, NULL);
    if (result != 0)
        return error_set(err, ERROR_DEVICE,
                         "cuda: NVRTC does not take kernels/%s: %s", name,
                         nvrtc->nvrtcGetErrorString(result));
    bool fine = run_nvrtc(library, source, program, log, err) &&
                take_image(nvrtc, program, memory, image, err);
    nvrtc->nvrtcDestroyProgram(&program);
    return fine;
}

bool cuda_compile(const struct cuda_library *library,
                  const struct cuda_source *source, const char *cache_folder,
                  struct memory *memory, struct cuda_image *image,
                  struct error *err) {
    const char *text = cuda_kernel_text(source->name);
    struct cuda_key key;
    char name[NAME_MAX_BYTES];
    bool keep = cache_folder && text && set_key(library, source, text, &key);
    *image = (struct cuda_image){0};
    snprintf(name, sizeof name, "%s-sm_%u", source->name, source->arch);
    if (keep && cuda_cache_read(cache_folder, name, &key, memory, &image->data,
                                &image->bytes)) {
        image->from_cache = true;
        return true;
    }
    struct strbuf log = strbuf_make(memory);
    bool fine =
        cuda_compile_logged(library, source, text, memory, image, &log, err);
    if (fine && keep)
        cuda_cache_write(cache_folder, name, &key, image->data, image->bytes);
    strbuf_free(&log);
    return fine;
}

void cuda_image_free(struct memory *memory, struct cuda_image *image) {
    memory_free(memory, image->data);
    *image = (struct cuda_image){0};
}
