"""PTX on the CPU: what NVRTC makes of the CUDA kernels, one instruction after the
other, for ptx_kernels.py.

    module = Module(nvrtc.ptx(...))
    memory = Memory()
    at = memory.put(array)
    module.run("norm_rows", memory, params, blocks=(4, 1), threads=128)
    memory.get(at, array)

Written from the PTX ISA alone, and not from our emulation of the same kernels
(emulate.h), with which it has no line in common: what an instruction does, and
which lane of a warp has which number of a matrix. The threads of a block go on
together; of those that are apart the ones that are behind in the text go first, so
that they meet again. An instruction that is not known here is an error, and so is
an address outside of what was put into the memory, one that its bytes do not
divide, and a warp's instruction that not all of its lanes reach.

Shared memory begins as NaN, and so is what cp.async copies until it was waited for.
Sums of products (mma) and fma are taken in double and rounded once or twice, which
a card does in another way: results are near to a card's, not equal.
"""

import numpy as np

from ptx_memory import Wrong, gather
from ptx_numbers import NARROW, e4m3_bits
from ptx_text import kernels_of
from ptx_warp import WARP, Warps

NUMBERS = {"u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64,
           "s16": np.int16, "s32": np.int32, "s64": np.int64,
           "f32": np.float32, "f64": np.float64}
NUMBERS |= {"b" + t[1:]: NUMBERS[t] for t in ("u8", "u16", "u32", "u64")}
# What is one function of numpy's; min and max give the other of a NaN.
PLAIN = {"add": np.add, "sub": np.subtract, "rem": np.remainder, "min": np.fmin,
         "max": np.fmax, "and": np.bitwise_and, "or": np.bitwise_or,
         "xor": np.bitwise_xor, "not": np.invert, "neg": np.negative, "abs": np.abs,
         "sqrt": np.sqrt, "rcp": np.reciprocal}
SHARED = 1 << 40  # where generic addresses have the block's shared memory


class Module:
    def __init__(self, text):
        self.kernels = kernels_of(text)

    def run(self, name, memory, params, blocks=(1, 1), threads=WARP, shared=0):
        """PARAMS: the bytes of its struct."""
        for y in range(blocks[1]):
            for x in range(blocks[0]):
                Block(self.kernels[name], memory, params, (x, y), blocks, threads,
                      shared).run()


# ---- a block ---------------------------------------------------------------------

READY, WAITS, DONE = range(3)


