/* ceilings.h - how much of a device a run may take, and how much must stay
 * free: the defaults, and what --ceiling and --margin say instead.
 *
 *     ceilings_check(options, &list, err)              // names, once
 *     uint64_t margin = ceilings_find(options->margins,
 *                                     options->margins_count, name,
 *                                     margin_default(total));
 *
 * Pure but for the warnings. The ceiling is a limit of what we hold at once;
 * the margin is what the controller wants to see free beside it.
 */

#ifndef RUN_CEILINGS_H
#define RUN_CEILINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/event.h"
#include "device/device_list.h"
#include "run/session.h"

/* min(512 MiB, TOTAL / 16): from 8 GiB on it is the former. */
uint64_t margin_default(uint64_t total);

/* Of the CPU (SHARED): 80 % of FREE. Of a card: 75 % of TOTAL, and no more than
 * FREE - MARGIN, where MARGIN is margin_default(TOTAL). Never 0, which would
 * mean "no ceiling" to struct memory: 1 where there is no room at all. */
uint64_t ceiling_default(bool shared, uint64_t total, uint64_t free_bytes,
                         uint64_t margin);

/* What LIST says of DEVICE (the last that was said), or OTHERWISE. */
uint64_t ceilings_find(const struct device_bytes *list, size_t count,
                       const char *device, uint64_t otherwise);

/* ERROR_USAGE for a --ceiling or --margin that names a device which is not in
 * DEVICES; the CPU is always in use. */
bool ceilings_check(const struct run_options *options,
                    const struct device_list *devices, struct error *err);

/* A --ceiling above TOTAL, the bytes of DEVICE, holds nothing back: say so. */
void ceiling_warn(const struct run_options *options, const char *device,
                  uint64_t total, const struct sink *sink);

#endif
