/* Compiling and keeping kernels, with an NVRTC whose machine code is its
 * options and its text. */

#include "device/fixture.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "device/cuda/cuda_compile.h"

static const char *kernel_text = "the text";
const char *__wrap_cuda_kernel_text(const char *name);
const char *__wrap_cuda_kernel_text(const char *name) {
    return strcmp(name, "rows") == 0 ? kernel_text : NULL;
}

/* ---- an NVRTC ----------------------------------------------------------- */

struct nvrtc_program_s {
    char image[4096];
    bool fails;
};
static _Atomic int compiled, programs;
static bool fails, gives_nothing;
static int archs[] = {50, 75, 80, 86, 89, 90, 100, 103, 120};

static const char *error_string(int result) {
    return result == 6 ? "NVRTC_ERROR_COMPILATION" : "?";
}

static int archs_count(int *count) {
    *count = sizeof archs / sizeof *archs;
    return 0;
}

static int archs_list(int *list) {
    memcpy(list, archs, sizeof archs);
    return 0;
}

static int create(nvrtc_program *program, const char *source, const char *name,
                  int headers_count, const char *const *headers,
                  const char *const *header_names) {
    assert_int_equal(headers_count, 0);
    assert_null(headers);
    assert_null(header_names);
    *program = calloc(1, sizeof **program);
    programs++;
    snprintf((*program)->image, sizeof(*program)->image, "%s\n%s\n", name,
             source);
    return 0;
}

static int compile(nvrtc_program program, int count,
                   const char *const *options) {
    compiled++;
    for (int i = 0; i < count; i++) {
        strcat(program->image, options[i]);
        strcat(program->image, "\n");
    }
    program->fails = fails;
    return fails ? 6 : 0;
}

static const char *log_of(nvrtc_program program) {
    return program->fails ? "rows.cu(7): error: expected a ;\nand so on\n" : "";
}

static int log_size(nvrtc_program program, size_t *bytes) {
    *bytes = strlen(log_of(program)) + 1;
    return 0;
}

static int get_log(nvrtc_program program, char *log) {
    strcpy(log, log_of(program));
    return 0;
}

static int cubin_size(nvrtc_program program, size_t *bytes) {
    *bytes = gives_nothing ? 0 : strlen(program->image);
    return 0;
}

static int cubin(nvrtc_program program, char *image) {
    memcpy(image, program->image, strlen(program->image));
    return 0;
}

static int destroy(nvrtc_program *program) {
    free(*program);
    programs--;
    *program = NULL;
    return 0;
}

static struct cuda_library library;

static const struct cuda_source rows75 = {
    .name = "rows", .arch = 75, .options = {"-DNARROW=1"}, .options_count = 1};

static char folder[32];

static int setup(void **state) {
    (void)state;
    library = (struct cuda_library){
        .nvrtc = {.nvrtcGetErrorString = error_string,
                  .nvrtcGetNumSupportedArchs = archs_count,
                  .nvrtcGetSupportedArchs = archs_list,
                  .nvrtcCreateProgram = create,
                  .nvrtcCompileProgram = compile,
                  .nvrtcGetProgramLogSize = log_size,
                  .nvrtcGetProgramLog = get_log,
                  .nvrtcGetCUBINSize = cubin_size,
                  .nvrtcGetCUBIN = cubin,
                  .nvrtcDestroyProgram = destroy},
        .found = {{.major = 12, .minor = 8},
                  {.path = "/lib/libnvrtc.so.12", .major = 12, .minor = 9}}};
    kernel_text = "the text";
    fails = gives_nothing = false;
    compiled = 0;
    strcpy(folder, "/tmp/ensembed-cubin-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return 0;
}

static int teardown(void **state) {
    (void)state;
    assert_int_equal(programs, 0);
    assert_true(folder_remove(folder, NULL));
    return 0;
}

/* Compiles or reads; returns whether it was read. */
static bool get(const struct cuda_source *source, const char *cache) {
    struct memory memory = {0};
    struct error err = {0};
    struct cuda_image image;
    char wanted[4096];
    if (!cuda_compile(&library, source, cache, &memory, &image, &err))
        fail_msg("%s", err.message);
    snprintf(wanted, sizeof wanted,
             "rows.cu\n%s\n--gpu-architecture=sm_%u%s\n--std=c++17\n"
             "--fmad=true\n%s\n",
             kernel_text, source->arch, source->arch == 90 ? "a" : "",
             source->options[0]);
    assert_int_equal(image.bytes, strlen(wanted));
    assert_memory_equal(image.data, wanted, image.bytes);
    bool from_cache = image.from_cache;
    cuda_image_free(&memory, &image);
    assert_int_equal(memory_live(&memory), 0);
    return from_cache;
}

/* The one file in the folder. */
static void only_file(char path[PATH_MAX]) {
    DIR *dir = opendir(folder);
    size_t count = 0;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.') {
            snprintf(path, PATH_MAX, "%s/%s", folder, entry->d_name);
            count++;
        }
    closedir(dir);
    assert_int_equal(count, 1);
}

