/* doubles.h - lists of measured numbers in order, for a median or a best.
 *
 *     doubles_sort(times, rounds);
 *     double median = times[rounds / 2], best = times[0];
 *
 * NaN has no place in an order: it must not be among them. */

#ifndef BASE_DOUBLES_H
#define BASE_DOUBLES_H

#include <stddef.h>

void doubles_sort(double *values, size_t count); /* smallest first */

#endif
