#include "data/fuse.h"

#include <assert.h>
#include <math.h>

/* A mean of unit vectors that is shorter than this is what f32's rounding left
 * of vectors that cancel: its direction is noise. */
static const double SHORTEST_MEAN = 1e-6;

bool fuse_check(const struct fuse_member *members, const char *const *names,
                size_t count, enum fuse_method method, size_t dim,
                struct error *err) {
    if (count == 0 || count > FUSE_MEMBERS_MAX)
        return error_set(err, ERROR_USAGE,
                         "%zu models cannot be fused; 1 to %d can", count,
                         FUSE_MEMBERS_MAX);
    double sum = 0;
    for (size_t m = 0; m < count; m++) {
        double weight = members[m].weight;
        if (!isfinite(weight) || weight <= 0)
            return error_set(err, ERROR_USAGE,
                             "%s has weight %g; a weight is a number above 0",
                             names[m], weight);
        if (members[m].width < dim)
            return error_set(err, ERROR_USAGE,
                             "%s gives vectors of width %zu, which cannot be "
                             "cut to %zu; give a smaller --dim",
                             names[m], members[m].width, dim);
        if (method == FUSE_MEAN && !dim && members[m].width != members[0].width)
            return error_set(err, ERROR_USAGE,
                             "%s gives vectors of width %zu and %s of width "
                             "%zu; give --dim or --fuse concat",
                             names[0], members[0].width, names[m],
                             members[m].width);
        sum += weight;
    }
    return isfinite(sum) || error_set(err, ERROR_USAGE,
                                      "the weights' sum is not finite; give "
                                      "smaller weights");
}

static size_t member_width(const struct fuse_member *member, size_t dim) {
    return dim ? dim : member->width;
}

size_t fuse_width(const struct fuse_member *members, size_t count,
                  enum fuse_method method, size_t dim) {
    if (method == FUSE_MEAN)
        return member_width(&members[0], dim);
    size_t width = 0;
    for (size_t m = 0; m < count; m++)
        width += member_width(&members[m], dim);
    return width;
}

static double norm(const float *vector, size_t width) {
    double sum = 0;
    for (size_t i = 0; i < width; i++)
        sum += (double)vector[i] * (double)vector[i];
    return sqrt(sum);
}

/* What brings member M's cut vector to length 1: to normalise, cut and
 * normalise again is to cut and normalise. 0: it has no direction. */
static double unit_scale(const float *vector, size_t width) {
    double length = norm(vector, width);
    return isfinite(length) && length > 0 ? 1 / length : 0;
}

static double weight_sum(const struct fuse_member *members, size_t count) {
    double sum = 0;
    for (size_t m = 0; m < count; m++)
        sum += members[m].weight;
    return sum;
}

static double column(const float *const *vectors, const double *scales,
                     size_t count, size_t i) {
    double sum = 0;
    for (size_t m = 0; m < count; m++)
        sum += scales[m] * (double)vectors[m][i];
    return sum;
}

static bool mean(const float *const *vectors, const double *scales,
                 size_t count, size_t width, float *out) {
    double squares = 0;
    for (size_t i = 0; i < width; i++) {
        double x = column(vectors, scales, count, i);
        squares += x * x;
    }
    double length = sqrt(squares);
    if (!(length >= SHORTEST_MEAN))
        return false;
    for (size_t i = 0; i < width; i++)
        out[i] = (float)(column(vectors, scales, count, i) / length);
    return true;
}

bool fuse_vectors(const struct fuse_member *members, size_t count,
                  enum fuse_method method, size_t dim,
                  const float *const *vectors, float *out) {
    double scales[FUSE_MEMBERS_MAX];
    assert(count > 0 && count <= FUSE_MEMBERS_MAX);
    double sum = weight_sum(members, count);
    for (size_t m = 0; m < count; m++) {
        double share = members[m].weight / sum;
        scales[m] = unit_scale(vectors[m], member_width(&members[m], dim));
        if (scales[m] == 0)
            return false;
        scales[m] *= method == FUSE_MEAN ? share : sqrt(share);
    }
    if (method == FUSE_MEAN)
        return mean(vectors, scales, count, member_width(&members[0], dim),
                    out);
    for (size_t m = 0; m < count; m++)
        for (size_t i = 0; i < member_width(&members[m], dim); i++)
            *out++ = (float)(scales[m] * (double)vectors[m][i]);
    return true;
}
