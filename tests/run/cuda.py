"""Whole runs on fake cards (tests/device/cuda/fake_cuda.h), judged by NumPy.

    tests/run/cuda.py build/ensembed build/fake_cuda

One card and two, a card that is lost, a card that a stranger fills, an
allocation that is refused, layers that stream, activations beyond f16. What
the CPU makes of the same texts is the oracle."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import traceback

import judge

try:
    import numpy
except ImportError:
    judge.skip("no NumPy (tools/test installs it)")

MODELS = pathlib.Path("tests/fixtures/models").resolve()
WORDS = ["list", "def", "self", "import", "class", "return", "key", "value"]
LEAST = {"fp16": 0.9999, "fp8": 0.98}
T4 = "card name=Tesla_T4 capability=7.5 memory=2G\n"
L4 = "card name=L4 capability=8.9 memory=2G\n"
H200 = "card name=H200 capability=9.0 memory=2G\n"
A10 = "card name=A10 capability=8.6 memory=2G\n"


class Bench:
    def __init__(self, program, fakes, folder):
        self.program, self.fakes = pathlib.Path(program).resolve(), fakes
        self.folder, self.number = folder, 0
        self.texts = folder / "texts.jsonl"
        with open(self.texts, "w") as file:
            for i in range(90):
                text = " ".join(WORDS[(i + j * j) % 8]
                                for j in range(1 + i % 23))
                file.write(json.dumps({"text": f"{text} {i}"}) + "\n")

    def run(self, cards, model, *words, device="cuda:0", dtype="fp16"):
        """Vectors, the summary, and the events' types."""
        done, out = self.attempt(cards, model, *words, device=device,
                                 dtype=dtype)
        assert done.returncode == 0, done.stderr
        vectors = numpy.load(next(out.glob("*/embeddings.npy")))
        summary = json.loads((out / "summary.json").read_text())
        events = [json.loads(line) for line in open(out / "events.jsonl")]
        return vectors, summary, events

    def attempt(self, cards, model, *words, device="cuda:0", dtype="fp16",
                command="run"):
        """How the program ended, and its output folder."""
        self.number += 1
        out = self.folder / f"out{self.number}"
        script = self.folder / "cards.txt"
        script.write_text(cards)
        environment = dict(os.environ, HF_HUB_OFFLINE="1",
                           LD_LIBRARY_PATH=str(self.fakes),
                           FAKE_CUDA=str(script))
        if command == "run":
            words += "--lock-dir", self.folder / "locks", "--no-progress"
        done = subprocess.run(
            [self.program, command, self.texts, "--model", str(model),
             "--device", device, "--dtype", dtype, "--cuda-libs", self.fakes,
             "--out", out, *words],
            capture_output=True, text=True, env=environment)
        return done, out

    def run_until(self, came, cards, model, device):
        """Where the thread of one card stood still the other one did all: once
        more, until CAME(summary, events)."""
        for _ in range(5):
            done = self.run(cards, model, device=device)
            if came(*done[1:]):
                break
        return done

    def oracle(self, model):
        return self.run("", model, device="cpu", dtype="f32")[0]


def same_directions(got, want, least):
    assert got.shape == want.shape, (got.shape, want.shape)
    assert numpy.isfinite(got).all()
    cosines = (got * want).sum(1) / numpy.linalg.norm(
        got, axis=1) / numpy.linalg.norm(want, axis=1)
    assert cosines.min() >= least, cosines.min()


def types(events):
    return {event["type"] for event in events}


def one_pass(summary):
    return summary["collections"][0]["passes"][0]


def texts_of(summary):
    return {d["device"]: d["texts"] for d in one_pass(summary)["devices"]}


def given_back(summary):
    for lease in one_pass(summary)["leases"]:
        assert lease["bytes_left_behind"] == 0, lease


# ---- models that are made here -----------------------------------------------


