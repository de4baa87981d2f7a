/* layer: data. Any bytes as a file of sparse rows: what is read lies inside
 * them, and its indices ascend below the columns. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/csr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct memory memory = {0};
    struct csr_map csr;
    struct error err = {0};
    /* Arrays want their alignment, as mapped files have it. */
    char *copy = malloc(size + 1);
    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    bool fine = csr_map_bytes(&csr, (struct str){copy, size}, "fuzz.npz",
                              &memory, &err);
    if (!fine && !err.message[0])
        abort();
    uint32_t sum = 0, bits;
    for (uint64_t r = 0; fine && r < csr.rows; r++) {
        struct csr_row row;
        if (!csr_map_row(&csr, r, &row, &err))
            continue;
        for (size_t i = 0; i < row.count; i++) {
            memcpy(&bits, &row.values[i], sizeof bits);
            sum ^= bits;
            if (csr_index(&row, i) >= csr.columns)
                abort();
        }
    }
    __asm__ volatile("" : : "r"(sum)); /* so that the reading is done */
    if (memory_live(&memory) != 0)
        abort();
    free(copy);
    return 0;
}
