/* fuse.h - one vector from several models' vectors.
 *
 * Mean: each model's vector is normalised, cut to the common width and
 * normalised again; the weighted mean of those, normalised. Concat: each is
 * normalised, multiplied by the square root of its weight's share, and put
 * behind the other; so a dot product is the weighted mean of the models'
 * cosines. Arithmetic in double, the result in f32: the same everywhere.
 */

#ifndef DATA_FUSE_H
#define DATA_FUSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { FUSE_MEMBERS_MAX = 64 };

enum fuse_method { FUSE_MEAN, FUSE_CONCAT };

struct fuse_member {
    size_t width;  /* the model's own */
    double weight; /* > 0; shares are weight / sum */
};

/* Weights finite and > 0, widths enough for DIM (equal widths where a mean has
 * none), at most FUSE_MEMBERS_MAX members; names are in the message. The other
 * two functions want members that passed. */
bool fuse_check(const struct fuse_member *members, const char *const *names,
                size_t count, enum fuse_method method, size_t dim,
                struct error *err);

/* Width of the result. DIM is the width each member is cut to (mean, concat);
 * 0: own width (all equal for mean). */
size_t fuse_width(const struct fuse_member *members, size_t count,
                  enum fuse_method method, size_t dim);

/* VECTORS[m] is [members[m].width]; OUT [fuse_width]. False, with OUT not
 * whole, if the result has no direction: the mean cancels out, or a member is
 * zero or not finite in the columns that are used. */
bool fuse_vectors(const struct fuse_member *members, size_t count,
                  enum fuse_method method, size_t dim,
                  const float *const *vectors, float *out);

#endif
