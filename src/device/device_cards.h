/* device_cards.h - the CUDA cards that a --device list can name.
 *
 *     struct device_cards cards;
 *     device_cards_find(&cards, folders);
 *     device_list_parse_with(memory, "cuda", &cards, &list, err);
 *
 * What is found is handed to the functions that judge it, so that they can be
 * tried without a card.
 */

#ifndef DEVICE_DEVICE_CARDS_H
#define DEVICE_DEVICE_CARDS_H

#include <stdbool.h>
#include <stddef.h>

#include "device/device_list.h"

enum {
    DEVICE_CARDS_MAX = 64,
    DEVICE_ARCH_LEAST = 75, /* tensor cores as our kernels use them: a T4 */
};

struct device_cards {
    struct device_card {
        char model[64]; /* "Tesla T4" */
        unsigned arch;  /* 75 */
    } items[DEVICE_CARDS_MAX];
    size_t count;
    char problem[DEVICE_WHY_BYTES]; /* why there are none, in a sentence; of
                                       cards that are there, what else they
                                       need and lack; "": nothing */
};

/* The driver's, in its order; no context is made. */
void device_cards_find(struct device_cards *cards,
                       const char *const *library_folders);
/* Fill `problem` of cards that are there: are NVRTC and cuBLASLt? */
void device_cards_check(struct device_cards *cards,
                        const char *const *library_folders);

/* device_list_parse and device_list_default, of these cards. */
bool device_list_parse_with(struct memory *memory, const char *text,
                            const struct device_cards *cards,
                            struct device_list *list, struct error *err);
bool device_list_default_with(struct memory *memory,
                              const struct device_cards *cards,
                              struct device_list *list,
                              char why[DEVICE_WHY_BYTES], struct error *err);

#endif
