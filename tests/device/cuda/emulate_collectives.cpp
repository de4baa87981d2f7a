/* emulate_collectives.cpp - what the lanes of a warp get of each other when all
 * of them have arrived: shuffles, votes, matrices read together and multiplied.
 */

#include "device/cuda/emulate_block.h"

namespace {

void resolve_shuffle(fiber_thread *lanes, unsigned mask) {
    uint64_t values[WARP];
    for (unsigned i = 0; i < WARP; i++)
        values[i] = mask >> i & 1 ? lanes[i].offer.value : 0;
    for (unsigned i = 0; i < WARP; i++) {
        if (!(mask >> i & 1))
            continue;
        unsigned from = lanes[i].offer.from;
        if (!(mask >> from & 1))
            wrong(lanes->block,
                  "%s:%d: lane %u asks for the value of lane %u, which the "
                  "mask %08x leaves out",
                  lanes[i].offer.place.file, lanes[i].offer.place.line, i, from,
                  mask);
        lanes[i].offer.value = values[from];
    }
}

void resolve_ballot(fiber_thread *lanes, unsigned mask) {
    unsigned votes = 0;
    for (unsigned i = 0; i < WARP; i++)
        if (mask >> i & 1 && lanes[i].offer.value)
            votes |= 1u << i;
    for (unsigned i = 0; i < WARP; i++)
        if (mask >> i & 1)
            lanes[i].offer.value = votes;
}

/* Lane 8 m + r brings row r of matrix m. Lane l takes of each
 * matrix the two numbers in row l / 4 from column l % 4 * 2 on, or with
 * TRANSPOSED those in rows l % 4 * 2 and the next of column l / 4. */
void resolve_ldmatrix(fiber_thread *lanes, bool transposed) {
    seen_by_all(lanes);
    auto row = [lanes](unsigned i) { return lanes[i].offer.row; };
    for (unsigned l = 0; l < WARP; l++)
        for (unsigned m = 0; m < 4; m++) {
            unsigned a = l / 4, b = l % 4 * 2;
            unsigned low = transposed ? row(8 * m + b)[a] : row(8 * m + a)[b];
            unsigned high =
                transposed ? row(8 * m + b + 1)[a] : row(8 * m + a)[b + 1];
            lanes[l].offer.registers[m] = low | high << 16;
        }
}

struct mma {
    float a[16][16], b[16][8], c[16][8];
};

void pair(unsigned bits, bool bfloat, float *low, float *high) {
    unsigned short l = (unsigned short)bits, h = (unsigned short)(bits >> 16);
    *low = bfloat ? emulate_widen_bfloat(l) : emulate_widen_half(l);
    *high = bfloat ? emulate_widen_bfloat(h) : emulate_widen_half(h);
}

/* PTX ISA, "Matrix Fragments for mma.m16n8k16": with g = lane / 4 and
 * t = lane % 4 * 2, registers of A hold rows g, g + 8 and columns t, t + 8 in
 * the order (g, t) (g + 8, t) (g, t + 8) (g + 8, t + 8), those of B rows t and
 * t + 8 of column g, those of C rows g and g + 8. Two m16n8k8 of sm_75 take
 * the same registers one after the other. */
void mma_gather(struct mma *m, fiber_thread *lanes) {
    for (unsigned l = 0; l < WARP; l++) {
        const struct emulate_offer *offer = &lanes[l].offer;
        unsigned g = l / 4, t = l % 4 * 2;
        for (unsigned i = 0; i < 4; i++) {
            float *a = &m->a[g + i % 2 * 8][t + i / 2 * 8];
            pair(offer->a[i], offer->bfloat, a, a + 1);
            m->c[g + i / 2 * 8][t + i % 2] = offer->c[i];
        }
        for (unsigned i = 0; i < 2; i++)
            pair(offer->b[i], offer->bfloat, &m->b[t + i * 8][g],
                 &m->b[t + i * 8 + 1][g]);
    }
}

void resolve_mma(fiber_thread *lanes) {
    struct mma m;
    mma_gather(&m, lanes);
    for (unsigned k = 0; k < 16; k++)
        for (unsigned i = 0; i < 16; i++)
            for (unsigned j = 0; j < 8; j++)
                m.c[i][j] += m.a[i][k] * m.b[k][j];
    for (unsigned l = 0; l < WARP; l++)
        for (unsigned i = 0; i < 4; i++)
            lanes[l].offer.c[i] = m.c[l / 4 + i / 2 * 8][l % 4 * 2 + i % 2];
}

} // namespace

void collective_resolve(fiber_thread *lanes,
                        const struct emulate_offer *offer) {
    switch (offer->kind) {
    case EMULATE_SHUFFLE:
        resolve_shuffle(lanes, offer->mask);
        break;
    case EMULATE_BALLOT:
        resolve_ballot(lanes, offer->mask);
        break;
    case EMULATE_LDMATRIX:
        resolve_ldmatrix(lanes, false);
        break;
    case EMULATE_LDMATRIX_TRANSPOSED:
        resolve_ldmatrix(lanes, true);
        break;
    case EMULATE_MMA:
        resolve_mma(lanes);
        break;
    default:
        break;
    }
}
