/* places.h - what the environment says besides ENSEMBED_*: where hub models
 * lie, and what the terminal can show. */

#ifndef CLI_PLACES_H
#define CLI_PLACES_H

#include "cli/options.h"

/* The value of NAME among "NAME=value" strings; NULL where it is not set or
 * empty. Borrowed. */
const char *environment_get(char *const *environment, const char *name);

/* The folder of the Hugging Face cache as huggingface_hub finds it:
 * HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else hub in HF_HOME, else
 * huggingface/hub in XDG_CACHE_HOME, else ~/.cache/huggingface/hub. A leading
 * ~ is HOME; $NAME and ${NAME} are replaced where NAME is set. */
char *hub_cache_path(char *const *environment, struct arena *arena,
                     struct error *err);

/* The file with the hub token: HF_TOKEN_PATH, else token in HF_HOME, else in
 * huggingface of XDG_CACHE_HOME or ~/.cache. */
char *hub_token_path(char *const *environment, struct arena *arena,
                     struct error *err);

/* Where compiled kernels of cards are kept: ensembed/kernels in XDG_CACHE_HOME,
 * else in ~/.cache. */
char *kernel_cache_path(char *const *environment, struct arena *arena,
                        struct error *err);

/* Where NVIDIA's libraries may lie besides the loader's own places, NULL at the
 * end: NAMED (--cuda-libs), the CUDA toolkit (CUDA_HOME, CUDA_PATH,
 * /usr/local/cuda), then where pip puts them for the Python of VIRTUAL_ENV, of
 * CONDA_PREFIX (which has libraries of its own too), of PATH, for this user and
 * for the system. Only folders that are there. */
const char *const *cuda_library_folders(char *const *environment,
                                        const struct text_list *named,
                                        struct arena *arena, struct error *err);

/* Fill color, utf8 and dumb from NO_COLOR, TERM, LC_ALL, LC_CTYPE, LANG. */
void terminal_traits(char *const *environment, struct options *options);

#endif
