/* cuda_search.h - the paths under which a library of NVIDIA's may lie.
 *
 *     cuda_search("libnvrtc.so.13", folders, look_at, context);
 *
 * First the name alone, which the loader finds in its own places; then, in the
 * order of FOLDERS, what exists of FOLDER/NAME and of the places below FOLDER
 * where a toolkit and pip put libraries.
 */

#ifndef DEVICE_CUDA_CUDA_SEARCH_H
#define DEVICE_CUDA_CUDA_SEARCH_H

#include <stdbool.h>

typedef void cuda_search_visit(void *context, const char *path);

/* FOLDERS: NULL at the end; NULL itself is none. */
void cuda_search(const char *name, const char *const *folders,
                 cuda_search_visit *visit, void *context);

/* Whether the file at PATH ends before the parts that its header tells of: the
 * loader would map it and die of the first page that is not there. False also
 * for what is no ELF file, which the loader refuses by itself. */
bool cuda_file_is_cut(const char *path);

#endif
