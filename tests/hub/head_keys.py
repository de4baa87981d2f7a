"""Every key of the configuration files of small sparse, ColBERT and reranking models, changed one at a time: what
config_keys.py does for dense ones, over whole runs and searches.

    python3 tests/hub/head_keys.py build/ensembed [MODEL ...]

A change must give other files or other scores, or an error, or stand in docs/config-keys.md.
"""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import config_keys as keys

HEADS = {"splade_log_twice": "--sparse", "splade_distil": "--sparse", "splade_static": "--sparse",
         "splade_modern": "--sparse",
         "colbert": "--colbert", "cross_bert": "--rerank", "cross_modern": "--rerank", "rank_yes_no_saved": "--rerank"}
TEXTS = ["A short text, with [MASK] and ÉCOLE.", "东京 is big", "x, y; z", "the function returns a list of keys",
         "word soup and more of it " * 100]
QUESTION = "which function returns a list?"
BASE = None  # a run of a dense model, for rerankers to look at


def call(*words):
    done = subprocess.run([keys.PROGRAM, *map(str, words)], text=True, capture_output=True, timeout=60,
                          env={"PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1", "LANG": "C.UTF-8",
                               "HF_HUB_CACHE": "/nowhere"})
    assert done.returncode in (0, 1, 2), (words, done.returncode, done.stderr)
    return done.returncode, done.stdout


def answers(*words):
    code, out = call("search", *words, QUESTION, "--json")
    return code, code or [(h["row"], h["score"]) for h in json.loads(out)["hits"]]


def result(folder, option, place):
    """What the model gives: (status, all that depends on it)."""
    if option == "--rerank":
        return answers(BASE, "--rerank", folder)
    out = pathlib.Path(place) / "out"
    code, _ = call("run", pathlib.Path(BASE).parent / "t.jsonl", option, folder, "--out", out, "--quiet",
                   "--threads", "1")
    if code:
        return code, None
    files = [p.read_bytes() for p in sorted((out / "t").glob("*.np*"))]
    code, hits = answers(out)
    return code, (files, hits)


class Model(keys.Model):
    def __init__(self, name):
        super().__init__(name)
        path = self.folder / "artifact.metadata"
        if path.exists():
            self.documents[path.name] = json.loads(path.read_text())

    def start(self):
        with tempfile.TemporaryDirectory() as place:
            code, self.baseline = result(self.folder, HEADS[self.name], place)
        assert code == 0, self.name
        return True

    def outcome(self, file, path, value):
        with tempfile.TemporaryDirectory(prefix="ensembed-keys-") as place:
            folder = pathlib.Path(place) / self.name
            folder.mkdir()
            self.with_file(folder, file, keys.changed(self.documents[file], path, value))
            code, got = result(folder, HEADS[self.name], place)
        return "error" if code else "same" if got == self.baseline else "changed"


def main():
    global BASE
    rows, problems, used = keys.table(heads=True), [], set()
    with tempfile.TemporaryDirectory() as place, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        (pathlib.Path(place) / "t.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in TEXTS))
        BASE = str(pathlib.Path(place) / "base")
        code, _ = call("run", pathlib.Path(place) / "t.jsonl", "--model", keys.MODELS / "mean", "--out", BASE,
                       "--quiet")
        assert code == 0
        models = [Model(name) for name in sys.argv[2:] or HEADS]
        list(pool.map(Model.start, models))
        jobs = list(keys.plan(models))
        for (model, file, path, value), outcome in zip(jobs, pool.map(lambda job: job[0].outcome(*job[1:]), jobs)):
            row = keys.row_for(rows, file, keys.words(path), model)
            used.add(row)
            if outcome == "same" and not row:
                problems.append("no effect: %s (%s): %s: %s = %s" % (model.name, model.type, file, keys.words(path),
                                                                    json.dumps(value)))
    if not sys.argv[2:]:
        problems += ["docs/config-keys.md has a row that no model needs: %s" % (row,)
                     for row in rows if row not in used and row not in keys.table()]
    print("\n".join(problems))
    print("%d models, %d changes, %d problems" % (len(models), len(jobs), len(problems)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
