"""f16, bf16 and e4m3 as bits, by numpy: as PTX's cvt.rn makes them of floats, to
nearest, halves to even, with 0x7fff (of e4m3 0x7f) for NaN."""

import numpy as np


def f16_bits(x):
    with np.errstate(over="ignore"):
        bits = x.astype(np.float16).view(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7fff), bits)


def f16_value(bits):
    return bits.astype(np.uint16).view(np.float16).astype(np.float32)


def bf16_bits(x):
    bits = x.view(np.uint32).astype(np.uint64)
    near = bits + 0x7fff + (bits >> 16 & 1) >> 16
    return np.where(np.isnan(x), 0x7fff, near).astype(np.uint16)


def bf16_value(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


# Of codes 0 to 0x7e, 448; 0x7f would be NaN.
E4M3 = np.array([(8 + c % 8) * 2.0 ** (c // 8 - 10) if c >= 8 else c * 2.0 ** -9
                 for c in range(0x7f)])


def e4m3_bits(x):
    """satfinite: what is larger than 448 becomes it."""
    size = np.minimum(np.abs(np.where(np.isnan(x), 0, x)).astype(np.float64), 448)
    above = np.searchsorted(E4M3, size)
    below = np.maximum(above, 1) - 1
    up, down = E4M3[above] - size, size - E4M3[below]
    code = np.where((up < down) | ((up == down) & (above % 2 == 0)), above, below)
    code = code | np.where(np.signbit(x), 0x80, 0)
    return np.where(np.isnan(x), 0x7f, code).astype(np.uint16)


NARROW = {"f16": (f16_bits, f16_value), "bf16": (bf16_bits, bf16_value)}
