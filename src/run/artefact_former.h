/* artefact_former.h - what becomes of the files of an earlier run that have no
 * place among those of this one. Rows that stand only in a file that goes are
 * taken back into their store first; they would have to be computed again. For
 * artefacts.c.
 */

#ifndef RUN_ARTEFACT_FORMER_H
#define RUN_ARTEFACT_FORMER_H

#include <stdbool.h>

#include "run/artefacts.h"

/* embeddings.npy is about to be replaced: the rows of models that are not in
 * this run, or failed in it, are taken back where they stand in it. */
bool artefact_former_keep(struct artefacts *a, struct error *err);

/* The first of the files is about to get its name: remove those of the former
 * set that the new one does not have. An array of another model stays, and is
 * noted in a->kept, if it has a row for each of the points that the new files
 * have; else its rows are taken back first. */
bool artefact_former_drop(struct artefacts *a, struct error *err);

#endif
