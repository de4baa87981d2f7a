#!/usr/bin/env python3
"""Do kernels do what they say once NVRTC has made PTX of them?

    python3 tests/device/cuda/ptx_kernels.py [--all] [folder of Python packages]

The inline PTX of prelude.cu is what no other test executes: the emulation of
kernels (emulate.h) has its own functions in its place. Here the PTX is run, by
ptx.py, and held against numpy: the test kernels (test_kernels.cu), which have each
function of the prelude, and attention by tensor cores; with --all at every width,
for every kind of card and by each NVRTC that is there, and norms and rows in e4m3.
Needs no card, only the packages of tests/requirements-cuda.txt.
"""

import argparse
import ctypes
import glob
import os
import re
import struct
import sys
import sysconfig

try:
    import numpy as np
except ModuleNotFoundError:
    print("skip: no numpy here (tests/requirements.txt)")
    sys.exit(0)

from ptx import Module
from ptx_memory import Memory, Wrong
from ptx_numbers import NARROW, bf16_bits, bf16_value, e4m3_bits

KERNELS = "src/device/cuda/kernels"
TESTS = "tests/device/cuda/test_kernels.cu"
ROTARY, ALL = 64, 0xffffffff
TYPES = {1: NARROW["f16"], 2: NARROW["bf16"]}


# ---- NVRTC -----------------------------------------------------------------------

