/* artefact_record.h - .ensembed/complete.json of a collection: which files the
 * last run made or began, how large and from when they are, and digests of
 * what they were made from. artefacts_complete, artefacts_exist and
 * artefacts_better_stay (artefacts.h) are answered from it.
 */

#ifndef RUN_ARTEFACT_RECORD_H
#define RUN_ARTEFACT_RECORD_H

#include <stdbool.h>

#include <jansson.h>

#include "run/artefacts.h"

/* The record in FOLDER, of which the caller has a reference. NULL: there is
 * none that can be read. */
json_t *artefact_record_read(const char *folder);

/* Has RECORD's set a row for every point, of the same chunks as A's? */
bool artefact_record_same_rows(const struct artefacts *a, const json_t *record);

/* Write down that a->files are begun: each may be there, or an older one in
 * its place, whatever becomes of this run, and the next one knows whose they
 * are. */
bool artefact_record_begin(const struct artefacts *a, struct error *err);

/* All files are there: write down their sizes and times, what they were made
 * from, and whether a model that failed, or a row, is missing from them. */
bool artefact_record_complete(const struct artefacts *a, struct error *err);

#endif
