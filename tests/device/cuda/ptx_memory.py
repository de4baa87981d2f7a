"""The card's memory for ptx.py: what was put into it, and nothing beside that."""

import numpy as np

ALIGNMENT = 256


class Wrong(Exception):
    """A kernel does what it must not, or what is not known here."""


def gather(buffer, at, bytes_):
    """[n] addresses: [n, bytes]."""
    return buffer[at[:, None] + np.arange(bytes_)]


class Memory:
    """The card's, in one piece; what is put into it lies apart."""

    def __init__(self, bytes_=1 << 20, base=1 << 36):
        self.base = base
        self.buffer = np.full(bytes_, 0xff, np.uint8)
        self.begins, self.ends = [], []

    def put(self, array):
        """Its address."""
        begin = ALIGNMENT + (self.ends[-1] if self.ends else 0)
        begin = -(-begin // ALIGNMENT) * ALIGNMENT
        data = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
        self.buffer[begin:begin + data.size] = data
        self.begins.append(begin)
        self.ends.append(begin + data.size)
        return self.base + begin

    def get(self, at, like):
        begin = at - self.base
        return self.buffer[begin:begin + like.nbytes].view(like.dtype).reshape(
            like.shape).copy()

    def places(self, at, bytes_):
        at = at.astype(np.int64) - self.base
        which = np.searchsorted(self.begins, at, "right") - 1
        if (which < 0).any() or (at + bytes_ > np.array(self.ends)[which]).any():
            raise Wrong("an address outside of the memory")
        return at