/* ---- tests -------------------------------------------------------------- */

static void compiles_once(void **state) {
    (void)state;
    char below[PATH_MAX];
    snprintf(below, sizeof below, "%s/not/there/yet", folder);
    assert_false(get(&rows75, below));
    assert_true(get(&rows75, below));
    assert_int_equal(compiled, 1);
    assert_false(get(&rows75, NULL));
    assert_false(get(&rows75, NULL));
}

/* Each thing that the machine code depends on gives another file. */
static void everything_is_in_the_key(void **state) {
    (void)state;
    struct cuda_source source = rows75;
    assert_false(get(&source, folder));
    source.options[0] = "-DNARROW=2";
    assert_false(get(&source, folder));
    source.arch = 90;
    assert_false(get(&source, folder));
    kernel_text = "the texT";
    assert_false(get(&source, folder));
    library.found[CUDA_FOUND_NVRTC].minor = 8;
    assert_false(get(&source, folder));
    library.found[CUDA_FOUND_NVRTC].major = 13;
    assert_false(get(&source, folder));
    assert_true(get(&source, folder));
    assert_int_equal(compiled, 6);
    library.found[CUDA_FOUND_NVRTC].major = 12;
    library.found[CUDA_FOUND_NVRTC].minor = 9;
    kernel_text = "the text";
    assert_true(get(&rows75, folder));
}

/* A file with any byte changed, or cut anywhere, is made again. */
static void distrusts_files(void **state) {
    (void)state;
    char path[PATH_MAX] = "";
    assert_false(get(&rows75, folder));
    only_file(path);
    struct memory memory = {0};
    struct strbuf whole = strbuf_make(&memory);
    assert_true(file_read(path, 1 << 20, &whole, NULL));
    for (size_t i = 0; i < whole.size; i++) {
        whole.data[i] ^= 1;
        assert_true(file_write(path, strbuf_str(&whole), &memory, NULL));
        whole.data[i] ^= 1;
        assert_false(get(&rows75, folder));
        assert_true(get(&rows75, folder));
        struct str cut = {whole.data, i};
        assert_true(file_write(path, cut, &memory, NULL));
        assert_false(get(&rows75, folder));
    }
    strbuf_free(&whole);
}

/* The file of one source under the name of another. */
static void distrusts_names(void **state) {
    (void)state;
    char first[PATH_MAX] = "", kept[PATH_MAX], second[PATH_MAX] = "";
    struct cuda_source other = rows75;
    other.options[0] = "-DNARROW=2";
    struct memory memory = {0};
    snprintf(kept, sizeof kept, "%s/.kept", folder);
    assert_false(get(&rows75, folder));
    only_file(first);
    assert_true(file_rename(first, kept, NULL));
    assert_false(get(&other, folder));
    only_file(second);
    assert_true(file_copy(kept, second, &memory, NULL));
    assert_false(get(&other, folder));
    assert_true(get(&other, folder));
}

static void does_without_a_folder(void **state) {
    (void)state;
    char path[PATH_MAX];
    struct memory memory = {0};
    snprintf(path, sizeof path, "%s/file", folder);
    assert_true(file_write(path, STR("x"), &memory, NULL));
    assert_false(get(&rows75, path)); /* a file where a folder should be */
    assert_false(get(&rows75, path));
    assert_false(get(&rows75, "/proc/no/such/place"));
    /* what lies where the file should be is no file */
    assert_false(get(&rows75, folder));
    assert_true(file_remove(path, NULL));
    only_file(path);
    assert_true(file_remove(path, NULL));
    assert_int_equal(mkdir(path, 0700), 0);
    assert_false(get(&rows75, folder));
    only_file(path); /* nothing half-written beside it */
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(get(&rows75, folder));
    assert_true(get(&rows75, folder)); /* the rename put it there */
}

