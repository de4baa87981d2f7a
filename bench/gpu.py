#!/usr/bin/env python3
"""Times ensembed on a card beside sentence-transformers on the same card.

    bench/gpu.py --program build/gcc/ensembed --work FOLDER [--device cuda:0]
                 [--shapes minilm,bert-base,bge-m3,qwen3-0.6b] [--dtypes f16,bf16]
                 [--lengths 50,150,512,real] [--chunks FOLDER_OF_CHUNKS]
                 [--tokens 4000000] [--rows FILE.jsonl] [--torch-device cuda]
                 [--minutes 9]
    bench/gpu.py --work FOLDER --make          the models alone, on any machine
    bench/gpu.py --rows FILE.jsonl --table     the table for docs/gpu.md

Models of the named shapes get random weights (what a product costs does not
depend on them) and a vocabulary of whole words, so that a text of N words is N
tokens and the specials. Both sides get the same texts: of equal length, and of
the real distribution (the chunks' lengths, four characters a token, up to the
model's limit). sentence-transformers runs in float16 with SDPA at the best of
several batch sizes. The matmul rate is this card's own, measured in the same
process by torch on the bge-m3 shape's products (for fp8 bf16's). A row a
measurement goes to standard output and, as JSON, to --rows; nothing is printed
of what was not measured. What --rows has is not measured again, and no
measurement begins after --minutes: the same command goes on. No network is
needed.

Needs torch, transformers and sentence-transformers to make models and for what
is theirs. Where torch is not, the models must be in --work already (--make, on
another machine), and ours alone is measured.
"""
import argparse
import importlib.util
import json
import random
import subprocess
import sys
import time
from pathlib import Path

from shapes import SHAPES, SPECIALS, save_model
from texts import chunk_texts

DTYPES = {"f16": "fp16", "bf16": "bf16", "f32": "f32", "fp8": "fp8"}
THEIRS = ["torch", "transformers", "sentence_transformers"]
SHARED_CHUNKS = Path("../shared/data/chunks")
OUR_CHUNKS = Path(__file__).resolve().parent.parent / "examples" / "chunks"


def missing():
    """Of what theirs needs."""
    return [name for name in THEIRS if importlib.util.find_spec(name) is None]


def model_of(args, shape):
    folder = args.work / shape
    if missing() and not (folder / "modules.json").exists():
        sys.exit(f"{folder}: there is no model, and what makes one is missing here ({', '.join(missing())}); "
                 f"run bench/gpu.py --make --work FOLDER where it is installed, and bring FOLDER/{shape} along")
    save_model(folder, shape)
    return folder


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
    kind = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32,
            "fp8": torch.bfloat16}[dtype]
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


def their_row(args, folder, texts, out, us):
    """What only their library tells: its speed, and how near we are to it in f32."""
    from sentence_transformers import SentenceTransformer
    import torch
    half = torch.float16 if args.torch_device == "cuda" else torch.float32
    model = SentenceTransformer(str(folder), device=args.torch_device,
                                model_kwargs={"dtype": half, "attn_implementation": "sdpa"})
    them = theirs(args, model, texts)
    model = SentenceTransformer(str(folder), device=args.torch_device, model_kwargs={"dtype": torch.float32})
    exact = model.encode(texts[:64], batch_size=8, convert_to_numpy=True)
    row = {"lowest_cosine_to_f32": lowest_cosine(folder, exact, out, 64)}
    if them:
        row |= {"sentence_transformers_tokens_per_second": us["tokens"] / them[0], "batch_size": them[1],
                "ratio": them[0] / us["seconds"]}
    return row


def told(row):
    text = (f"{row['shape']:11} {row['length']:>5} {row['dtype']:4} {row['tokens_per_second']:11.0f} tokens/s, "
            f"{row['tflops']:6.1f} TFLOP/s")
    if "fraction" in row:
        text += f" = {100 * row['fraction']:3.0f} % of {row['matmul_tflops']:.0f}"
    if "lowest_cosine_to_f32" in row:
        text += f", lowest cosine {row['lowest_cosine_to_f32']:.6f}"
    if "ratio" in row:
        text += f", {row['ratio']:.2f} times sentence-transformers (batches of {row['batch_size']})"
    return text


