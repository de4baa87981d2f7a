"""Arrays as NumPy writes them and fused vectors as NumPy computes them.

    python tools/make_array_fixtures.py

writes tests/fixtures/npy, tests/fixtures/fuse, tests/fuzz/corpus/npy and
tests/fuzz/corpus/npz anew.
Needs NumPy only.
"""

import io
import json
import pathlib

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent


def array(rows, width):
    """The values that tests/data/test_npy.c makes in the same way."""
    return (np.arange(rows * width, dtype=np.float32) / 8 - 1).reshape(rows, width)


def with_version(values, version):
    out = io.BytesIO()
    np.lib.format.write_array(out, values, version=version)
    return out.getvalue()


def headers():
    """Headers of shapes too large to write out, one behind the other."""
    out = io.BytesIO()
    for shape in [(0, 384), (1, 1), (738, 384), (10**9, 4096), (2**63, 2**31)]:
        np.lib.format.write_array_header_1_0(
            out, {"descr": "<f4", "fortran_order": False, "shape": shape}
        )
    return out.getvalue()


def npy():
    a = array(3, 5)
    good = {
        "3x5.npy": with_version(a, (1, 0)),
        "3x5-v2.npy": with_version(a, (2, 0)),
        "3x5-v3.npy": with_version(a, (3, 0)),
        "0x384.npy": with_version(array(0, 384), (1, 0)),
        "1x1.npy": with_version(array(1, 1), (1, 0)),
    }
    bad = {
        "bad-f8.npy": with_version(a.astype("<f8"), (1, 0)),
        "bad-big-endian.npy": with_version(a.astype(">f4"), (1, 0)),
        "bad-fortran.npy": with_version(np.asfortranarray(a), (1, 0)),
        "bad-1d.npy": with_version(a[0], (1, 0)),
        "bad-3d.npy": with_version(a.reshape(3, 5, 1), (1, 0)),
        "bad-no-columns.npy": with_version(array(3, 0), (1, 0)),
        "bad-record.npy": with_version(np.zeros((2, 2), [("x", "<f4")]), (1, 0)),
    }
    return good, bad


def npz(save):
    """What scipy.sparse.save_npz saves of a small matrix, by SAVE."""
    out = io.BytesIO()
    save(
        out,
        data=np.array([1, 2.5, -3], np.float32),
        indices=np.array([1, 4, 0], np.int32),
        indptr=np.array([0, 2, 2, 3], np.int64),
        shape=np.array([3, 6]),
        format=np.array(b"csr"),
    )
    return out.getvalue()


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def fuse(method, dim, weights, vectors):
    """The definition of docs: normalise, cut, normalise; then mean or concat."""
    share = np.array(weights, np.float64) / np.sum(weights)
    cut = [unit(unit(v.astype(np.float64))[: dim or len(v)]) for v in vectors]
    if method == "mean":
        return unit(sum(s * v for s, v in zip(share, cut)))
    return np.concatenate([np.sqrt(s) * v for s, v in zip(share, cut)])


def fuse_cases():
    rng = np.random.default_rng(7)
    for method, dim, weights, widths in [
        ("mean", 0, [1], [8]),
        ("mean", 0, [1, 1], [8, 8]),
        ("mean", 0, [0.5, 2, 1e-3], [33, 33, 33]),
        ("mean", 16, [3, 1], [24, 16]),
        ("concat", 0, [1, 1], [8, 5]),
        ("concat", 0, [0.7, 0.2, 1.6], [7, 31, 12]),
        ("concat", 4, [1, 9], [8, 4]),
    ]:
        scale = rng.choice([1e-20, 1, 37.5, 1e18], len(widths))
        vectors = [
            (s * rng.standard_normal(w)).astype(np.float32)
            for s, w in zip(scale, widths)
        ]
        yield {
            "method": method,
            "dim": dim,
            "weights": [float(w) for w in weights],
            "vectors": [[float(x) for x in v] for v in vectors],
            "fused": [float(x) for x in fuse(method, dim, weights, vectors)],
        }


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def main():
    good, bad = npy()
    for name, data in {**good, **bad}.items():
        write(ROOT / "tests/fixtures/npy" / name, data)
        write(ROOT / "tests/fuzz/corpus/npy" / name, data)
    write(ROOT / "tests/fixtures/npy/headers.bin", headers())
    write(ROOT / "tests/fixtures/npy/compressed.npz", npz(np.savez_compressed))
    write(ROOT / "tests/fuzz/corpus/npz/stored.npz", npz(np.savez))
    cases = json.dumps(list(fuse_cases()), indent=0).encode() + b"\n"
    write(ROOT / "tests/fixtures/fuse/cases.json", cases)


if __name__ == "__main__":
    main()
