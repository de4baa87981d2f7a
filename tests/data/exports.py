"""What test_data_exports writes, as SciPy and NumPy read it.

    python tests/data/exports.py PATH/TO/test_data_exports
"""

import pathlib
import subprocess
import sys
import tempfile
import zipfile

try:
    import numpy as np
    import scipy.sparse
except ImportError as missing:
    print(f"skip: all: {missing}")
    sys.exit(0)

DIM = 5


def count(i):
    return i * i % 7


def index(i, j, columns):
    return columns - 1 if i % 5 == 0 and j + 1 == count(i) else i % 3 + j * 37


def value(i, j):
    return (i * 31 + j * 7) % 101 / 8 - 3


def check_sparse(path, rows, columns, index_type):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None, "a checksum is wrong"
        assert {m.date_time for m in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {m.compress_type for m in archive.infolist()} == {zipfile.ZIP_STORED}
    with np.load(path) as arrays:
        assert arrays["indices"].dtype == index_type, arrays["indices"].dtype
        assert arrays["indptr"].dtype == np.int64
        assert arrays["data"].dtype == np.float32
    got = scipy.sparse.load_npz(path)
    assert got.format == "csr" and got.shape == (rows, columns), got.shape
    got.check_format(full_check=True)
    assert got.has_canonical_format
    ends = np.cumsum([0] + [count(i) for i in range(rows)])
    assert np.array_equal(got.indptr, ends)
    pairs = [(index(i, j, columns), value(i, j)) for i in range(rows) for j in range(count(i))]
    assert np.array_equal(got.indices, [p[0] for p in pairs])
    assert np.array_equal(got.data, np.array([p[1] for p in pairs], np.float32))


def check_multi(vectors, offsets, points):
    vectors, offsets = np.load(vectors, mmap_mode="r"), np.load(offsets)
    assert offsets.dtype == np.uint64 and vectors.dtype == np.float32
    assert np.array_equal(offsets, np.cumsum([0] + [count(i) for i in range(points)]))
    assert vectors.shape == (offsets[-1], DIM)
    for i in range(points):
        expected = [value(i, j) for j in range(count(i) * DIM)]
        rows = vectors[int(offsets[i]) : int(offsets[i + 1])]
        assert np.array_equal(rows.ravel(), np.array(expected, np.float32))


def main(program):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        subprocess.run([program, "write", folder], check=True)
        check_sparse(folder / "none.npz", 0, 30522, np.int32)
        check_sparse(folder / "small.npz", 50, 30522, np.int32)
        check_sparse(folder / "hashed.npz", 50, 2**31 + 1, np.int64)
        check_sparse(folder / "words.npz", 50, 2**32, np.int64)
        check_sparse(folder / "many.npz", 100000, 30522, np.int32)
        check_sparse(folder / "zip64.npz", 50, 30522, np.int32)
        check_sparse(folder / "places64.npz", 50, 30522, np.int32)
        check_multi(folder / "multi.npy", folder / "offsets.npy", 50)
        check_multi(folder / "multi-none.npy", folder / "offsets-none.npy", 0)
        small = (folder / "small.npz").read_bytes()
        assert small == (folder / "again.npz").read_bytes()
        assert small != (folder / "zip64.npz").read_bytes()
        left = [f.name for f in folder.iterdir() if f.suffix in (".part", ".indices", ".indptr")]
        assert not left, left
    print("SciPy and NumPy read what was written")


main(sys.argv[1])
