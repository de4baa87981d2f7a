/* heads.h - from hidden states to what a model says of a text: a vector a text,
 * weights of words, a vector a token, scores (struct encoder_output). Which of
 * them a model gives, and through which modules, is its spec's.
 *
 *     heads_place(&layout, spec, rows, &work);         // with the other pieces
 *     heads_run(spec, weights, lane, &work, &group);   // behind the last layer
 */

#ifndef MODEL_HEADS_H
#define MODEL_HEADS_H

#include "base/layout.h"
#include "device/device.h"
#include "model/lane_work.h"
#include "model/spec.h"
#include "model/weights.h"

/* Numbers a row that the heads' matrices read, at most. */
size_t heads_width(const struct model_spec *spec);

/* The heads' part of a lane's workspace for groups of ROWS. */
void heads_place(struct layout *layout, const struct model_spec *spec,
                 size_t rows, struct lane_work *work);

/* The rows of the last layer that the heads read to give OUT: of each text one
 * alone, or all of them. */
enum rows_meant heads_read(const struct model_spec *spec,
                           const struct encoder_batch *batch,
                           const struct encoder_output *out);

/* From work->x, or from work->pooled [texts, hidden] where the group says that
 * one row of a text is read, to what the group's `out` asks for, in host memory
 * when the submit is finished. May overwrite work->x, narrow, other and inside.
 */
void heads_run(const struct model_spec *spec, const struct weights *weights,
               struct lane *lane, const struct lane_work *work,
               const struct group *group);

#endif