def read_tensors(path):
    data = path.read_bytes()
    size, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + size + at for at in entry["data_offsets"])
        if entry["dtype"] == "BF16":
            bits = numpy.frombuffer(data[begin:end], "<u2").astype("<u4") << 16
            numbers = bits.view("<f4")
        else:
            numbers = numpy.frombuffer(data[begin:end], "<f4")
        tensors[name] = numbers.reshape(entry["shape"])
    return tensors


def write_tensors(path, tensors):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape),
                        "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(
        tensor.astype("<f4").tobytes() for tensor in tensors.values()))


def copy_of(bench, name, change, **config):
    folder = bench.folder / f"{name}_changed"
    shutil.copytree(MODELS / name, folder)
    tensors = read_tensors(folder / "model.safetensors")
    write_tensors(folder / "model.safetensors", change(tensors))
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    return folder


def deep(bench, layers=12, inter=4096):
    """BERT with LAYERS layers of half a MiB."""
    random = numpy.random.default_rng(1)

    def change(tensors):
        out = {}
        for name, tensor in tensors.items():
            if ".layer." not in name:
                out[name] = tensor
            elif ".layer.0." in name:
                shape = [inter if n == 64 else n for n in tensor.shape]
                for i in range(layers):
                    made = random.normal(0, 0.05, shape)
                    if name.endswith("LayerNorm.weight"):
                        made += 1
                    out[name.replace(".0.", f".{i}.", 1)] = \
                        made.astype(numpy.float32)
        return out

    return copy_of(bench, "mean", change, num_hidden_layers=layers,
                   intermediate_size=inter)


def loud(bench):
    """Gemma3 whose residual stream leaves f16; its tables do not."""

    def change(tensors):
        name = next(n for n in tensors if "embed_tokens" in n)
        table = tensors[name]
        assert 60000 * table.shape[1] ** 0.5 > 65504  # times Gemma's scale
        out = dict(tensors)
        out[name] = table * (60000 / abs(table).max())
        for other in tensors:
            if other.endswith("layernorm.weight") and "post_" in other:
                out[other] = tensors[other] + 20000
        return out

    return copy_of(bench, "gemma3", change)


# ---- what happens ------------------------------------------------------------


def two_cards_share(bench):
    model = f"{MODELS / 'mean'}:budget=64"
    got, summary, events = bench.run_until(
        lambda summary, _: min(texts_of(summary).values()) > 0, T4 + T4, model,
        "cuda:0,cuda:1")
    same_directions(got, bench.oracle(MODELS / "mean"), LEAST["fp16"])
    shares = texts_of(summary)
    assert set(shares) == {"cuda:0", "cuda:1"} and min(shares.values()) > 0
    assert sum(shares.values()) == len(got)
    given_back(summary)


def planned_is_measured(bench):
    _, summary, _ = bench.run(T4, MODELS / "mean")
    device, = one_pass(summary)["devices"]
    planned, measured = (device["plan"]["peak_bytes"],
                         device["measured_peak_bytes"])
    assert planned == measured, (planned, measured)
    given_back(summary)


def batches_do_not_matter(bench):
    rows = [bench.run(T4, f"{MODELS / 'qwen3'}:budget={budget}")[0]
            for budget in (48, 90, 200)]
    assert (rows[0] == rows[1]).all() and (rows[0] == rows[2]).all()


def a_lost_card_leaves_its_texts_to_the_other(bench):
    model = f"{MODELS / 'mean'}:budget=64"
    got, summary, events = bench.run_until(
        lambda _, events: "device_lost" in types(events),
        T4 + T4 + "at card=0 launch=90 lost=719\n", model, "cuda:0,cuda:1")
    same_directions(got, bench.oracle(MODELS / "mean"), LEAST["fp16"])
    assert "device_lost" in types(events)
    lost, = [e for e in events if e["type"] == "device_lost"]
    assert lost["device"] == "cuda:0"
    assert texts_of(summary)["cuda:1"] > 60, texts_of(summary)


