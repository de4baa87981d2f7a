/* facts.h - what the kernel tells of this machine's processor and memory. */

#ifndef DEVICE_CPU_FACTS_H
#define DEVICE_CPU_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* The processor's name; where the kernel knows but its numbers, as on aarch64,
 * these; or "unknown". ROOT stands before /proc and /sys: "" but for tests. */
void cpu_model(const char *root, char *name, size_t size);

/* Memory that this process may have in all, and that it could take now:
 * MemTotal and MemAvailable, lowered by the limit of every control group
 * (version 1 and 2; memory.high as well as memory.max) that it is in. Of a
 * group's usage, the page cache that the kernel would give up first counts as
 * free. */
bool cpu_memory(const char *root, uint64_t *bytes_total, uint64_t *bytes_free,
                struct error *err);

#endif
