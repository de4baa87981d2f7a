#!/usr/bin/env python3
"""Times one other engine on texts, in a process of its own; bench/table.py
starts it.

    bench/peers.py PEER MODEL_DIR TEXTS.jsonl --forms FOLDER --threads N
                   [--batch N] --vectors FILE.npy
    bench/peers.py PEER ... --try SAMPLE      which size of batches is fastest

Prints a row as JSON: texts, real tokens (after truncation, without padding),
seconds from texts to normalised vectors, seconds of loading (imports left out).
Every engine has its best setting: texts sorted by length (sentence-transformers
does so itself), padded to the longest of the batch, in batches of the size that
--try found fastest on SAMPLE texts: large batches make some of them take memory
from the kernel again and again. llama.cpp does not pad. What cannot be imported
or has no form in FOLDER (bench/forms.py makes them) is a row with "absent", and
why.
"""
import argparse
import json
import os
import time
from importlib.metadata import version
from pathlib import Path

BATCHES = [2, 4, 8, 16, 32]
LLAMA_REQUEST = 32  # texts; it makes batches of them itself
WARM = 8  # texts before the clock starts
TURNS = 3  # of each size


# What holds the others to a set of instructions: oneDNN (OpenVINO's, torch's and
# CTranslate2's own), torch, MKL, CTranslate2. ONNX Runtime and llama.cpp ask the
# processor alone.
HELD = {"avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
                 "CT2_FORCE_CPU_ISA": "AVX2"}}
NOT_HELD = ["onnxruntime", "xllamacpp"]


class Absent(Exception):
    pass


def form(args, name):
    path = args.forms / name
    if not path.exists():
        raise Absent(f"not converted: {name}")
    return str(path)


def text_limit(model):
    return json.loads((model / "sentence_bert_config.json").read_text())["max_seq_length"]


def pooling_of(model):
    said = json.loads((model / "1_Pooling" / "config.json").read_text())
    if said.get("pooling_mode_cls_token"):
        return "cls"
    if not said.get("pooling_mode_mean_tokens"):
        raise Absent("the model's pooling is neither mean nor the first token")
    return "mean"


def tokenizer_of(model, limit):
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    if limit:
        tokenizer.enable_truncation(limit)
    else:
        tokenizer.no_truncation()
    return tokenizer


class OfIds:
    """Texts through an engine that has hidden states for rows of ids: FORWARD
    takes lists of ids, the longest first, and gives [rows, longest, hidden]."""

    def __init__(self, args, forward):
        self.tokenizer = tokenizer_of(args.model, text_limit(args.model))
        self.mean = pooling_of(args.model) == "mean"
        self.forward = forward
        self.batch = args.batch

    def pool(self, hidden, lengths):
        import numpy as np
        if not self.mean:
            return hidden[:, 0]
        mask = np.arange(hidden.shape[1]) < np.array(lengths)[:, None]
        return np.einsum("bth,bt->bh", hidden, mask.astype(np.float32)) / np.array(lengths)[:, None]

    def encode(self, texts):
        import numpy as np
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        vectors = [None] * len(ids)
        for begin in range(0, len(order), self.batch):
            picked = order[begin:begin + self.batch]
            batch = [ids[i] for i in picked]
            for i, row in zip(picked, self.pool(self.forward(batch), list(map(len, batch)))):
                vectors[i] = row / np.linalg.norm(row)
        return np.array(vectors, np.float32), sum(map(len, ids))