class Block(Warps):
    def __init__(self, kernel, memory, params, block, grid, threads, shared):
        self.kernel, self.memory = kernel, memory
        self.params = np.frombuffer(params, np.uint8)
        all_ = np.arange(threads)
        self.registers = {
            "%tid.x": all_.astype(np.uint64), "%laneid": all_.astype(np.uint64) % 32}
        for word, numbers in (("ctaid", block), ("nctaid", grid),
                              ("ntid", (threads, 1))):
            for axis, number in zip("xy", numbers):
                self.registers[f"%{word}.{axis}"] = np.full(threads, number,
                                                            np.uint64)
        self.symbols, end = {}, 0
        for name, (bytes_, align) in kernel.arrays.items():
            self.symbols[name] = -(-end // align) * align
            end = self.symbols[name] + bytes_
        self.symbols["dynamic_shared"] = -(-end // 16) * 16
        self.shared = np.full(self.symbols["dynamic_shared"] + shared, 0xff, np.uint8)
        self.place = np.zeros(threads, int)
        self.state = np.full(threads, READY)
        self.copies = []  # (threads, groups, to, data [n, 16])
        self.groups = np.zeros(threads, int)  # of copies, that are closed

    def run(self):
        while True:
            ready = self.state == READY
            if not ready.any():
                if (self.state == DONE).all():
                    return
                self.state[self.state == WAITS] = READY
                continue
            self.now = np.nonzero(ready)[0]
            self.now = self.now[self.place[self.now] == self.place[self.now].min()]
            self.step()

    def step(self):
        guard, negated, words, operands = self.kernel.code[self.place[self.now[0]]]
        everyone = self.now
        self.place[everyone] += 1
        if guard:
            self.now = everyone[self.registers[guard][everyone] != negated]
        if not self.now.size:
            return
        try:
            with np.errstate(all="ignore"):
                if words[0] in PLAIN:
                    self.apply(words, operands, PLAIN[words[0]])
                else:
                    getattr(self, "do_" + words[0])(words, operands)
        except (Wrong, AttributeError, KeyError, IndexError) as error:
            raise Wrong(f"{'.'.join(words)} {operands}: {error!r}") from error

    # ---- registers

    def read(self, what, type_):
        """What each of the threads at hand has there."""
        if type_ == "pred":
            return (self.registers[what][self.now] if isinstance(what, str)
                    else np.full(self.now.size, what != 0))
        number = NUMBERS[type_]
        size = np.dtype(number).itemsize
        if isinstance(what, str):
            bits = (self.registers[what][self.now] if what[0] == "%"
                    else np.full(self.now.size, self.symbols[what], np.uint64))
        else:
            bits = np.full(self.now.size, what & (1 << 64) - 1, np.uint64)
        return bits.astype(f"u{size}").view(number)

    def write(self, what, type_, value):
        if what == "_":
            return
        if type_ == "pred":
            bits = np.asarray(value, bool)
        else:
            number = np.dtype(NUMBERS[type_])
            bits = np.asarray(value).astype(number).view(
                f"u{number.itemsize}").astype(np.uint64)
        room = self.registers.setdefault(
            what, np.zeros(self.place.size, bits.dtype))
        room[self.now] = bits

    # ---- arithmetic

    def apply(self, words, operands, function):
        """To all but the first, which takes the result."""
        if {"rz", "rm", "rp", "sat"} & set(words):
            raise Wrong("this rounding is not known here")
        self.write(operands[0], words[-1],
                   function(*(self.read(o, words[-1]) for o in operands[1:])))

    def do_mul(self, words, o):
        if "wide" in words:
            wide = f"{words[-1][0]}{2 * int(words[-1][1:])}"
            a, b = (self.read(x, words[-1]).astype(NUMBERS[wide]) for x in o[1:])
            self.write(o[0], wide, a * b)
        elif "hi" in words:
            if words[-1] not in ("u16", "u32"):
                raise Wrong("the upper half of this product is not known here")
            self.apply(words, o, lambda a, b: a.astype(np.uint64) * b.astype(
                np.uint64) >> np.uint64(8 * a.itemsize))
        else:
            self.apply(words, o, np.multiply)

    def do_mad(self, words, o):
        self.apply(words, o, lambda a, b, c: a * b + c)

    def do_fma(self, words, o):
        self.apply(words, o, lambda a, b, c: a.astype(np.float64) * b + c)

    def do_div(self, words, o):
        self.apply(words, o, np.divide if words[-1][0] == "f" else np.floor_divide)

    def shift(self, words, o, function):
        a, by = self.read(o[1], words[-1]), self.read(o[2], "u32")
        bits = a.itemsize * 8
        moved = function(a, np.minimum(by, bits - 1).astype(a.dtype))
        out = a >> (bits - 1) if words[0] == "shr" and words[-1][0] == "s" else 0
        self.write(o[0], words[-1], np.where(by < bits, moved, out))

    def do_shl(self, words, o):
        self.shift(words, o, np.left_shift)

    def do_shr(self, words, o):
        self.shift(words, o, np.right_shift)

    def do_ex2(self, words, o):
        """ftz: numbers below the normal ones are 0, coming in and going out."""
        def flush(x):
            return np.where(np.abs(x) < 2.0 ** -126, np.copysign(0, x), x)
        if "ftz" not in words:
            raise Wrong("ex2 without ftz is not known here")
        self.apply(words, o, lambda a: flush(np.exp2(flush(a.astype(np.float64)))))

    def do_popc(self, words, o):
        self.write(o[0], "u32", np.bitwise_count(self.read(o[1], words[-1])))

    def do_bfi(self, words, o):
        into, at, length = (self.read(o[2], words[-1]).astype(np.uint64),
                            self.read(o[3], "u32") & 255, self.read(o[4], "u32") & 255)
        mask = ((np.uint64(1) << length.astype(np.uint64)) - 1) << at.astype(np.uint64)
        bits = self.read(o[1], words[-1]).astype(np.uint64) << at.astype(np.uint64)
        self.write(o[0], words[-1], (into & ~mask) | (bits & mask))

    def do_selp(self, words, o):
        self.write(o[0], words[-1], np.where(
            self.read(o[3], "pred"), self.read(o[1], words[-1]),
            self.read(o[2], words[-1])))

    def do_setp(self, words, o):
        """ltu and the like are true of NaN too."""
        a, b = self.read(o[1], words[-1]), self.read(o[2], words[-1])
        if words[1] == "nan":
            truth = np.isnan(a) | np.isnan(b)
        else:
            float_ = words[-1][0] == "f"
            nan = (np.isnan(a) | np.isnan(b)) if float_ else np.zeros(a.size, bool)
            truth = {"eq": np.equal, "ne": np.not_equal, "lt": np.less,
                     "le": np.less_equal, "gt": np.greater,
                     "ge": np.greater_equal}[words[1][:2]](a, b)
            truth = np.where(nan, words[1][2:] == "u", truth)
        self.write(o[0], "pred", truth)

    # ---- moves

    def do_mov(self, words, o):
        """A word of two halves has the first of them below."""
        half = {"b32": 16, "b64": 32}.get(words[-1])
        if isinstance(o[1], list):
            low, high = (self.read(x, f"u{half}").astype(np.uint64) for x in o[1])
            self.write(o[0], words[-1], low | high << np.uint64(half))
        elif isinstance(o[0], list):
            word = self.read(o[1], words[-1])
            self.write(o[0][0], f"u{half}", word & (1 << half) - 1)
            self.write(o[0][1], f"u{half}", word >> half)
        else:
            self.write(o[0], words[-1], self.read(o[1], words[-1]))

    def do_cvta(self, words, o):
        """Generic addresses are those of global memory, or lie in the window."""
        moved = SHARED if "shared" in words else 0
        at = self.read(o[1], "u64")
        self.write(o[0], "u64", at - moved if "to" in words else at + moved)

    def do_cvt(self, words, o):
        to, from_ = words[-2:]
        if words[1:-2] not in ([], ["rn"], ["rzi"], ["rn", "satfinite"]):
            raise Wrong("this conversion is not known here")
        if to in ("f16", "bf16"):
            self.write(o[0], "u16", NARROW[to][0](self.read(o[1], from_)))
        elif to in ("f16x2", "bf16x2"):  # the first operand is the upper half
            high, low = (NARROW[to[:-2]][0](self.read(x, from_)) for x in o[1:])
            self.write(o[0], "u32", low | high.astype(np.uint32) << 16)
        elif to == "e4m3x2":
            high, low = (e4m3_bits(self.read(x, from_)) for x in o[1:])
            self.write(o[0], "u16", low | high << 8)
        elif from_ in NARROW:
            self.write(o[0], to, NARROW[from_][1](self.read(o[1], "u16")))
        elif "rzi" in words:
            ends = np.iinfo(NUMBERS[to])
            whole = np.trunc(np.nan_to_num(self.read(o[1], from_).astype(np.float64)))
            self.write(o[0], to, np.clip(whole, ends.min, ends.max))
        else:
            self.write(o[0], to, self.read(o[1], from_))

    def addresses(self, what, bytes_):
        base, offset = what
        at = self.read(base, "u64" if isinstance(base, str) and base[:3] == "%rd"
                       else "u32").astype(np.int64) + offset
        if (at % bytes_).any():
            raise Wrong(f"an address that is no multiple of {bytes_}")
        return at

    def space(self, words, what, bytes_):
        """The buffer, and where in it."""
        at = self.addresses(what, bytes_)
        if "shared" not in words and (at >= SHARED).all():
            at = at - SHARED
        elif "shared" not in words:
            return self.memory.buffer, self.memory.places(at, bytes_)
        if (at < 0).any() or (at + bytes_ > self.shared.size).any():
            raise Wrong("an address outside of shared memory")
        return self.shared, at

    def do_ld(self, words, o):
        to = o[0] if isinstance(o[0], list) else [o[0]]
        number = np.dtype(NUMBERS[words[-1]])
        bytes_ = number.itemsize * len(to)
        if "param" in words:
            begin = o[1][1]
            data = np.broadcast_to(self.params[begin:begin + bytes_],
                                   (self.now.size, bytes_))
        else:
            data = gather(*self.space(words, o[1], bytes_), bytes_)
        data = np.ascontiguousarray(data).view(number)
        for i, register in enumerate(to):
            self.write(register, words[-1], data[:, i].copy())

    def do_st(self, words, o):
        values = o[1] if isinstance(o[1], list) else [o[1]]
        data = np.stack([self.read(v, words[-1]) for v in values], 1)
        data = np.ascontiguousarray(data).view(np.uint8)
        buffer, at = self.space(words, o[0], data.shape[1])
        buffer[at[:, None] + np.arange(data.shape[1])] = data

    # ---- the way

    def do_bra(self, words, o):
        self.place[self.now] = self.kernel.labels[o[0]]

    def do_ret(self, words, o):
        self.state[self.now] = DONE

    def do_bar(self, words, o):
        if words[1] == "warp":
            self.warps(self.read(o[0], "u32"))
        elif o == [0]:
            self.state[self.now] = WAITS
        else:
            raise Wrong("a barrier of some threads")

    # ---- copies

    def do_cp(self, words, o):
        if words[1:3] == ["async", "commit_group"]:
            self.groups[self.now] += 1
        elif words[1:3] == ["async", "wait_group"]:
            self.arrive(o[0])
        elif words[1:] == ["async", "cg", "shared", "global"] and o[2] == 16:
            self.copy(o)
        else:
            raise Wrong("this copy is not known here")

    def copy(self, o):
        """Behind the bytes that are copied are zeros; of none nothing is read."""
        count = self.read(o[3], "u32") if len(o) > 3 else np.full(self.now.size, 16)
        if not np.isin(count, (0, 16)).all():
            raise Wrong("a part of 16 bytes")
        _, to = self.space(["shared"], o[0], 16)
        from_ = self.addresses(o[1], 16)
        data = np.zeros((self.now.size, 16), np.uint8)
        there = count == 16
        if there.any():
            data[there] = gather(self.memory.buffer,
                                 self.memory.places(from_[there], 16), 16)
        self.shared[to[:, None] + np.arange(16)] = 0xff
        self.copies.append((self.now, self.groups[self.now], to, data))

    def arrive(self, left):
        """All but the LEFT newest groups of the threads at hand."""
        still = []
        for threads, groups, to, data in self.copies:
            there = (np.isin(threads, self.now) &
                     (groups < self.groups[threads] - left))
            self.shared[to[there, None] + np.arange(16)] = data[there]
            if not there.all():
                still.append(tuple(x[~there] for x in (threads, groups, to, data)))
        self.copies = still