static void *get_often(void *unused) {
    (void)unused;
    for (unsigned i = 0; i < 200; i++) {
        struct cuda_source source = rows75;
        source.arch = i % 3 ? 80 : 90;
        if (i % 16 == 0) { /* somebody cleans up meanwhile */
            char path[PATH_MAX];
            DIR *dir = opendir(folder);
            struct dirent *entry;
            while ((entry = readdir(dir)))
                if (strstr(entry->d_name, ".cubin")) {
                    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
                    unlink(path);
                }
            closedir(dir);
        }
        get(&source, folder); /* compares what it got */
    }
    return NULL;
}

static void several_may_do_so_at_once(void **state) {
    (void)state;
    pid_t children[3];
    for (size_t i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            pthread_t thread;
            if (pthread_create(&thread, NULL, get_often, NULL) != 0)
                _exit(1);
            get_often(NULL);
            pthread_join(thread, NULL);
            _exit(0);
        }
    }
    for (size_t i = 0; i < 3; i++) {
        int status = 1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(compiled, 0);
    DIR *dir = opendir(folder);
    for (struct dirent *entry; (entry = readdir(dir));)
        assert_true(entry->d_name[0] == '.' || strstr(entry->d_name, ".cubin"));
    closedir(dir);
}

static void says_what_does_not_compile(void **state) {
    (void)state;
    struct memory memory = {0};
    struct error err = {0};
    struct cuda_image image;
    fails = true;
    assert_false(
        cuda_compile(&library, &rows75, folder, &memory, &image, &err));
    assert_int_equal(err.code, ERROR_DEVICE);
    assert_non_null(strstr(err.message, "kernels/rows.cu"));
    assert_non_null(strstr(err.message, "sm_75"));
    assert_non_null(strstr(err.message, "12.9"));
    assert_non_null(strstr(err.message, "rows.cu(7): error: expected a ;"));
    assert_null(strchr(err.message, '\n'));
    assert_null(image.data);
    fails = false;
    assert_false(get(&rows75, folder)); /* nothing was kept */

    gives_nothing = true;
    assert_false(cuda_compile(&library, &rows75, NULL, &memory, &image, &err));
    assert_non_null(strstr(err.message, "no machine code"));
    struct cuda_source unknown = {.name = "columns", .arch = 75};
    assert_false(
        cuda_compile(&library, &unknown, folder, &memory, &image, &err));
    assert_non_null(strstr(err.message, "columns"));
    assert_int_equal(memory_live(&memory), 0);
}

static void a_ceiling_holds(void **state) {
    (void)state;
    struct memory memory = {.ceiling = 100};
    struct error err = {0};
    struct cuda_image image;
    for (int i = 0; i < 2; i++) { /* also where it could be read */
        assert_false(
            cuda_compile(&library, &rows75, folder, &memory, &image, &err));
        assert_int_equal(err.code, ERROR_MEMORY);
        assert_null(image.data);
        get(&rows75, folder);
    }
}

static void chooses_what_a_card_runs(void **state) {
    (void)state;
    static const struct {
        int major, minor;
        unsigned arch;
    } cards[] = {{7, 5, 75},   {8, 0, 80},   {8, 6, 86},   {8, 7, 86},
                 {8, 9, 89},   {9, 0, 90},   {10, 0, 100}, {10, 1, 100},
                 {10, 3, 103}, {12, 0, 120}, {12, 1, 120}};
    struct error err = {0};
    unsigned arch = 0;
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++) {
        assert_true(cuda_compile_arch(&library, cards[i].major, cards[i].minor,
                                      &arch, &err));
        assert_int_equal(arch, cards[i].arch);
    }
    assert_false(cuda_compile_arch(&library, 7, 0, &arch, &err));
    assert_non_null(strstr(err.message, "7.0 is too old"));
    assert_false(cuda_compile_arch(&library, 11, 0, &arch, &err));
    assert_non_null(strstr(err.message, "11.0"));
    assert_non_null(strstr(err.message, "nvidia-cuda-nvrtc-cu12"));
    archs[4] = 90; /* an NVRTC that does not know 8.9 */
    assert_true(cuda_compile_arch(&library, 8, 9, &arch, &err));
    assert_int_equal(arch, 86);
    archs[4] = 89;
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(compiles_once),
        TEST(everything_is_in_the_key),
        TEST(distrusts_files),
        TEST(distrusts_names),
        TEST(does_without_a_folder),
        TEST(several_may_do_so_at_once),
        TEST(says_what_does_not_compile),
        TEST(a_ceiling_holds),
        TEST(chooses_what_a_card_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
