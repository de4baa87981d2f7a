/* sim.h - a simulated card: the CPU's arithmetic behind the accounting of a
 * card's memory.
 *
 * It has a hard capacity, a free-memory probe of its own, and a script that
 * plays other programs' pressure and failures (script.h). Lanes, verbs and
 * results are the CPU's, bit for bit.
 */

#ifndef DEVICE_SIM_SIM_H
#define DEVICE_SIM_SIM_H

#include "device/device.h"

struct device *sim_open(const struct device_name *name,
                        const struct device_options *options,
                        struct error *err);

#endif
