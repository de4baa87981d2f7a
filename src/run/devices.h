/* devices.h - what the devices of a run have, and what of it the run may take.
 *
 *     json_t *list;
 *     if (!devices_describe(&options, sink, &list, err)) ...
 */

#ifndef RUN_DEVICES_H
#define RUN_DEVICES_H

#include <stdbool.h>

#include <jansson.h>

#include "base/error.h"
#include "base/event.h"
#include "run/session.h"

/* For each device of OPTIONS (`devices`, else all cards, else the CPU), in
 * their order:
 * {"device", "model", "shared", "bytes_total", "bytes_free", "ceiling_bytes",
 * "margin_bytes", "holder": who leases it, or null}. Takes no lease. The caller
 * owns *LIST. */
bool devices_describe(const struct run_options *options,
                      const struct sink *sink, json_t **list,
                      struct error *err);

#endif
