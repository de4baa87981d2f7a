/* device_cards.c - the cards of this machine, as NVIDIA's driver tells of them.
 */

#include "device/device_cards.h"

#include <stdio.h>
#include <string.h>

#include "device/cuda/cuda_library.h"

void device_cards_find(struct device_cards *cards,
                       const char *const *library_folders) {
    struct cuda_seen seen[DEVICE_CARDS_MAX];
    *cards = (struct device_cards){.count = 0};
    size_t count = cuda_library_cards(library_folders, seen, DEVICE_CARDS_MAX,
                                      cards->problem);
    cards->count = count < DEVICE_CARDS_MAX ? count : DEVICE_CARDS_MAX;
    for (size_t i = 0; i < cards->count; i++) {
        struct device_card *card = &cards->items[i];
        snprintf(card->model, sizeof card->model, "%.63s", seen[i].name);
        card->arch = (unsigned)(seen[i].major * 10 + seen[i].minor);
    }
}

void device_cards_check(struct device_cards *cards,
                        const char *const *library_folders) {
    struct cuda_found found[CUDA_FOUND_COUNT];
    cuda_library_look(library_folders, found);
    for (unsigned i = CUDA_FOUND_NVRTC; i < CUDA_FOUND_COUNT; i++)
        if (found[i].problem[0]) {
            snprintf(cards->problem, sizeof cards->problem,
                     "no usable %s: %s; install it with `%s`, or name its "
                     "folder with --cuda-libs",
                     found[i].what, found[i].problem,
                     cuda_install_advice(found[CUDA_FOUND_DRIVER].major));
            return;
        }
}
