"""Instructions of PTX that the lanes of a warp execute together, for ptx.py: what they
tell each other, and products of matrices of which each lane has a part."""

import numpy as np

from ptx_memory import Wrong, gather
from ptx_numbers import NARROW

WARP, WHOLE = 32, 0xffffffff


class Warps:
    """What a Block has besides: it reads and writes registers, and says which of its
    threads are at hand."""

    def warps(self, masks=None):
        """[warps, 32], where all lanes of the masks are; the others are -1."""
        lane = self.now % WARP
        lanes = np.full((-(-self.place.size // WARP), WARP), -1)
        lanes[self.now // WARP, lane] = np.arange(self.now.size)
        there = ((lanes >= 0) @ (1 << np.arange(WARP)))[self.now // WARP]
        masks = np.full(lane.size, WHOLE) if masks is None else masks.astype(np.int64)
        if (masks & ~there | ~(masks >> lane) & 1).any():
            raise Wrong(f"lanes {there[0]:08x} are there, of {masks[0]:08x}")
        return lanes[(lanes >= 0).any(1)]

    def do_shfl(self, words, o):
        to, _, found = o[0].partition("|")
        value, by, bounds, masks = (self.read(x, "u32") for x in o[1:])
        lane = (self.now % WARP).astype(np.int64)
        segment, clamp = (bounds >> 8 & 31).astype(int), (bounds & 31).astype(int)
        least, most = lane & segment, (lane & segment) | (clamp & ~segment)
        by = by.astype(np.int64) & 31
        from_ = {"up": lane - by, "down": lane + by, "bfly": lane ^ by,
                 "idx": least | (by & ~segment)}[words[2]]
        fine = from_ >= most if words[2] == "up" else from_ <= most
        from_ = np.where(fine, from_, lane)
        got = value.copy()
        for lanes in self.warps(masks):
            there = lanes[lanes >= 0]
            source = lanes[from_[there]]
            if (source < 0).any():
                raise Wrong("the value of a lane that is not there")
            got[there] = value[source]
        self.write(to, "u32", got)
        if found:
            self.write(found, "pred", fine)

    def do_vote(self, words, o):
        votes = self.read(o[1], "pred")
        got = np.zeros(self.now.size, np.uint32)
        for lanes in self.warps(self.read(o[2], "u32")):
            there = lanes >= 0
            got[lanes[there]] = sum(1 << int(i) for i in np.nonzero(there)[0]
                                    if votes[lanes[i]])
        self.write(o[0], "u32", got)

    # ---- matrices

    def do_ldmatrix(self, words, o):
        """Lanes 8 m to 8 m + 7 have the rows of matrix m."""
        if words[1:5] != ["sync", "aligned", "m8n8", "x4"]:
            raise Wrong("this shape is not known here")
        rows = gather(*self.space(words, o[1], 16), 16).view(np.uint16)
        lanes, lane = self.warps(), np.arange(WARP)
        matrices = rows[lanes].reshape(-1, 4, 8, 8)
        if "trans" in words:
            matrices = matrices.swapaxes(2, 3)
        low, high = (matrices[:, :, lane // 4, lane % 4 * 2 + i].astype(np.uint32)
                     for i in range(2))
        for m, register in enumerate(o[0]):
            result = np.zeros(self.now.size, np.uint32)
            result[lanes] = low[:, m] | high[:, m] << 16
            self.write(register, "u32", result)

    def do_mma(self, words, o):
        """Which lane has which number is the ISA's figures "MMA .m16n8k8 fragment
        layout" and "MMA .m16n8k16", for .f16 and .bf16."""
        if (words[1:3] != ["sync", "aligned"] or words[4:7] != ["row", "col", "f32"]
                or words[7] != words[8] or words[7] not in NARROW):
            raise Wrong("this product is not known here")
        depth = {"m16n8k8": 8, "m16n8k16": 16}[words[3]]
        value = NARROW[words[7]][1]
        a, b = (self.halves(part, value) for part in o[1:3])
        c = [self.read(x, "f32") for x in o[3]]
        if (len(a), len(b), len(c)) != (depth // 2, depth // 4, 4):
            raise Wrong("registers of another product")
        lanes = self.warps()
        lane = np.arange(WARP)
        group, thread = lane >> 2, lane % 4
        left, right = np.zeros((len(lanes), 16, depth)), np.zeros((len(lanes), depth, 8))
        sums = np.zeros((len(lanes), 16, 8))
        for i, x in enumerate(a):
            row = group if i < 2 or 4 <= i < 6 else group + 8
            left[:, row, thread * 2 + (i & 1) + (8 if i >= 4 else 0)] = x[lanes]
        for i, x in enumerate(b):
            right[:, thread * 2 + (i & 1) + (8 if i >= 2 else 0), group] = x[lanes]
        for i, x in enumerate(c):
            sums[:, group + (8 if i >= 2 else 0), thread * 2 + (i & 1)] = x[lanes]
        sums += left @ right
        for i, (register, x) in enumerate(zip(o[0], c)):
            x[lanes] = sums[:, group + (8 if i >= 2 else 0), thread * 2 + (i & 1)]
            self.write(register, "f32", x)

    def halves(self, registers, value):
        """The lower one of each first."""
        words = [self.read(x, "u32") for x in registers]
        return [value(bits) for w in words for bits in (w & 0xffff, w >> 16)]
