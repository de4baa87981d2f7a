/* artefact_set.h - which files a collection ends with, and under which names.
 * For artefacts.c, which writes them, and its parts.
 */

#ifndef RUN_ARTEFACT_SET_H
#define RUN_ARTEFACT_SET_H

#include <limits.h>
#include <stdbool.h>

#include "run/artefacts.h"

/* Path of the file NAME in the collection's folder. */
bool artefact_path(char path[PATH_MAX], const struct artefacts *a,
                   const char *name, struct error *err);

/* export_bits of the run. */
unsigned artefact_exports(const struct artefacts *a);

/* The file of MEMBER's own vectors. */
void artefact_array_name(const struct artefacts *a, const struct member *member,
                         char name[NAME_MAX + 1]);

/* Fill a->files with the files that this roster and these options give. */
bool artefact_set_list(struct artefacts *a, struct error *err);

#endif
