/* compile_kernels.c - kernels of the program to machine code, by the NVRTC of a
 * folder and through our own loader; for tools/kernel_table.py.
 *
 *     compile_kernels FOLDER CUDA_MAJOR < JOBS
 *
 * A job is a line: NAME ARCH OPTION... Its answer is a line "image BYTES" or
 * "failed SENTENCE", what NVRTC said (ptxas's report of registers, shared
 * memory and spills), and a line "end". The first line of all is NVRTC's
 * version, or the reason why there is none.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/cuda_compile.h"

/* Words of LINE into SOURCE. */
static bool read_job(char *line, struct cuda_source *source) {
    char *word = strtok(line, " \n");
    char *arch = strtok(NULL, " \n");
    if (!word || !arch)
        return false;
    *source = (struct cuda_source){.name = word,
                                   .arch = (unsigned)strtoul(arch, NULL, 10)};
    source->options[source->options_count++] = "--ptxas-options=-v";
    while ((word = strtok(NULL, " \n")))
        if (source->options_count < CUDA_OPTIONS_MAX)
            source->options[source->options_count++] = word;
    return true;
}

static void answer(const struct cuda_library *library,
                   const struct cuda_source *source, struct memory *memory) {
    struct strbuf log = strbuf_make(memory);
    struct cuda_image image;
    struct error err = {0};
    if (cuda_compile_logged(library, source, NULL, memory, &image, &log, &err))
        printf("image %zu\n", image.bytes);
    else
        printf("failed %s\n", err.message);
    printf("%s\nend\n", log.size ? log.data : "");
    fflush(stdout);
    cuda_image_free(memory, &image);
    strbuf_free(&log);
}

int main(int argc, char **argv) {
    struct memory memory = {0};
    struct error err = {0};
    char line[1024];
    if (argc != 3) {
        fprintf(stderr, "usage: compile_kernels FOLDER CUDA_MAJOR < JOBS\n");
        return 2;
    }
    const char *folders[] = {argv[1], NULL};
    struct cuda_library *library =
        cuda_library_open_nvrtc(&memory, folders, atoi(argv[2]), &err);
    if (!library) {
        printf("none %s\n", err.message);
        return 1;
    }
    const struct cuda_found *found = &library->found[CUDA_FOUND_NVRTC];
    printf("version %d.%d %s\n", found->major, found->minor, found->path);
    while (fgets(line, sizeof line, stdin)) {
        struct cuda_source source;
        if (read_job(line, &source))
            answer(library, &source, &memory);
    }
    cuda_library_close(library);
    return memory_live(&memory) == 0 ? 0 : 1;
}
