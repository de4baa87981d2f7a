"""The files of a collection with sparse vectors and multivectors, as NumPy,
SciPy and a JSON parser read them.

    tests/run/artefacts.py build/test_run_artefacts
"""
import hashlib
import json
import sys

import judge

try:
    import numpy as np
    import scipy.sparse
except ImportError as missing:
    judge.skip(f"{missing} (tools/test installs it)")

WIDTH, TERMS, TOKEN_WIDTH, ITEMS_MAX = 4, 500, 3, 6
MEMBERS = {"alpha": 0, "beta": 1, "gamma": 2}


def count(member, n):
    return (n * 5 + member) % (ITEMS_MAX + 1)


def indices(member, n):
    return [n + 70 * j + member for j in range(count(member, n))]


def values(member, n, size):
    return [(n * 8 + j + member * 3 + 1) / 16 for j in range(size)]


def terms(i):
    """Of chunk I, by the rule of the original system: the first 32 bits of
    SHA-1, and a weight over the root of the sum of squares."""
    if i % 4 == 0:
        return []
    pairs = [(int(hashlib.sha1(t.encode()).hexdigest()[:8], 16), w)
             for t, w in ((f"t{i}", 3 / 5), ("u", 4 / 5))]
    return sorted((index, float(np.float32(w))) for index, w in pairs)


def check_point(point, i, n):
    """What points.jsonl says of chunk I, which is "text N"."""
    vectors = dict(point["vector"])
    own = vectors.pop("chunk-terms-sparse")
    assert own["indices"] == [p[0] for p in terms(i)]
    assert np.array_equal(np.float32(own["values"]),
                          np.float32([p[1] for p in terms(i)]))
    assert vectors.pop("alpha") == values(0, n, WIDTH)
    for key in ("alpha", "beta"):
        size = count(MEMBERS[key], n)
        expected = {"indices": indices(MEMBERS[key], n),
                    "values": values(MEMBERS[key], n, size)}
        assert vectors.pop(f"{key}-sparse") == expected
    for key in ("alpha", "gamma"):
        size = count(MEMBERS[key], n)
        expected = np.reshape(values(MEMBERS[key], n, size * TOKEN_WIDTH),
                              (size, TOKEN_WIDTH)).tolist()
        # Qdrant refuses an empty multivector, and takes a point without it.
        assert (f"{key}-multi" in vectors) == (size > 0)
        assert vectors.pop(f"{key}-multi", []) == expected
    assert not vectors, vectors


def main():
    with judge.files_of(sys.argv[1]) as top:
        folder = top / "all"
        texts = [int(json.loads(line).split()[1])
                 for line in (folder / "texts.jsonl").read_text().splitlines()]
        assert len(texts) == 60 and len(set(texts)) < 60
        points = [json.loads(line)
                  for line in (folder / "points.jsonl").read_text().splitlines()]
        assert len(points) == len(texts)
        for i, (point, n) in enumerate(zip(points, texts)):
            assert point["payload"]["text"] == f"text {n}"
            assert point["payload"]["chunk_id"] == f"c{i}"
            check_point(point, i, n)

        dense = np.load(folder / "embeddings.npy")
        assert np.array_equal(dense, [values(0, n, WIDTH) for n in texts])
        for key in ("alpha", "beta"):
            rows = scipy.sparse.load_npz(folder / f"{key}.sparse.npz")
            assert rows.shape == (len(texts), TERMS)
            expected = np.zeros(rows.shape, np.float32)
            for i, n in enumerate(texts):
                expected[i, indices(MEMBERS[key], n)] = values(
                    MEMBERS[key], n, count(MEMBERS[key], n))
            assert np.array_equal(rows.toarray(), expected)
        own = scipy.sparse.load_npz(folder / "chunk-terms.sparse.npz")
        assert own.shape == (len(texts), 2**32)
        for i in range(len(texts)):
            begin, end = own.indptr[i:i + 2]
            got = list(zip(own.indices[begin:end].tolist(),
                           own.data[begin:end].tolist()))
            assert got == terms(i), (i, got)
        stats = json.loads((folder / "stats.json").read_text())["vectors"]
        for key in ("alpha", "gamma"):
            rows = np.load(folder / f"{key}.multi.npy")
            ends = np.load(folder / f"{key}.multi.offsets.npy")
            counts = [count(MEMBERS[key], n) for n in texts]
            assert np.array_equal(np.diff(ends.astype(np.int64)), counts)
            for i, n in enumerate(texts):
                got = rows[int(ends[i]):int(ends[i + 1])].ravel()
                assert np.array_equal(got, values(MEMBERS[key], n, got.size))
            assert stats[f"{key}-multi"] == {
                "kind": "multi", "rows": len(texts), "width": TOKEN_WIDTH,
                "vectors": sum(counts), "most_in_a_row": max(counts),
                "empty": counts.count(0)}
        assert stats["beta-sparse"]["width"] == TERMS
    print("every row is in its place in every file")


main()