class Nvrtc:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)

    def text(self, program, what):
        size = ctypes.c_size_t()
        getattr(self.library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        room = ctypes.create_string_buffer(size.value)
        getattr(self.library, f"nvrtcGet{what}")(program, room)
        return room.value.decode()

    def module(self, path, arch, **defines):
        """As the program compiles it (cuda_compile.c), but for no card."""
        options = [f"--gpu-architecture=compute_{arch}", "--std=c++17", "--fmad=true"]
        options += [f"-D{name}={value}" for name, value in defines.items()]
        program = ctypes.c_void_p()
        self.library.nvrtcCreateProgram(ctypes.byref(program), source(path).encode(),
                                        b"kernels.cu", 0, None, None)
        failed = self.library.nvrtcCompileProgram(
            program, len(options),
            (ctypes.c_char_p * len(options))(*[o.encode() for o in options]))
        if failed:
            sys.exit(f"{path} {options}: {self.text(program, 'ProgramLog')}")
        text = self.text(program, "PTX")
        self.library.nvrtcDestroyProgram(ctypes.byref(program))
        return Module(text)


def source(path):
    """What embed.cmake makes one text of."""
    with open("src/device/cuda/embed.cmake", encoding="utf-8") as file:
        names = re.search(r"foreach\(part ([^$]*)\$", file.read()).group(1).split()
    text = ""
    for part in [f"{KERNELS}/{name}" for name in names] + [path]:
        with open(part, encoding="utf-8") as file:
            text += f'#line 1 "{os.path.basename(part)}"\n{file.read()}\n'
    return text


def find(folder):
    """The newest first."""
    return [Nvrtc(path) for path in sorted(
        glob.glob(f"{folder}/nvidia/**/libnvrtc.so.1[0-9]", recursive=True),
        key=os.path.basename, reverse=True)]


# ---- what is compared ------------------------------------------------------------

def same(name, got, want):
    if not np.array_equal(got, want, equal_nan=got.dtype.kind == "f"):
        at = np.nonzero(~((got == want) | ((got != got) & (want != want))))
        raise Wrong(f"{name}: at {[int(i[0]) for i in at]} {got[at][0]}, not "
                    f"{want[at][0]}")


def near(name, got, want, most):
    off = np.abs(got.astype(np.float64) - want)
    if not off.max() <= most:
        at = np.unravel_index(np.argmax(np.nan_to_num(off, nan=np.inf)), off.shape)
        raise Wrong(f"{name}: at {[int(i) for i in at]} {got[at]}, not {want[at]}")


class Call:
    """A launch: its memory, and its parameters as params.h or the test kernel has
    them."""

    def __init__(self, *values):
        """Arrays go to the card, None is no address; other numbers are 32 bits."""
        self.memory, self.params, self.places = Memory(), b"", {}
        for value in values:
            if value is None or isinstance(value, np.ndarray):
                at = 0 if value is None else self.memory.put(value)
                self.places[id(value)] = at
                self.align()
                self.params += struct.pack("Q", at)
            else:
                self.params += struct.pack("f" if isinstance(value, float) else "I",
                                           value)
        self.align()

    def align(self):
        self.params += b"\0" * (-len(self.params) % 8)

    def run(self, module, kernel, *results, **launch):
        """What became of some of the arrays."""
        module.run(kernel, self.memory, self.params, **launch)
        got = [self.memory.get(self.places[id(r)], r) for r in results]
        return got if len(got) > 1 else got[0]


def numbers_of(random, count):
    """All sizes that the narrow types tell apart, ties, and what is none."""
    x = random.standard_normal(count) * 2.0 ** random.integers(-30, 18, count)
    x[:8] = [0, -0.0, np.inf, -np.inf, np.nan, 65520, 448, -464]
    odd = np.arange(1, 17, 2)
    for i, unit in enumerate((-25, -10, -11, -8, -4)):  # of halves and of steps
        x[8 * i + 8:8 * i + 16] = (unit > -25) + odd * 2.0 ** unit
    return x.astype(np.float32)


# ---- the test kernels ------------------------------------------------------------

def test_numbers(module, narrow, e4m3):
    bits, value = TYPES[narrow]
    threads = 512
    x = numbers_of(np.random.default_rng(1), 4 * threads)
    words, floats = np.zeros(2 * threads, np.uint32), np.zeros(4 * threads, np.float32)
    unpacked, widened, powers = floats.copy(), floats.copy(), floats.copy()
    rounded, codes = np.zeros(4 * threads, np.uint16), np.zeros(threads, np.uint32)
    got = Call(x, words, unpacked, rounded, widened, powers, codes).run(
        module, "test_numbers", words, unpacked, rounded, widened, powers, codes,
        threads=threads)
    want = bits(x)
    same("pack2", got[0], want.view(np.uint32))
    same("unpack2", got[1], value(want))
    same("round_narrow", got[2], want)
    same("widen", got[3], value(want))
    with np.errstate(over="ignore"):
        power = np.exp2(x.astype(np.float64)).astype(np.float32)
    same("exp2_quick", got[4], np.where(power < 2.0 ** -126, 0, power))
    if e4m3:
        same("pack4_e4m3", got[5], e4m3_bits(x).astype(np.uint8).view(np.uint32))


def test_warp(module):
    y, lane = np.zeros((5, 32), np.uint32), np.arange(32)
    got = Call(y, 0).run(module, "test_warp", y)
    third, down = lane // 8 * 8 + 3, np.where(lane < 28, lane + 4, lane)
    votes = sum(1 << i for i in range(0, 32, 3))
    same("shuffles and a vote", got, np.array(
        [(lane ^ 5) ** 2 + 1, third ** 2 + 1, down ** 2 + 1, 0 * lane + votes,
         np.where(lane < 16, 120, lane)], np.uint32))


def test_copy(module, late):
    x, y = np.arange(128, dtype=np.float32), np.zeros(257, np.float32)
    thread = np.arange(128) // 4
    for wait in range(3):
        got = Call(x, y, wait, 0).run(module, "test_copy", y)
        nan = np.full(128, np.nan, np.float32)
        second = np.where(thread % 2, np.float32(0), x)
        same(f"copies of which {wait} are waited for", got[:256], np.concatenate(
            [nan if late and wait < 1 else x, nan if late and wait < 2 else second]))


def test_mma(module, narrow):
    bits, value = TYPES[narrow]
    random = np.random.default_rng(2)
    a, b = (bits(random.uniform(-1, 1, n).astype(np.float32)) for n in (256, 128))
    c, d = random.uniform(-1, 1, (16, 8)).astype(np.float32), np.zeros((16, 8),
                                                                      np.float32)
    for transposed in range(2):
        got = Call(a, b, c, d, transposed, 0).run(module, "test_mma", d)
        right = value(b).astype(np.float64)
        right = right.reshape(16, 8) if transposed else right.reshape(8, 16).T
        near("a product", got, value(a).astype(np.float64).reshape(16, 16) @ right + c,
             2e-6)


# ---- attention -------------------------------------------------------------------

def turned(x, cosine, sine):
    """[rows, heads, dims]: the second half of a head's numbers with the first."""
    half = x.shape[2] // 2
    c, s = cosine[:len(x), None, :], sine[:len(x), None, :]
    a, b = x[:, :, :half], x[:, :, half:]
    return np.concatenate([a * c - b * s, b * c + a * s], 2)


def attention(qkv, lengths, heads, kv_heads, scale, tables):
    out, begin = [], 0
    for length in lengths:
        rows = qkv[begin:begin + length]
        begin += length
        q, k, v = np.split(rows, [heads, heads + kv_heads], 1)
        if tables:
            q, k = turned(q, *tables), turned(k, *tables)
        k, v = (np.repeat(x, heads // kv_heads, 1) for x in (k, v))
        weights = np.exp(np.einsum("qhd,khd->hqk", q, k) * scale)
        weights /= weights.sum(2, keepdims=True)
        out.append(np.einsum("hqk,khd->qhd", weights, v))
    return np.concatenate(out)


def test_attention(nvrtc, arch, narrow, wide, head_dim, lengths, rotary=False):
    """Two heads of queries that have one of keys. Keys are turned by the kernel
    where they are one tile, as cuda_attention.c has it."""
    module = nvrtc.module(f"{KERNELS}/attention.cu", arch, NARROW=narrow,
                          HEAD_DIM=wide, FEATURES=ROTARY * rotary)
    bits, value = TYPES[narrow]
    random, heads, kv_heads = np.random.default_rng(3), 2, 1
    exact = random.standard_normal((sum(lengths), heads + 2 * kv_heads, head_dim))
    qkv = value(bits(exact.astype(np.float32)))
    context = np.zeros((sum(lengths), heads, head_dim), np.uint16)
    starts = np.cumsum([0] + lengths).astype(np.uint32)
    tiles = np.array([(t, row) for t, length in enumerate(lengths)
                      for row in range(0, length, 64)], np.uint32)
    angles = random.uniform(-3, 3, (max(lengths), head_dim // 2))
    tables = [f(angles).astype(np.float32) for f in (np.cos, np.sin)] if rotary else []
    want = attention(qkv.astype(np.float64), lengths, heads, kv_heads,
                     head_dim ** -0.5, tables)
    turns_keys = rotary and max(lengths) <= 64 and wide <= 128
    for t in range(len(lengths)) if rotary and not turns_keys else ():
        keys = qkv[starts[t]:starts[t + 1], heads:heads + kv_heads]
        keys[:] = turned(keys, *tables)
    call = Call(bits(qkv), context, starts, None, tiles, heads, kv_heads, head_dim,
                float(head_dim ** -0.5), ALL, ALL, None, 0, head_dim, 0,
                int(turns_keys), None, *(tables or [None, None]))
    got = call.run(module, "attend", context, blocks=(len(tiles), heads), threads=128,
                   shared=256 * wide)
    # Steps of what comes out, and as much for the weights and for Q and K.
    near("attention", value(got), want,
         2.0 ** (-10 if narrow == 1 else -7) * (6 if rotary else 3))


# ---- rows ------------------------------------------------------------------------

def test_norm(module, narrow, width):
    """A warp a row, and of wide rows a block."""
    random, rows = np.random.default_rng(4), 5
    x, residual = random.standard_normal((2, rows, width)).astype(np.float32)
    scale, shift = random.standard_normal((2, width)).astype(np.float32)
    y, z = np.zeros_like(x), np.zeros((rows, width), np.uint16)
    wide, rounded = Call(x, residual, scale, shift, y, z, rows, width, 1e-5, 0).run(
        module, "norm_rows", y, z, threads=128,
        blocks=(-(-rows // 4) if width <= 1024 else rows, 1))
    exact = x.astype(np.float64)
    exact = exact - exact.mean(1, keepdims=True)
    exact /= np.sqrt((exact ** 2).mean(1, keepdims=True) + 1e-5)
    near("a norm", wide, exact * scale + shift + residual, 1e-5)
    same("a norm, rounded", rounded, TYPES[narrow][0](wide))


def test_quantize(nvrtc, arch):
    module = nvrtc.module(f"{KERNELS}/fp8.cu", arch, NARROW=2)
    rows, width = 3, 272
    x = np.random.default_rng(5).standard_normal((rows, width)).astype(np.float32)
    x = bf16_value(bf16_bits(x * np.float32(30)))
    codes = np.zeros((rows, 2 * width), np.uint8)
    got = Call(bf16_bits(x), None, codes, rows, width).run(
        module, "quantize_rows", codes, threads=128)
    most = np.abs(x).max(1)
    same("scales", got[:, width:width + 4].copy().view(np.float32)[:, 0],
         most / np.float32(448))
    same("codes", got[:, :width],
         e4m3_bits(x * (np.float32(448) / most)[:, None]).astype(np.uint8))


# ---- all of them -----------------------------------------------------------------

def usual(nvrtc):
    for arch, narrow in ((75, 1), (80, 2), (89, 1)):
        module = nvrtc.module(TESTS, arch, NARROW=narrow)
        test_numbers(module, narrow, arch >= 89)
        test_warp(module)
        test_copy(module, arch >= 80)
        test_mma(module, narrow)
    test_attention(nvrtc, 75, 1, 32, 32, [70, 1])
    test_attention(nvrtc, 80, 2, 64, 64, [64, 17], rotary=True)


def every(nvrtc):
    for arch, narrow in ((75, 1), (80, 2), (120, 2)):
        module = nvrtc.module(f"{KERNELS}/rows.cu", arch, NARROW=narrow)
        for width in (100, 384, 1024, 1028, 4096, 5000):
            test_norm(module, narrow, width)
    for arch in (89, "90a", 120):
        test_quantize(nvrtc, arch)
    for arch, narrow in ((75, 1), (80, 1), (86, 2), (89, 1), ("90a", 2), (100, 1),
                         (120, 2)):
        for wide, head_dim in ((32, 24), (64, 64), (96, 80), (128, 128), (192, 160),
                               (256, 256)):
            test_attention(nvrtc, arch, narrow, wide, head_dim, [66, 3])
            if head_dim % 16 == 0:
                test_attention(nvrtc, arch, narrow, wide, head_dim, [40], rotary=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--all", action="store_true")
    parser.add_argument("folder", nargs="?", default=sysconfig.get_paths()["purelib"])
    options = parser.parse_args()
    found = find(options.folder)
    if not found:
        print("skip: NVRTC (tests/requirements-cuda.txt) is not installed")
        return 0
    usual(found[0])
    for nvrtc in found if options.all else []:
        usual(nvrtc)
        every(nvrtc)
    return 0


if __name__ == "__main__":
    sys.exit(main())
