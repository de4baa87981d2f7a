"""What runs in int8 and bf16 say of their own drift, against NumPy and SciPy
over the files of two runs: one in that type, one in f32.

    tests/run/drift.py build/ensembed

The texts that a run compares are, by docs/dtypes.md, those with the smallest
SHA-256 of the texts that it computed: one of 128, at least 4, at most 32."""
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

import judge

try:
    import numpy
    import scipy.sparse
    import jsonschema
except ImportError:
    judge.skip("no NumPy, SciPy or jsonschema (tools/test installs them)")

MODELS = pathlib.Path("tests/fixtures/models").resolve()
WORDS = ("def f self x return key item for in the function a list of keys "
         "class module import value").split()
LINE = re.compile(r"^(\S+) in (\S+): (\d+) texts? computed in f32 too: lowest "
                  r"cosine (\S+), median (\S+)$", re.M)
ENSEMBED = pathlib.Path(sys.argv[1]).resolve()
SCHEMAS = [jsonschema.Draft202012Validator(json.loads(
    pathlib.Path("docs", f"{name}.schema.json").read_text("utf-8")))
    for name in ("summary", "events")]


def check_events(out, passes):
    """The summary's figures were told as events, by their schema."""
    told = []
    for line in pathlib.Path(out, "events.jsonl").read_text("utf-8").splitlines():
        event = json.loads(line)
        if event["type"] == "run_started":
            told = []
        if event["type"].startswith("drift_"):
            SCHEMAS[1].validate(event)
            told.append(event)
    said = [one for one in passes if "drift" in one]
    assert len(told) == len(said), (told, said)
    for event, one in zip(sorted(told, key=lambda e: e["pass"]), said):
        kind = "drift_not_measured" if "skipped" in one["drift"] else "drift_measured"
        assert event["type"] == kind and event["model"] == one["model"], event
        for name, value in one["drift"].items():
            if name == "duration_ms" or name == "heads":
                continue
            assert event[name] == value, (event, one["drift"])


