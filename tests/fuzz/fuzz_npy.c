/* layer: data. Any bytes as an array file: a header that is read must describe
 * exactly the bytes that are there. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct npy_header header;
    struct error err = {0};
    struct str head = {(const char *)data, size};
    if (!npy_header_read(head, size, "fuzz.npy", &header, &err)) {
        if (err.code != ERROR_INPUT || !err.message[0])
            abort();
        return 0;
    }
    if (header.width == 0 || header.offset % sizeof(float) != 0)
        abort();
    uint32_t sum = 0, bits;
    const uint8_t *at = data + header.offset;
    for (uint64_t r = 0; r < header.rows; r++)
        for (size_t c = 0; c < header.width; c++, at += sizeof bits) {
            memcpy(&bits, at, sizeof bits);
            sum ^= bits;
        }
    if (at != data + size)
        abort();
    __asm__ volatile("" : : "r"(sum)); /* so that the reading is done */
    return 0;
}