def measure(args, shape, length, dtype, rates):
    folder = model_of(args, shape)
    texts, _ = texts_of(args, shape, length, random.Random(7))
    where = args.work / "run"
    where.mkdir(parents=True, exist_ok=True)
    us = ours(args, folder, texts, dtype, where)
    rate = us["tokens"] / us["seconds"]
    row = {"shape": shape, "length": length, "dtype": dtype, "device": args.device, "texts": len(texts),
           "tokens": us["tokens"], "tokens_per_second": rate, "whole_seconds": us["whole_seconds"],
           "tflops": rate * layer_flops(shape) / 1e12, "passes": us["passes"]}
    if dtype in rates:
        row |= {"matmul_tflops": rates[dtype], "fraction": row["tflops"] / rates[dtype]}
    if not missing():
        row |= their_row(args, folder, texts, where / "out", us)
    print(told(row), flush=True)
    if args.rows:
        with args.rows.open("a") as file:
            file.write(json.dumps(row) + "\n")


def key_of(row):
    return row["shape"], row["length"], row["dtype"], row.get("device")


def rows_of(path):
    if not path or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def cell(row, key, form, times=1):
    return format(times * row[key], form) if key in row else "–"


def print_table(rows):
    print("| model's shape | tokens a text | type | tokens/s | share of the matmul rate | lowest cosine to f32 "
          "| times sentence-transformers |\n|---|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['shape']} | {row['length']} | {row['dtype']} | {row['tokens_per_second']:,.0f} "
              f"| {cell(row, 'fraction', '.0f', 100)} % | {cell(row, 'lowest_cosine_to_f32', '.6f')} "
              f"| {cell(row, 'ratio', '.2f')} |")


def measure_all(args, shapes):
    begin, dtypes = time.monotonic(), args.dtypes.split(",")
    if missing():
        print(f"missing here: {', '.join(missing())}; ours alone is measured", flush=True)
    rates = {} if missing() else {dtype: matmul_rate(args, dtype) for dtype in dtypes}
    for dtype, rate in rates.items():
        print(f"matmul {dtype}: {rate:.1f} TFLOP/s on the bge-m3 shape", flush=True)
    known = {key_of(row) for row in rows_of(args.rows)}
    for shape in shapes:
        for length in args.lengths.split(","):
            for dtype in dtypes:
                if (shape, length, dtype, args.device) in known:
                    continue
                if time.monotonic() - begin > 60 * args.minutes:
                    sys.exit(f"{args.minutes:g} minutes are over; the same command goes on"
                             + ("" if args.rows else " where --rows is said"))
                measure(args, shape, length, dtype, rates)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--program", default="build/gcc/ensembed")
    ap.add_argument("--work", type=Path)
    ap.add_argument("--device", default="cuda:0")
    ap.add_argument("--torch-device", default="cuda")
    ap.add_argument("--shapes", default="minilm,bert-base,bge-m3,qwen3-0.6b")
    ap.add_argument("--dtypes", default="f16,bf16")
    ap.add_argument("--lengths", default="50,150,512,real")
    ap.add_argument("--chunks", default=SHARED_CHUNKS if SHARED_CHUNKS.exists() else OUR_CHUNKS)
    ap.add_argument("--tokens", type=int, default=4_000_000)
    ap.add_argument("--rows", type=Path)
    ap.add_argument("--minutes", type=float, default=9)
    ap.add_argument("--make", action="store_true")
    ap.add_argument("--table", action="store_true")
    args = ap.parse_args()
    shapes = args.shapes.split(",")
    if args.table:
        print_table(rows_of(args.rows))
    elif not args.work:
        ap.error("--work FOLDER is needed")
    elif args.make:
        for shape in shapes:
            model_of(args, shape)
    else:
        measure_all(args, shapes)


if __name__ == "__main__":
    main()
