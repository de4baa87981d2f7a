"""Heads that were computed otherwise than upstream once: rows and scores of
tests/fixtures/head_cases.json (tools/make_head_cases.py).

    tests/run/head_cases.py build/ensembed

For each case a run over the texts, and a search for each question; of rerankers
a search over the rows of another model."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import judge

try:
    import numpy
    import scipy.sparse
except ImportError:
    judge.skip("no NumPy or SciPy (tools/test installs them)")

FIXTURES = pathlib.Path("tests/fixtures")
MODELS = FIXTURES / "models"
CASES = json.loads((FIXTURES / "head_cases.json").read_text())
WAYS = [[], ["--isa", "generic"]]


def call(program, *words):
    done = subprocess.run([program, *map(str, words)], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def lay(case, folder):
    """A folder of the fixtures with other files in it."""
    shutil.copytree(MODELS / case["folder"], folder)
    for name, other in case["copies"].items():
        shutil.copytree(MODELS / other, folder / name)
    for name, content in case["files"].items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content if isinstance(content, str)
                            else json.dumps(content))


def sizes_of(head, out):
    if head == "multi":
        at = numpy.load(out / "c" / "m.multi.offsets.npy")
        return numpy.diff(at).tolist()
    matrix = scipy.sparse.load_npz(out / "c" / "m.sparse.npz")
    return numpy.diff(matrix.indptr).tolist()


def check(program, case, place, way):
    head, model = case["head"], place / "model"
    out, chunks = place / f"out{len(way)}", place / "c.jsonl"
    lay(case, model) if not model.exists() else None
    chunks.write_text("".join(json.dumps({"text": t}) + "\n"
                              for t in CASES["texts"]))
    which = {"dense": ["--model", f"{model}:name=m"],
             "multi": ["--colbert", f"{model}:name=m"],
             "sparse": ["--sparse", f"{model}:name=m"],
             "rerank": ["--model", MODELS / "mean", "--rerank", model]}[head]
    call(program, "run", chunks, *which, "--out", out, "--quiet", "--dtype",
         "f32", *way)
    if head in ("multi", "sparse"):
        have = sizes_of(head, out)
        assert have == case["sizes"], (have, case["sizes"])
    for question, want in zip(CASES["questions"], case["scores"]):
        by = ["--by", "m-" + head] if head in ("multi", "sparse") else []
        hits = json.loads(call(program, "search", out, question, "--json", "-k",
                                   100, "--dtype", "f32", *way, *by))["hits"]
        have = [0.0] * len(want)
        for hit in hits:
            have[hit["row"]] = hit["score"]
        if head != "dense":
            want = [max(w, 0) for w in want]  # others are no answers
        assert all(abs(a - b) <= 1e-4 * max(1, abs(a))
                   for a, b in zip(want, have)), (question, have, want)


def main():
    wrong = 0
    for case in CASES["cases"]:
        with tempfile.TemporaryDirectory() as place:
            for way in WAYS:
                try:
                    check(sys.argv[1], case, pathlib.Path(place), way)
                except AssertionError as problem:
                    wrong += 1
                    print(f"{case['name']}: {problem}")
    print(f"{wrong} wrong" if wrong else
          f"ok: {len(CASES['cases'])} cases as upstream has them")
    return 1 if wrong else 0


sys.exit(main())