def run(out, *words):
    done = subprocess.run([ENSEMBED, "run", "c", "--out", out, "--no-progress",
                           *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    summary = json.loads(pathlib.Path(out, "summary.json").read_text("utf-8"))
    SCHEMAS[0].validate(summary)
    check_events(out, summary["collections"][0]["passes"])
    return summary["collections"][0]["passes"], done.stdout, done.stderr


def write_texts(count, shortest=1):
    random.seed(3)
    texts = [f"{i} " + " ".join(random.choices(
        WORDS, k=random.randint(shortest, shortest + 60))) for i in range(count)]
    with open("c/a.jsonl", "w") as file:
        for text in texts:
            file.write(json.dumps({"text": text}) + "\n")
    return texts


# ---- the oracle ------------------------------------------------------------

def cosine(a, b):
    a, b = (numpy.asarray(x, dtype=float).ravel() for x in (a, b))
    return a @ b / numpy.linalg.norm(a) / numpy.linalg.norm(b)


def rows_of(out, key, head):
    """[text] -> the row of HEAD, as one vector."""
    folder = pathlib.Path(out, "c")
    if head == "dense":
        own = folder / f"{key}.npy"
        return numpy.load(own if own.exists() else folder / "embeddings.npy")
    if head == "sparse":
        return scipy.sparse.load_npz(folder / f"{key}.sparse.npz").toarray()
    vectors = numpy.load(folder / f"{key}.multi.npy")
    at = numpy.load(folder / f"{key}.multi.offsets.npy")
    return [vectors[at[i]:at[i + 1]] for i in range(len(at) - 1)]


def sample(texts, computed):
    count = min(max(4, min(32, len(computed) // 128)), len(computed))
    digests = sorted((hashlib.sha256(t.encode()).digest(), t) for t in computed)
    return [texts.index(text) for _, text in digests[:count]]


def check(passes, said, out, exact, texts, computed, dtype):
    """What is said of each head of each pass is what NumPy finds."""
    lines = {(name, kind): numbers
             for name, kind, *numbers in LINE.findall(said)}
    heads = 0
    for one in passes:
        drift, key = one["drift"], one["model"]
        chosen = sample(texts, computed)
        assert drift["dtype"] == dtype and drift["texts"] == len(chosen), drift
        assert set(drift["heads"]) == set(one["heads"]), drift
        for head, cosines in drift["heads"].items():
            narrow, wide = rows_of(out, key, head), rows_of(exact, key, head)
            want = [cosine(narrow[i], wide[i]) for i in chosen]
            low, median = min(want), float(numpy.median(want))
            assert abs(cosines["lowest_cosine"] - low) < 1e-9, (low, cosines)
            assert abs(cosines["median_cosine"] - median) < 1e-9, (median, cosines)
            assert low < 1 - 1e-7, "f32 was compared with itself"
            name = key if head == "dense" else f"{key}-{head}"
            assert lines.pop((name, dtype)) == [
                str(len(chosen)), f"{cosines['lowest_cosine']:.5f}",
                f"{cosines['median_cosine']:.5f}"], said
            heads += 1
    assert not lines, lines
    return heads


def says_nothing(passes, said, warned):
    assert all("drift" not in one for one in passes), passes
    assert "in f32" not in said + warned, said + warned


# ---- runs ------------------------------------------------------------------

def asked(*names):
    """--model, and all heads that m3 has."""
    words = ["--restart"]
    for name in names:
        option = "--sparse" if name == "splade" else "--model"
        words += [option, MODELS / name]
        if name == "m3":
            words += ["--sparse", MODELS / name, "--colbert", MODELS / name]
    return words


def check_models():
    texts, heads = write_texts(333), 0
    for names in (["mean"], ["m3"], ["splade", "cls"]):
        says_nothing(*run("f32", *asked(*names)))
        for dtype in ("int8", "bf16"):
            passes, said, warned = run("narrow", *asked(*names), "--dtype", dtype)
            heads += check(passes, said, "narrow", "f32", texts, texts, dtype)
            assert "f32" not in warned, warned
    # Where models share the devices, or stay there; by the layer, by threads.
    for words in (["--mode", "sequential"], ["--mode", "simultaneous"],
                  ["--warm"], ["--threads", "1"]):
        names = asked("mean", "cls", "splade") + ["--fuse", "concat", *words]
        run("f32", *names)
        passes, said, _ = run("narrow", *names, "--dtype", "int8")
        heads += check(passes, said, "narrow", "f32", texts, texts, "int8")
    print(f"{heads} heads")


def check_resumed():
    """Only what a run computes itself is compared."""
    texts = write_texts(4100)
    run("f32", *asked("mean"))
    passes, said, _ = run("narrow", *asked("mean"), "--dtype", "int8")
    check(passes, said, "narrow", "f32", texts, texts, "int8")
    assert passes[0]["drift"]["texts"] == 32
    before = set(texts)
    go_on = ["--model", MODELS / "mean"]
    says_nothing(*run("narrow", *go_on))
    texts = write_texts(4900)
    run("f32", *go_on)
    passes, said, _ = run("narrow", *go_on)
    assert passes[0]["computed"] == 800
    new = [text for text in texts if text not in before]
    check(passes, said, "narrow", "f32", texts, new, "int8")
    print("resumed")


# ---- models that are made here ----------------------------------------------

def read_tensors(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, tensor in json.loads(data[8:8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + at for at in tensor["data_offsets"])
        tensors[name] = numpy.frombuffer(data[begin:end], "<f4").reshape(
            tensor["shape"]).copy()
    return tensors


def write_tensors(path, tensors):
    header, at = {}, 0
    for name, array in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape),
                        "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    path.unlink()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(
        array.astype("<f4").tobytes() for array in tensors.values()))


def copy_of_mean(folder):
    shutil.copytree(MODELS / "mean", folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    return folder / "model.safetensors"


def make_outlier(folder):
    """In each row of what reads the hidden numbers a huge weight, for a number
    that is always 0: f32 does not see it, and int8's scale knows nothing
    else."""
    path = copy_of_mean(folder)
    tensors = read_tensors(path)
    for name, array in tensors.items():
        if "LayerNorm" in name:
            array[5] = 0
        elif re.search(r"(query|key|value|intermediate\.dense)\.weight", name):
            array[:, 5] = 100
    write_tensors(path, tensors)


def make_wide(folder, hidden, inter):
    """One layer that is large beside all else: in f32 four times its int8."""
    path = copy_of_mean(folder)
    config = json.loads((folder / "config.json").read_text())
    sides = {config["hidden_size"]: hidden, config["intermediate_size"]: inter}
    config |= {"hidden_size": hidden, "intermediate_size": inter,
               "num_hidden_layers": 1}
    (folder / "config.json").write_text(json.dumps(config))
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps({"word_embedding_dimension": hidden,
                                   "pooling_mode_mean_tokens": True}))
    values = numpy.random.RandomState(5)
    write_tensors(path, {
        name: values.uniform(-0.1, 0.1, [
            side if at == 0 and "embeddings" in name and array.ndim > 1
            else sides.get(side, side) for at, side in enumerate(array.shape)])
        .astype("f4")
        for name, array in read_tensors(path).items()
        if not re.search(r"layer\.[1-9]", name)})


def check_warning():
    write_texts(100)
    make_outlier(pathlib.Path("outlier"))
    passes, _, warned = run("narrow", "--model", "outlier", "--dtype", "int8",
                            "--restart")
    low = passes[0]["drift"]["heads"]["dense"]["lowest_cosine"]
    assert low < 0.98, low
    found = re.search(r"outlier in int8 has a cosine of (\S+) to f32.* 4 texts "
                      r".*below 0.99: .*--dtype f32.*bf16", warned)
    assert found and found.group(1) == f"{low:.5f}", warned
    passes, _, warned = run("narrow", "--model", "outlier", "--dtype", "bf16",
                            "--restart")
    assert not warned, warned
    print("warned")


def plan(ceiling, *words):
    done = subprocess.run([ENSEMBED, "plan", "c", "--json", "--ceiling",
                           f"cpu={ceiling}", *words], capture_output=True,
                          text=True)
    if done.returncode:  # there is not even room for the chunks
        return {"fits": False}
    return json.loads(done.stdout)["collections"][0]["passes"][0]


def check_memory():
    """Planned is taken; and where there is no room, the run goes on."""
    texts = write_texts(640, 200)  # all of them longer than the model's limit
    make_wide(pathlib.Path("wide"), 512, 2048)
    words = ["--model", "wide:budget=512", "--dtype", "int8", "--threads", "2"]
    run("f32", "--model", "wide", "--threads", "2", "--restart")
    for ceiling in (10 ** 9, None):
        if not ceiling:  # the smallest that has room for the pass, about
            ceiling = 200_000 + next(
                size for size in range(4 * 10 ** 6, 10 ** 8, 10 ** 5)
                if plan(size, *words)["fits"])
        planned = plan(ceiling, *words)["memory"]
        passes, said, warned = run("narrow", *words, "--restart", "--ceiling",
                                   f"cpu={ceiling}")
        memory = passes[0]["memory"]
        measured = memory["private_peak_bytes"]
        assert abs(measured / planned["private_bytes"] - 1) < 0.05, (
            planned, memory)
        assert measured <= ceiling
        if ceiling == 10 ** 9:
            assert planned["drift_bytes"] > 12 * 10 ** 6
            assert planned["private_bytes"] == (planned["base_bytes"]
                                                + planned["drift_bytes"])
            check(passes, said, "narrow", "f32", texts, texts, "int8")
            continue
        assert planned["drift_bytes"] == 0 and planned["base_bytes"] > 0
        assert list(passes[0]["drift"]) == ["dtype", "skipped"]
        reason = passes[0]["drift"]["skipped"]
        assert re.search(r"needs \d+ bytes of memory .*--ceiling cpu", reason)
        assert f"wide in int8: not compared with f32: {reason}\n" in said
        assert not warned, warned
        print("without")


with tempfile.TemporaryDirectory() as scene:
    os.chdir(scene)
    os.mkdir("c")
    check_models()
    check_resumed()
    check_warning()
    check_memory()
