/* artefact_set.h - which files a collection ends with, whether they are there
 * already, and what an earlier run left that has no place among them. For
 * artefacts.c, which writes them.
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

/* embeddings.npy is about to be replaced: the rows of other models that stand
 * in it are taken back into their stores. */
bool artefact_set_keep_others(struct artefacts *a, struct error *err);

/* The first of the files is about to get its name: remove those of the former
 * set that the new one does not have, and write down in complete.json that this
 * one is begun. An array of another model stays if it has a row for each of the
 * points that the new files have; else its rows are taken back first. */
bool artefact_set_begin(struct artefacts *a, struct error *err);

/* All files are there: write complete.json, which says so, and whether a model
 * that failed, or a row, is missing from them. */
bool artefact_set_complete(struct artefacts *a, struct error *err);

#endif
