"""What `ensembed search` answers, against NumPy and SciPy over the same files.

    tests/run/search.py build/ensembed

A question that is a chunk's own text has that chunk's rows as its own, for
models without prompts; ColBERT's queries are what sentence-transformers makes of
them (reference-heads.json of the model)."""
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import judge

try:
    import numpy
    import scipy.sparse
except ImportError:
    judge.skip("no NumPy or SciPy (tools/test installs them)")

MODELS = "tests/fixtures/models/"
TEXTS = ["def f(self, x): return [self.key[i] for i in x]",
         "the function returns a list of keys", "import class from module",
         "a list of functions, and what they return",
         "the function returns a list", "key, value and item in a list",
         "what returns a list? the function does, and the class",
         "nothing of the kind", "list list list function"]
RRF_K = 60


def run(program, *words):
    done = subprocess.run([program, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def answers(program, out, question, *words):
    hits = json.loads(run(program, "search", str(out), question, "--json",
                          *words))["hits"]
    return [(h["collection"], h["row"], h["score"], h["by"]) for h in hits]


def same(got, scores, top):
    """GOT is (row, score), SCORES [rows]: the best TOP, where they are told
    apart."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:top]
    assert len(got) == min(top, len(order)), (got, scores)
    for (row, score), want in zip(got, order):
        assert abs(score - scores[want]) <= 1e-4 * max(1, abs(score)), \
            (got, [(i, scores[i]) for i in order])
        assert abs(scores[row] - scores[want]) <= 1e-5 * max(1, abs(score))


def one_source(program, out, question, source, scores, top=5):
    hits = answers(program, out, question, "--by", source, "-k", str(top))
    same([(row, score) for _, row, score, _ in hits], scores,
         min(top, sum(s > 0 for s in scores)))
    return {row: (by[source]["rank"], score) for _, row, score, by in hits}


def sparse_scores(matrix, row, idf=False):
    """The columns may be 2^31: rows are taken one by one."""
    rows = [dict(zip(matrix.indices[a:b].tolist(), matrix.data[a:b].tolist()))
            for a, b in zip(matrix.indptr, matrix.indptr[1:])]
    weights = dict(rows[row])
    for word in weights if idf else ():
        have = sum(word in r for r in rows)
        weights[word] = math.log(1 + (len(rows) - have + 0.5) / (have + 0.5))
    return [sum(w * r[word] for word, w in weights.items() if word in r)
            for r in rows]


def max_sim(query, vectors, offsets):
    return [float((query @ vectors[a:b].T).max(axis=1).sum()) if b > a else 0.0
            for a, b in zip(offsets, offsets[1:])]


def check_joined(program, out, question, sources):
    """All sources together: the sum of 1 / (60 + rank)."""
    ranks = {s: {row: by[s]["rank"] for _, row, _, by in
                 answers(program, out, question, "--by", s, "-k", "100")}
             for s in sources}
    hits = answers(program, out, question, "-k", "100")
    want = {}
    for places in ranks.values():
        for row, rank in places.items():
            want[row] = want.get(row, 0) + 1 / (RRF_K + rank)
    assert {row for _, row, _, _ in hits} == set(want)
    for _, row, score, by in hits:
        assert abs(score - want[row]) < 1e-9, (row, score, want[row])
        assert {s: b["rank"] for s, b in by.items()} == \
            {s: places[row] for s, places in ranks.items() if row in places}
    scores = [score for _, _, score, _ in hits]
    assert scores == sorted(scores, reverse=True)


def check(program, folder):
    (folder / "a.jsonl").write_text(
        "".join(json.dumps({"text": t}) + "\n" for t in TEXTS))
    out = folder / "out"
    m3 = MODELS + "m3"
    run(program, "run", str(folder / "a.jsonl"), "--model", m3, "--sparse", m3,
        "--colbert", m3, "--sparse", "qdrant-bm25", "--sparse",
        MODELS + "splade", "--colbert", MODELS + "colbert", "--out", str(out),
        "--quiet")
    files = out / "a"
    dense = numpy.load(files / "embeddings.npy")
    sparse = {k: scipy.sparse.load_npz(files / f"{k}.sparse.npz").tocsr()
              for k in ("m3", "splade", "qdrant-bm25")}
    multi = {k: (numpy.load(files / f"{k}.multi.npy"),
                 numpy.load(files / f"{k}.multi.offsets.npy"))
             for k in ("m3", "colbert")}
    assert len(dense) == len(TEXTS)
    for row in (1, 4, 8):
        question = TEXTS[row]
        one_source(program, out, question, "dense", (dense @ dense[row]).tolist())
        for key in ("m3", "splade"):
            one_source(program, out, question, key + "-sparse",
                       sparse_scores(sparse[key], row))
        one_source(program, out, question, "qdrant-bm25-sparse",
                   sparse_scores(sparse["qdrant-bm25"], row, idf=True))
        vectors, offsets = multi["m3"]
        query = vectors[offsets[row]:offsets[row + 1]]
        one_source(program, out, question, "m3-multi",
                   max_sim(query, vectors, offsets))
        check_joined(program, out, question, [
            "dense", "m3-sparse", "splade-sparse", "qdrant-bm25-sparse",
            "m3-multi", "colbert-multi"])
    reference = json.loads(pathlib.Path(
        MODELS + "colbert/reference-heads.json").read_text())
    for query in reference["queries"]:
        one_source(program, out, query["text"], "colbert-multi",
                   max_sim(numpy.array(query["multi"]), *multi["colbert"]))


def check_static(program, folder):
    """Questions by a table of weights: those of SparseEncoder.encode_query."""
    model = MODELS + "splade_static"
    out = folder / "static"
    run(program, "run", str(folder / "a.jsonl"), "--sparse", model, "--out",
        str(out), "--quiet")
    matrix = scipy.sparse.load_npz(out / "a" / "splade_static.sparse.npz")
    queries = json.loads(pathlib.Path(
        model + "/reference-heads.json").read_text())["queries"]
    assert len(queries) > 1
    for query in queries:
        weights = numpy.zeros(matrix.shape[1])
        weights[query["indices"]] = query["values"]
        one_source(program, out, query["text"], "splade_static-sparse",
                   (matrix @ weights).tolist())


def check_task(program, folder):
    """What one task made of passages is asked by its twin for questions."""
    model, question = MODELS + "jina3_lora", TEXTS[4]
    out = folder / "task"
    run(program, "run", str(folder / "a.jsonl"), "--model", model, "--task",
        "retrieval.passage", "--out", str(out), "--quiet")
    dense = numpy.load(out / "a" / "embeddings.npy")
    scores = {}
    for task in ("retrieval.query", "retrieval.passage"):
        vector = numpy.array(json.loads(run(
            program, "embed", "--model", model, "--task", task, question)))
        scores[task] = dense @ vector / (numpy.linalg.norm(dense, axis=1) *
                                         numpy.linalg.norm(vector))
    assert abs(scores["retrieval.query"] - scores["retrieval.passage"]).max() \
        > 1e-3
    one_source(program, out, question, "dense",
               scores["retrieval.query"].tolist())


def check_rerank(program, folder):
    """Each pair of the reference, as a question and its chunk among others."""
    reference = json.loads(pathlib.Path(
        MODELS + "cross_bert/reference-heads.json").read_text())
    pairs = [(a, b, row["scores"][0]) for (a, b), row in
             zip(reference["texts"], reference["rows"]) if a and b]
    (folder / "b.jsonl").write_text(
        "".join(json.dumps({"text": b}) + "\n" for _, b, _ in pairs))
    out = folder / "reranked"
    run(program, "run", str(folder / "b.jsonl"), "--sparse", "qdrant-bm25",
        "--model", MODELS + "mean", "--rerank", MODELS + "cross_bert", "--out",
        str(out), "--quiet")
    for row, (question, _, score) in enumerate(pairs):
        for words in ([], ["--by", "dense"],
                      ["--rerank", MODELS + "cross_bert", "--candidates", "50"]):
            hits = answers(program, out, question, *words)
            scores = {r: s for _, r, s, _ in hits}
            assert abs(scores[row] - score) < 1e-4, (scores, score)
            assert list(scores.values()) == sorted(scores.values(),
                                                   reverse=True)
        plain = answers(program, out, question, "--no-rerank", "--by", "dense")
        assert [s for _, _, s, _ in plain] != list(scores.values())


def main():
    with tempfile.TemporaryDirectory() as folder:
        check(sys.argv[1], pathlib.Path(folder))
        check_task(sys.argv[1], pathlib.Path(folder))
        check_static(sys.argv[1], pathlib.Path(folder))
        check_rerank(sys.argv[1], pathlib.Path(folder))
    print("ok: every source and their fusion as NumPy and SciPy have them, "
          "and a reranker's scores as CrossEncoder's")


main()