def without_cards_the_cpu_ends_it(bench):
    got, summary, events = bench.run(
        T4 + "at card=0 launch=60 lost=719\n", f"{MODELS / 'mean'}:budget=64")
    same_directions(got, bench.oracle(MODELS / "mean"), LEAST["fp16"])
    assert {"device_lost", "cpu_fallback"} & types(events), types(events)
    assert texts_of(summary).get("cpu", 0) > 0


def a_stranger_fills_the_card(bench):
    got, summary, events = bench.run(
        T4 + "at card=0 launch=60 take=1700M\nat card=0 launch=70 give=1700M\n",
        f"{MODELS / 'mean'}:budget=256")
    same_directions(got, bench.oracle(MODELS / "mean"), LEAST["fp16"])
    assert one_pass(summary)["mitigations"], types(events)


def a_refused_allocation_is_no_end(bench):
    for alloc in 2, 3:  # the workspace of cuBLASLt is the first
        got, _, _ = bench.run(T4 + f"at card=0 alloc={alloc} refuse=1\n",
                              MODELS / "mean")
        same_directions(got, bench.oracle(MODELS / "mean"), LEAST["fp16"])


def layers_stream(bench):
    model = deep(bench)
    want = bench.oracle(model)
    whole, summary, _ = bench.run(T4, f"{model}:budget=96")
    device, = one_pass(summary)["devices"]
    assert device["plan"]["layers_resident"] == 12, device
    same_directions(whole, want, LEAST["fp16"])
    for mode in "", "mode lazy\n":
        got, summary, _ = bench.run(
            mode + T4, f"{model}:budget=96", "--ceiling", "cuda:0=317MiB",
            "--margin", "cuda:0=1MiB")
        device, = one_pass(summary)["devices"]
        assert device["device"] == "cuda:0"
        assert device["plan"]["layers_resident"] < 12, device
        assert device["measured_peak_bytes"] <= 317 << 20
        given_back(summary)
        assert (got == whole).all()


def activations_leave_f16(bench):
    model = loud(bench)
    got, summary, _ = bench.run(T4, model)
    same_directions(got, bench.oracle(model), LEAST["fp16"])
    assert texts_of(summary) == {"cuda:0": len(got)}, texts_of(summary)


# ---- fp8 ---------------------------------------------------------------------


# The widths of "mean" are multiples of 16, without which nothing is e4m3.


def fp8_is_near_and_says_how_near(bench):
    want = bench.oracle(MODELS / "mean")
    _, summary, _ = bench.run(L4, MODELS / "mean", dtype="bf16")
    nearer = one_pass(summary)["drift"]["heads"]["dense"]["lowest_cosine"]
    for card in L4, H200:
        got, summary, events = bench.run(card, MODELS / "mean", dtype="fp8")
        same_directions(got, want, LEAST["fp8"])
        device, = one_pass(summary)["devices"]
        assert device["dtype"] == summary["models"][0]["dtype"] == "fp8"
        assert device["plan"]["peak_bytes"] == device["measured_peak_bytes"]
        drift = one_pass(summary)["drift"]
        assert drift["dtype"] == "fp8" and drift["bound"] == 0.98, drift
        lowest = drift["heads"]["dense"]["lowest_cosine"]
        assert 0.98 < lowest < nearer < 1, (drift, nearer)
        assert "drift_measured" in types(events)
        given_back(summary)


def fp8_does_not_depend_on_batches(bench):
    rows = [bench.run(L4, f"{MODELS / 'mean'}:budget={budget}", dtype="fp8")[0]
            for budget in (48, 90, 200)]
    assert (rows[0] == rows[1]).all() and (rows[0] == rows[2]).all()


def narrow_inside(tensors):
    return {name: tensor[:24] if ".intermediate." in name
            else tensor[:, :24] if name.endswith("output.dense.weight")
            and "attention" not in name else tensor
            for name, tensor in tensors.items()}


