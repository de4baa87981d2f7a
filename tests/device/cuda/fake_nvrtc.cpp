/* fake_nvrtc.cpp - libnvrtc without a compiler: the "machine code" of a program
 * is its name and options, and fake_modules.cpp knows its kernels. It refuses
 * what NVRTC would of what we could get wrong: no text, an #error that no
 * condition keeps out, options that it does not know. See fake_cuda.h. */

#include <atomic>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <set>
#include <sstream>
#include <string>

#include "device/cuda/fake_cuda.h"

enum {
    NVRTC_INVALID_INPUT = 3,
    NVRTC_INVALID_PROGRAM = 4,
    NVRTC_INVALID_OPTION = 5,
    NVRTC_COMPILATION = 6,
};

struct nvrtc_program_s {
    std::string name, source, log, image;
};
typedef nvrtc_program_s *nvrtc_program;

static std::mutex lock;
static std::set<nvrtc_program> programs;
static std::atomic<uint64_t> compiled;
static std::atomic<int> version{FAKE_MAJOR * 1000 +
                                (FAKE_MAJOR == 12 ? 90 : 0)};
static const int ARCHS[] = {75, 80, 86, 87, 89, 90, 100, 120};
enum { ARCHS_COUNT = sizeof ARCHS / sizeof *ARCHS };

EXPORT void fake_nvrtc_set(int new_version) {
    version = new_version ? new_version
                          : FAKE_MAJOR * 1000 + (FAKE_MAJOR == 12 ? 90 : 0);
}

EXPORT uint64_t fake_nvrtc_compiled(void) {
    return compiled;
}

EXPORT int nvrtcVersion(int *major, int *minor) {
    *major = version / 1000;
    *minor = version % 1000 / 10;
    return 0;
}

EXPORT const char *nvrtcGetErrorString(int result) {
    switch (result) {
    case 0:
        return "NVRTC_SUCCESS";
    case NVRTC_INVALID_INPUT:
        return "NVRTC_ERROR_INVALID_INPUT";
    case NVRTC_INVALID_PROGRAM:
        return "NVRTC_ERROR_INVALID_PROGRAM";
    case NVRTC_INVALID_OPTION:
        return "NVRTC_ERROR_INVALID_OPTION";
    case NVRTC_COMPILATION:
        return "NVRTC_ERROR_COMPILATION";
    default:
        return "NVRTC_ERROR unknown";
    }
}

EXPORT int nvrtcGetNumSupportedArchs(int *count) {
    *count = ARCHS_COUNT;
    return 0;
}

EXPORT int nvrtcGetSupportedArchs(int *archs) {
    memcpy(archs, ARCHS, sizeof ARCHS);
    return 0;
}

static bool is_program(nvrtc_program program) {
    std::lock_guard<std::mutex> hold(lock);
    return programs.count(program) != 0;
}

/* "rows.cu" to "rows". */
EXPORT int nvrtcCreateProgram(nvrtc_program *program, const char *source,
                              const char *name, int headers_count,
                              const char *const *headers,
                              const char *const *header_names) {
    if (!program || !source || headers_count || headers || header_names)
        return NVRTC_INVALID_INPUT;
    nvrtc_program made = new nvrtc_program_s;
    made->source = source;
    made->name = name ? name : "default_program";
    made->name = made->name.substr(made->name.rfind('/') + 1);
    made->name = made->name.substr(0, made->name.find('.'));
    std::lock_guard<std::mutex> hold(lock);
    programs.insert(made);
    *program = made;
    return 0;
}

EXPORT int nvrtcDestroyProgram(nvrtc_program *program) {
    std::lock_guard<std::mutex> hold(lock);
    if (!program || !programs.erase(*program))
        return NVRTC_INVALID_PROGRAM;
    delete *program;
    *program = nullptr;
    return 0;
}

static bool arch_known(const std::string &text) {
    for (int arch : ARCHS)
        if (text == "sm_" + std::to_string(arch) ||
            (arch >= 90 && text == "sm_" + std::to_string(arch) + "a"))
            return true;
    return false;
}

static bool option_known(const std::string &option, std::string *arch) {
    const std::string gpu = "--gpu-architecture=";
    if (option.compare(0, gpu.size(), gpu) == 0) {
        *arch = option.substr(gpu.size());
        return arch_known(*arch);
    }
    return option == "--std=c++17" || option.compare(0, 7, "--fmad=") == 0 ||
           option.compare(0, 15, "--ptxas-options") == 0 ||
           option.compare(0, 2, "-D") == 0;
}

/* The line of the first #error outside of all conditions, 0: none. */
static int error_line(const std::string &source) {
    std::istringstream in(source);
    std::string line;
    int depth = 0;
    for (int number = 1; std::getline(in, line); number++) {
        if (line.compare(0, 3, "#if") == 0)
            depth++;
        else if (line.compare(0, 6, "#endif") == 0)
            depth--;
        else if (line.compare(0, 6, "#error") == 0 && depth == 0)
            return number;
    }
    return 0;
}

static int refuse(nvrtc_program program, const std::string &why) {
    program->log = program->name + ".cu" + why + "\n";
    return NVRTC_COMPILATION;
}

EXPORT int nvrtcCompileProgram(nvrtc_program program, int options_count,
                               const char *const *options) {
    if (!is_program(program))
        return NVRTC_INVALID_PROGRAM;
    std::string image = "ensembed-emulated\n" + program->name + "\n", arch;
    bool bf16 = false;
    compiled++;
    for (int i = 0; i < options_count; i++) {
        if (!option_known(options[i], &arch)) {
            program->log = std::string("nvrtc: error: invalid value for or "
                                       "unknown option ") +
                           options[i] + "\n";
            return NVRTC_INVALID_OPTION;
        }
        bf16 |= strcmp(options[i], "-DNARROW=2") == 0;
        image += std::string(options[i]) + "\n";
    }
    int line = error_line(program->source);
    if (line)
        return refuse(program, "(" + std::to_string(line) +
                                   "): catastrophic error: #error directive");
    if (program->source.find("__global__") == std::string::npos)
        return refuse(program, "(1): error: there is no kernel in it");
    if (program->name == "fp8" && arch < "sm_89" && arch.size() == 5)
        return refuse(program, "(5): error: e4m3 needs sm_89");
    if (bf16 && arch == "sm_75")
        return refuse(program, "(9): error: bf16 needs sm_80");
    program->image = image;
    return 0;
}

EXPORT int nvrtcGetProgramLogSize(nvrtc_program program, size_t *bytes) {
    if (!is_program(program))
        return NVRTC_INVALID_PROGRAM;
    *bytes = program->log.size() + 1;
    return 0;
}

EXPORT int nvrtcGetProgramLog(nvrtc_program program, char *log) {
    if (!is_program(program))
        return NVRTC_INVALID_PROGRAM;
    memcpy(log, program->log.c_str(), program->log.size() + 1);
    return 0;
}

EXPORT int nvrtcGetCUBINSize(nvrtc_program program, size_t *bytes) {
    if (!is_program(program) || program->image.empty())
        return NVRTC_INVALID_PROGRAM;
    *bytes = program->image.size() + 1;
    return 0;
}

EXPORT int nvrtcGetCUBIN(nvrtc_program program, char *image) {
    if (!is_program(program) || program->image.empty())
        return NVRTC_INVALID_PROGRAM;
    memcpy(image, program->image.c_str(), program->image.size() + 1);
    return 0;
}