def feeds(batch, names):
    """The three inputs of an ONNX file, of which it may have two."""
    import numpy as np
    ids = np.zeros((len(batch), len(batch[0])), np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(batch):
        ids[i, :len(row)] = row
        mask[i, :len(row)] = 1
    every = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return {name: every[name] for name in names}


class SentenceTransformers:
    def __init__(self, args, dtype):
        import torch
        from sentence_transformers import SentenceTransformer
        torch.set_num_threads(args.threads)
        begin = time.perf_counter()
        self.model = SentenceTransformer(str(args.model), device="cpu",
                                         model_kwargs={"dtype": getattr(torch, dtype)})
        self.load_seconds = time.perf_counter() - begin
        self.batch = args.batch
        self.counter = tokenizer_of(args.model, text_limit(args.model))

    def encode(self, texts):
        vectors = self.model.encode(texts, batch_size=self.batch, show_progress_bar=False,
                                    normalize_embeddings=True)
        return vectors, None

    def tokens(self, texts):
        return sum(len(encoding.ids) for encoding in self.counter.encode_batch(texts))


def onnx_runtime(args, name):
    import onnxruntime as ort
    path = form(args, name)
    options = ort.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    begin = time.perf_counter()
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    engine = OfIds(args, lambda batch: session.run(None, feeds(batch, names))[0])
    engine.load_seconds = time.perf_counter() - begin
    return engine


def open_vino(args, precision):
    import openvino
    path = form(args, "model.onnx")
    begin = time.perf_counter()
    core = openvino.Core()
    model = core.compile_model(core.read_model(path), "CPU", {
        "INFERENCE_NUM_THREADS": args.threads, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision})
    names = [entry.get_any_name() for entry in model.inputs]
    engine = OfIds(args, lambda batch: model(feeds(batch, names))[0])
    engine.load_seconds = time.perf_counter() - begin
    return engine


def ctranslate2(args, compute):
    import ctranslate2 as ct2
    import numpy as np
    path = form(args, "ct2")
    begin = time.perf_counter()
    encoder = ct2.Encoder(path, device="cpu", intra_threads=args.threads, compute_type=compute)
    engine = OfIds(args, lambda batch: np.asarray(encoder.forward_batch(batch).last_hidden_state))
    engine.load_seconds = time.perf_counter() - begin
    return engine


class LlamaCpp:
    """Texts are cut beforehand: the server refuses those over its limit."""

    def __init__(self, args, name):
        import xllamacpp
        self.limit = text_limit(args.model)
        self.cutter = tokenizer_of(args.model, 0)
        said = xllamacpp.CommonParams()
        said.model.path = form(args, name)
        said.embedding, said.embd_normalize, said.warmup = True, 2, True
        said.n_parallel, said.n_ctx = 8, 8 * 512
        said.n_batch, said.n_ubatch = 4096, 2048
        said.cpuparams.n_threads = said.cpuparams_batch.n_threads = args.threads
        kind = xllamacpp.llama_pooling_type
        said.pooling_type = (kind.LLAMA_POOLING_TYPE_MEAN if pooling_of(args.model) == "mean"
                             else kind.LLAMA_POOLING_TYPE_CLS)
        begin = time.perf_counter()
        self.server = xllamacpp.Server(said)
        self.load_seconds = time.perf_counter() - begin

    def cut(self, texts):
        room = self.limit - 2  # [CLS] and [SEP]
        for text, encoding in zip(texts, self.cutter.encode_batch(texts, add_special_tokens=False)):
            yield text[:encoding.offsets[room - 1][1]] if len(encoding.ids) > room else text

    def encode(self, texts):
        import numpy as np
        cut = list(self.cut(texts))
        order = sorted(range(len(cut)), key=lambda i: -len(cut[i]))
        vectors, tokens = [None] * len(cut), 0
        for begin in range(0, len(order), LLAMA_REQUEST):
            picked = order[begin:begin + LLAMA_REQUEST]
            answer = self.server.handle_embeddings({"input": [cut[i] for i in picked]})
            answer = json.loads(answer) if isinstance(answer, str) else answer
            for i, row in zip(picked, answer["data"]):
                vectors[i] = row["embedding"]
            tokens += answer["usage"]["prompt_tokens"]
        return np.array(vectors, np.float32), tokens


# name: (what it is called, its numbers, its package, how it is opened)
PEERS = {
    "st-f32": ("sentence-transformers", "f32", "sentence-transformers",
               lambda args: SentenceTransformers(args, "float32")),
    "ort-f32": ("ONNX Runtime", "f32", "onnxruntime", lambda args: onnx_runtime(args, "model.onnx")),
    "ort-f32-fused": ("ONNX Runtime, its optimizer before", "f32", "onnxruntime",
                      lambda args: onnx_runtime(args, "model-fused.onnx")),
    "openvino-f32": ("OpenVINO, latency hint", "f32", "openvino", lambda args: open_vino(args, "f32")),
    "ct2-f32": ("CTranslate2", "f32", "ctranslate2", lambda args: ctranslate2(args, "float32")),
    "llama-f32": ("llama.cpp (xllamacpp)", "f32", "xllamacpp", lambda args: LlamaCpp(args, "f32.gguf")),
    "st-bf16": ("sentence-transformers", "bf16", "sentence-transformers",
                lambda args: SentenceTransformers(args, "bfloat16")),
    "openvino-bf16": ("OpenVINO, latency hint", "bf16", "openvino", lambda args: open_vino(args, "bf16")),
    "ort-int8": ("ONNX Runtime, QInt8 as usual", "int8", "onnxruntime",
                 lambda args: onnx_runtime(args, "model-int8.onnx")),
    "ort-int8-channel": ("ONNX Runtime, per channel, reduce_range", "int8", "onnxruntime",
                         lambda args: onnx_runtime(args, "model-int8-channel.onnx")),
    "ort-int8-fused": ("ONNX Runtime, its optimizer, per channel, reduce_range", "int8", "onnxruntime",
                       lambda args: onnx_runtime(args, "model-int8-fused.onnx")),
    "ct2-int8": ("CTranslate2", "int8", "ctranslate2", lambda args: ctranslate2(args, "int8")),
    "llama-q8_0": ("llama.cpp (xllamacpp), q8_0", "int8", "xllamacpp",
                   lambda args: LlamaCpp(args, "q8_0.gguf")),
}


def versions(package):
    said = f"{package} {version(package)}"
    return f"{said}, torch {version('torch')}" if package.startswith("sentence") else said


def try_batches(engine, texts, count):
    """{"batch": the fastest, "tried": {size: seconds}} over COUNT of the texts.
    Sizes take turns, and the best turn of each counts: what else the machine does
    would choose otherwise, the nearest sizes being 1 or 2 % apart."""
    if not hasattr(engine, "batch"):
        return {"batch": 0, "tried": {}}
    some, tried = texts[::max(1, len(texts) // count)][:count], {}
    for engine.batch in TURNS * [size for size in BATCHES if size <= len(some)]:
        engine.encode(some[-WARM:])
        begin = time.perf_counter()
        engine.encode(some)
        took = time.perf_counter() - begin
        tried[engine.batch] = min(took, tried.get(engine.batch, took))
    return {"batch": min(tried, key=tried.get), "tried": tried}


def measure(args):
    import numpy as np
    package, opened = PEERS[args.peer][2:]
    with open(args.texts, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    engine = opened(args)
    engine.encode(texts[:WARM])
    if args.sample:
        return try_batches(engine, texts, args.sample)
    begin = time.perf_counter()
    vectors, tokens = engine.encode(texts)
    seconds = time.perf_counter() - begin
    np.save(args.vectors, np.ascontiguousarray(vectors, np.float32))
    return {"version": versions(package), "texts": len(texts), "tokens": tokens or engine.tokens(texts),
            "seconds": seconds, "load_seconds": engine.load_seconds, "batch": getattr(engine, "batch", 0)}


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("peer", choices=PEERS)
    ap.add_argument("model", type=Path)
    ap.add_argument("texts", type=Path)
    ap.add_argument("--forms", type=Path, required=True)
    ap.add_argument("--vectors", type=Path, required=True)
    ap.add_argument("--batch", type=int, default=8)
    ap.add_argument("--try", type=int, dest="sample", metavar="SAMPLE")
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    args = ap.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        row = measure(args)
    except ModuleNotFoundError as error:
        row = {"absent": f"not installed: {error}"}
    except Absent as error:
        row = {"absent": str(error)}
    print("\n" + json.dumps(row), flush=True)
    os._exit(0)  # some engines wait for threads of theirs


if __name__ == "__main__":
    main()