def what_is_bf16_is_not_told_as_fp8(bench):
    # of 16 numbers a token, and 24 between the matrices of the second block
    half = copy_of(bench, "max_pooling", narrow_inside, intermediate_size=24)
    share_of_half = 4 * 16 * 16 / (4 * 16 * 16 + 2 * 16 * 24)
    for model, share in ((MODELS / "mean", 1), (half, share_of_half),
                         (MODELS / "cls", 0)):
        done, out = bench.attempt(L4, model, dtype="fp8")
        assert done.returncode == 0, done.stderr
        summary = json.loads((out / "summary.json").read_text())
        told = f"{round(100 * share)}% of "
        assert abs(summary["models"][0]["fp8_share"] - share) < 1e-9, summary
        assert (told in done.stderr) == (share < 1), done.stderr
        plan, _ = bench.attempt(L4, model, dtype="fp8", command="plan")
        assert (told in plan.stdout) == (share < 1), plan.stdout + plan.stderr


def fp8_takes_half_of_the_weights_bytes(bench):
    model = deep(bench)
    plans = {}
    for dtype in "bf16", "fp8":
        got, summary, _ = bench.run(L4, f"{model}:budget=96", dtype=dtype)
        device, = one_pass(summary)["devices"]
        plans[dtype] = device["plan"]["weights_bytes"]
    # what is no matrix (tables, norms, biases) is as large in both
    assert plans["fp8"] < 0.6 * plans["bf16"], plans
    streamed, summary, _ = bench.run(
        L4, f"{model}:budget=96", "--ceiling", "cuda:0=348MiB", "--margin",
        "cuda:0=1MiB", dtype="fp8")
    device, = one_pass(summary)["devices"]
    assert device["plan"]["layers_resident"] < 12, device
    assert (streamed == got).all()


def fp8_is_refused_where_no_device_has_it(bench):
    for cards, device, told in (
            (A10, "cuda:0", "cuda:0 (sm_86) in f32, bf16 and fp16"),
            ("", "cpu", "cpu in f32, bf16 and int8")):
        done, _ = bench.attempt(cards, MODELS / "mean", device=device,
                                dtype="fp8")
        assert done.returncode == 2, done
        assert done.stderr.strip() == (
            "ensembed: error: --dtype: no device of this run computes in fp8: "
            f"{told}; choose one of these, for fp8 needs a card from sm_89 on "
            "(L4, RTX 40, H100)"), done.stderr


def beside_fp8_other_cards_compute_in_f32(bench):
    got, summary, _ = bench.run(H200 + A10, f"{MODELS / 'mean'}:budget=64",
                                device="cuda:0,cuda:1", dtype="fp8")
    same_directions(got, bench.oracle(MODELS / "mean"), LEAST["fp8"])
    types_there = {d["device"]: d["dtype"]
                   for d in one_pass(summary)["devices"]}
    assert types_there["cuda:0"] == "fp8", types_there
    assert types_there.get("cuda:1", "f32") == "f32", types_there


def main(program, fakes):
    scenes = [two_cards_share, planned_is_measured, batches_do_not_matter,
              a_lost_card_leaves_its_texts_to_the_other,
              without_cards_the_cpu_ends_it, a_stranger_fills_the_card,
              a_refused_allocation_is_no_end, layers_stream,
              activations_leave_f16, fp8_is_near_and_says_how_near,
              fp8_does_not_depend_on_batches,
              what_is_bf16_is_not_told_as_fp8,
              fp8_takes_half_of_the_weights_bytes,
              fp8_is_refused_where_no_device_has_it,
              beside_fp8_other_cards_compute_in_f32]
    failed = 0
    for scene in scenes:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(program, pathlib.Path(fakes).resolve(),
                          pathlib.Path(folder))
            try:
                scene(bench)
                print("ok", scene.__name__, flush=True)
            except (AssertionError, KeyError, ValueError,
                    StopIteration) as problem:
                failed += 1
                at = traceback.extract_tb(problem.__traceback__)[-1]
                print("FAILED", scene.__name__, f"line {at.lineno}: {at.line}",
                      repr(problem)[:2000], flush=True)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
