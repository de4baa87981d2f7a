/* heads.h - what the pass of one model gives of a text: a dense vector, a
 * sparse one, a vector a token; each in a store of its own.
 *
 *     for (enum pass_head h = 0; h < PASS_HEADS; h++)
 *         if (member_has(member, h)) ... stores[i].of[h] ...
 *
 *     OUT/COLLECTION/.ensembed/KEY/dense     rows of the model's own width
 *     OUT/COLLECTION/.ensembed/KEY/sparse    pairs of an index and a value
 *     OUT/COLLECTION/.ensembed/KEY/multi     some rows a text
 */

#ifndef RUN_HEADS_H
#define RUN_HEADS_H

#include "data/store.h"

/* In a mask the bit of a head is 1 << head: model/spec.h's HEAD_*. */
enum pass_head { PASS_DENSE, PASS_SPARSE, PASS_MULTI, PASS_HEADS };

static inline unsigned head_bit(enum pass_head head) {
    return 1u << head;
}

/* "dense", "sparse", "multi": the store's folder. */
static inline const char *head_name(enum pass_head head) {
    static const char *const names[] = {"dense", "sparse", "multi"};
    return names[head];
}

/* Of one member; NULL: it was not asked for that head, or it failed. */
struct head_stores {
    struct store *of[PASS_HEADS];
};

static inline void head_stores_close(struct head_stores *stores) {
    for (int h = 0; h < PASS_HEADS; h++) {
        store_close(stores->of[h]);
        stores->of[h] = NULL;
    }
}

#endif
