/* device_list.h - the names of --device: where to compute, best first.
 *
 *     struct device_list list;
 *     if (!device_list_parse(memory, "cuda:0,cpu", folders, &list, err))
 *         return false;
 *     ... device_open(&list.items[0], &options, err) ...       // device.h
 *     device_list_free(memory, &list);
 *
 * A name is checked against the machine: a card that the driver does not show
 * is not on a list. Nothing is opened, and no context is made.
 */

#ifndef DEVICE_DEVICE_LIST_H
#define DEVICE_DEVICE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"

/* One entry of a --device list. */
enum { DEVICE_NAME_BYTES = 40 };
struct device_name {
    char name[DEVICE_NAME_BYTES]; /* "cpu", "sim:t4-0", "cuda:1" */
    uint64_t capacity;            /* bytes of a simulated card; else 0 */
    size_t storage_bytes;         /* of a stored number there: 4, 2 on a T4 */
    unsigned arch;                /* of a CUDA card: 75, 80, ...; else 0 */
};
struct device_list {
    struct device_name *items; /* owned by the memory it was made with */
    size_t count;
};

/* Not a card, real or simulated: other programs use it as a matter of course.
 */
static inline bool device_name_is_cpu(const struct device_name *name) {
    return !name->capacity && !name->arch;
}

extern const struct device_name DEVICE_CPU;

/* TEXT is a --device list, in the order of preference: "cpu", "cuda" (all cards
 * that the driver shows, as CUDA_VISIBLE_DEVICES has it), "cuda:0",
 * "sim:NAME=BYTES", "sim:t4" (15,828,320,256 bytes, numbers of 2 bytes),
 * "sim:t4x2" (sim:t4-0 and sim:t4-1), "sim:t4-0", "sim:t4-1", joined by commas.
 * BYTES as size_text.h reads them. At most 64 devices; ERROR_USAGE for what it
 * does not know, for a card that is not there and for a name that occurs twice.
 * The driver is looked for only if a card is named (LIBRARY_FOLDERS as in
 * device_options), and no context is made. */
bool device_list_parse(struct memory *memory, const char *text,
                       const char *const *library_folders,
                       struct device_list *list, struct error *err);

/* What is used when nothing is said: all cards, if there are any and what they
 * need besides the driver is there, else the CPU. *WHY: cards are there, and
 * why they are not used, in a sentence with its remedy; "" otherwise. */
enum { DEVICE_WHY_BYTES = 768 };
bool device_list_default(struct memory *memory,
                         const char *const *library_folders,
                         struct device_list *list, char why[DEVICE_WHY_BYTES],
                         struct error *err);
void device_list_free(struct memory *memory, struct device_list *list);

/* "sim:" and 1 to 31 of [A-Za-z0-9._-]. */
bool device_name_is_sim(const char *name);

#endif
