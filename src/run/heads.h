/* heads.h - what the pass of one model gives of a text: a dense vector, a
 * sparse one, a vector a token; each in a store of its own.
 *
 *     for (enum row_kind h = 0; h < ROW_KINDS; h++)
 *         if (member_has(member, h)) ... stores[i].of[h] ...
 *
 *     OUT/COLLECTION/.ensembed/KEY/dense     rows of the model's own width
 *     OUT/COLLECTION/.ensembed/KEY/sparse    pairs of an index and a value
 *     OUT/COLLECTION/.ensembed/KEY/multi     some rows a text
 */

#ifndef RUN_HEADS_H
#define RUN_HEADS_H

#include "data/rows.h"
#include "data/store.h"

/* A head is named by the kind of its rows. In a mask its bit is 1 << kind:
 * model/spec.h's HEAD_*. */
static inline unsigned head_bit(enum row_kind head) {
    return 1u << head;
}

/* Of one member; NULL: it was not asked for that head, or it failed. */
struct head_stores {
    struct store *of[ROW_KINDS];
};

static inline void head_stores_close(struct head_stores *stores) {
    for (int h = 0; h < ROW_KINDS; h++) {
        store_close(stores->of[h]);
        stores->of[h] = NULL;
    }
}

#endif
