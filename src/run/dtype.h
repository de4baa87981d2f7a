/* dtype.h - what numbers a run computes in.
 *
 * Simulated cards compute in f32, and so does the CPU, unless it is the first
 * device and bf16 or int8 was asked for (it stands in for cards in f32). A card
 * computes in one type throughout a run: in what was asked for (--dtype, or
 * dtype= of a model; fp8 from sm_89 on), else in what the rows that are there
 * already were made in, else in bf16 where all cards of the run have it (sm_80
 * and newer), else in fp16. A device that does not have the run's type computes
 * in f32, and its rows are named.
 *
 *     dtype_asked(&options, &asked, err);
 *     dtype_check(asked, &list, err);
 *     type = asked ? asked : dtype_default(&list);
 *     device_options.type = dtype_in(&list, &list.items[i], type);
 */

#ifndef RUN_DTYPE_H
#define RUN_DTYPE_H

#include <stdbool.h>

#include "base/error.h"
#include "device/device.h"
#include "run/roster.h"
#include "run/session.h"

/* "f32", "fp16", "bf16", "int8", "fp8"; that of NUMBER_DEFAULT is f32's. */
const char *dtype_name(enum number_type type);
/* NUMBER_DEFAULT: there is none of that name. */
enum number_type dtype_named(const char *name);
/* ERROR_USAGE that lists those that there are; WHERE: who said it. */
bool dtype_parse(const char *name, const char *where, enum number_type *type,
                 struct error *err);

/* What the options ask for. ERROR_USAGE where two models ask for different
 * types: a card has one. */
bool dtype_asked(const struct run_options *options, enum number_type *asked,
                 struct error *err);
/* ERROR_USAGE where no device of the run computes in what was asked for. */
bool dtype_check(enum number_type asked, const struct device_list *list,
                 struct error *err);

enum number_type dtype_default(const struct device_list *list);
/* What a card is to compute in when the run's type is TYPE, or a device that
 * stands in for one. */
enum number_type dtype_on(const struct device_name *device,
                          enum number_type type);
/* The same for any device of the run's LIST. */
enum number_type dtype_in(const struct device_list *list,
                          const struct device_name *device,
                          enum number_type type);
/* What the rows of a member's head that are there already were made in;
 * PRIVATE is OUT/COLLECTION/.ensembed. NUMBER_DEFAULT: there are none, or
 * nothing that we know says it. */
enum number_type dtype_there(const char *private, const struct member *member,
                             enum row_kind head);
/* Of the numbers that a row is multiplied by in the layers, the part (0 to 1)
 * that is e4m3 on a card of fp8; the others are bf16 there. */
double dtype_fp8_share(const struct model_spec *spec);
/* What it computes in. */
static inline enum number_type dtype_of(const struct device *device) {
    return device->type ? device->type : NUMBER_F32;
}

#endif
