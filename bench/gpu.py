#!/usr/bin/env python3
"""Times ensembed on a card beside sentence-transformers on the same card.

    bench/gpu.py --program build/gcc/ensembed --work FOLDER [--device cuda:0]
                 [--shapes minilm,bert-base,bge-m3,qwen3-0.6b] [--dtypes f16,bf16]
                 [--lengths 50,150,512,real] [--chunks FOLDER_OF_CHUNKS]
                 [--tokens 4000000] [--rows FILE.jsonl] [--torch-device cuda]

Models of the named shapes get random weights (what a product costs does not
depend on them) and a vocabulary of whole words, so that a text of N words is N
tokens and the specials. Both sides get the same texts: of equal length, and of
the real distribution (the chunks' lengths, four characters a token, up to the
model's limit). sentence-transformers runs in float16 with SDPA at the best of
several batch sizes. The matmul rate is this card's own, measured in the same
process by torch on the bge-m3 shape's products. A row a measurement goes to
standard output and, as JSON, to --rows; nothing is printed of what was not
measured. Needs torch, transformers and sentence-transformers.
"""
import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

from shapes import SHAPES, SPECIALS, save_model
from texts import chunk_texts

DTYPES = {"f16": "fp16", "bf16": "bf16", "f32": "f32"}


def real_lengths(chunks, longest):
    return [max(3, min(longest, len(text) // 4)) for text in chunk_texts(chunks)]


def texts_of(args, shape, length, rng):
    vocab, longest = SHAPES[shape][6:]
    if length == "real":
        wanted = real_lengths(args.chunks, longest)
        if not wanted:
            sys.exit(f"{args.chunks} has no chunks")
    else:
        wanted = [int(length)]
    texts, tokens = [], 0
    while tokens < args.tokens:
        size = wanted[len(texts) % len(wanted)]
        texts.append(" ".join(f"w{rng.randrange(len(SPECIALS), vocab)}" for _ in range(max(1, size - 2))))
        tokens += size
    return texts, tokens


def ours(args, folder, texts, dtype, where):
    chunks = where / "texts.jsonl"
    chunks.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    command = [args.program, "run", str(chunks), "--model", str(folder), "--device", args.device,
               "--out", str(where / "out"), "--restart", "--export", "npy", "--quiet", "--no-progress"]
    if args.device.startswith("cuda"):
        command += ["--dtype", DTYPES[dtype]]
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - begin
    summary = json.loads((where / "out" / "summary.json").read_text())
    passes = [p for c in summary["collections"] for p in c["passes"]]
    return {"tokens": sum(p["tokens"] for p in passes),
            "seconds": sum(p["duration_ms"] for p in passes) / 1000, "whole_seconds": whole,
            "passes": passes}


def theirs(args, model, texts):
    """The best of several batch sizes; the model's own sorting by length."""
    import torch
    best = None
    for size in (32, 128, 512):
        try:
            model.encode(texts[:size], batch_size=size)
            begin = time.perf_counter()
            vectors = model.encode(texts, batch_size=size, convert_to_numpy=True)
            seconds = time.perf_counter() - begin
        except torch.OutOfMemoryError:
            break
        if best is None or seconds < best[0]:
            best = (seconds, size, vectors)
    return best


def matmul_rate(args, dtype):
    """TFLOP/s over the bge-m3 shape's four products of 16,384 rows."""
    import torch
    kind = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32}[dtype]
    rows = 16384 if args.torch_device == "cuda" else 64
    pairs = [(torch.randn(rows, i, device=args.torch_device, dtype=kind),
              torch.randn(o, i, device=args.torch_device, dtype=kind))
             for i, o in ((1024, 3072), (1024, 1024), (1024, 4096), (4096, 1024))]
    wait = torch.cuda.synchronize if args.torch_device == "cuda" else (lambda: None)
    for _ in range(3):
        for x, w in pairs:
            torch.nn.functional.linear(x, w)
    wait()
    rounds, begin = 20, time.perf_counter()
    for _ in range(rounds):
        for x, w in pairs:
            torch.nn.functional.linear(x, w)
    wait()
    flops = rounds * sum(2 * x.shape[0] * x.shape[1] * w.shape[0] for x, w in pairs)
    return flops / (time.perf_counter() - begin) / 1e12


def layer_flops(shape):
    hidden, layers, heads, kv_heads, head_dim, inter = SHAPES[shape][:6]
    gates = 3 if shape.startswith("qwen3") else 2
    return 2 * layers * hidden * ((2 * heads + 2 * kv_heads) * head_dim + gates * inter)


def lowest_cosine(folder, reference, out, count):
    import numpy as np
    vectors = np.load(next(Path(out).glob("*/embeddings.npy")), mmap_mode="r")[:count]
    return float((vectors * reference[:count]).sum(axis=1).min())


def measure(args, shape, length, dtype, rates, rows):
    from sentence_transformers import SentenceTransformer
    import torch
    folder = args.work / shape
    save_model(folder, shape)
    texts, _ = texts_of(args, shape, length, random.Random(7))
    where = args.work / "run"
    where.mkdir(parents=True, exist_ok=True)
    us = ours(args, folder, texts, dtype, where)
    half = torch.float16 if args.torch_device == "cuda" else torch.float32
    model = SentenceTransformer(str(folder), device=args.torch_device,
                                model_kwargs={"dtype": half, "attn_implementation": "sdpa"})
    them = theirs(args, model, texts)
    model = SentenceTransformer(str(folder), device=args.torch_device, model_kwargs={"dtype": torch.float32})
    exact = model.encode(texts[:64], batch_size=8, convert_to_numpy=True)
    rate = us["tokens"] / us["seconds"]
    row = {"shape": shape, "length": length, "dtype": dtype, "texts": len(texts), "tokens": us["tokens"],
           "tokens_per_second": rate, "whole_seconds": us["whole_seconds"],
           "tflops": rate * layer_flops(shape) / 1e12, "matmul_tflops": rates[dtype],
           "fraction": rate * layer_flops(shape) / 1e12 / rates[dtype],
           "lowest_cosine_to_f32": lowest_cosine(folder, exact, where / "out", 64),
           "passes": us["passes"]}
    if them:
        row |= {"sentence_transformers_tokens_per_second": us["tokens"] / them[0], "batch_size": them[1],
                "ratio": them[0] / us["seconds"]}
    print(f"{shape:11} {length:>5} {dtype:4} {rate:11.0f} tokens/s, {row['tflops']:6.1f} TFLOP/s = "
          f"{100 * row['fraction']:3.0f} % of {rates[dtype]:.0f}, lowest cosine {row['lowest_cosine_to_f32']:.6f}"
          + (f", {row['ratio']:.2f} times sentence-transformers (batches of {them[1]})" if them else ""), flush=True)
    if rows:
        rows.write(json.dumps(row) + "\n")
        rows.flush()


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--program", default="build/gcc/ensembed")
    ap.add_argument("--work", type=Path, required=True)
    ap.add_argument("--device", default="cuda:0")
    ap.add_argument("--torch-device", default="cuda")
    ap.add_argument("--shapes", default="minilm,bert-base,bge-m3,qwen3-0.6b")
    ap.add_argument("--dtypes", default="f16,bf16")
    ap.add_argument("--lengths", default="50,150,512,real")
    ap.add_argument("--chunks", default="../shared/data/chunks")
    ap.add_argument("--tokens", type=int, default=4_000_000)
    ap.add_argument("--rows", type=Path)
    args = ap.parse_args()
    dtypes = args.dtypes.split(",")
    rates = {dtype: matmul_rate(args, dtype) for dtype in dtypes}
    for dtype, rate in rates.items():
        print(f"matmul {dtype}: {rate:.1f} TFLOP/s on the bge-m3 shape", flush=True)
    rows = args.rows.open("a") if args.rows else None
    for shape in args.shapes.split(","):
        for length in args.lengths.split(","):
            for dtype in dtypes:
                measure(args, shape, length, dtype, rates, rows)


if __name__ == "__main__":
    main()
