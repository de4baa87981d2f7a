/* fake_driver.h - what the files of the fake libcuda share. */

#ifndef TESTS_DEVICE_CUDA_FAKE_DRIVER_H
#define TESTS_DEVICE_CUDA_FAKE_DRIVER_H

#include "device/cuda/fake_card.h"

struct cu_context_s {
    struct card *card;
};

/* Of the calling thread's context, NULL: it has none. */
struct card *driver_card(void);

/* With `everything` held. 0, or that STREAM is not one of CARD's. */
int driver_stream(struct card *card, cu_stream stream);
/* One launch more, and what the script has for it. */
void driver_count_launch(struct card *card);

/* The most shared memory of a block. */
unsigned driver_shared_most(int capability);

#endif
