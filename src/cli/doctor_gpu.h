/* doctor_gpu.h - what `ensembed doctor` says of cards: which there are, which
 * of NVIDIA's libraries were found and where, and what to do if one is missing.
 */

#ifndef CLI_DOCTOR_GPU_H
#define CLI_DOCTOR_GPU_H

#include <jansson.h>

/* {"cards": [{"device", "model", "capability", "memory_bytes", "problem"}],
 *  "problem": why there are none, or null,
 *  "libraries": [{"name", "path", "version", "problem"}], null where unknown,
 *  "install": the command that installs what is missing, or null}
 * FOLDERS as cuda_library.h has them. The caller owns it. */
json_t *doctor_gpu_examine(const char *const *folders);

/* In lines, to standard output: one where there is no card. */
void doctor_gpu_print(const json_t *gpu);

#endif
