#!/usr/bin/env python3
"""Times ensembed and sentence-transformers on the same chunks in one run.

    bench/compare.py MODEL_DIR CHUNKS [--program build/gcc/ensembed]
                     [--rounds 3] [--threads N]

The two take turns. Both get every chunk (sentence-transformers all texts,
ensembed also reads, checks, stores and exports them) and count real tokens,
without padding, after truncation. Loading the model is left out on both sides.
Prints a row a round and the medians' ratio; also whole-process seconds of
ensembed, and the vectors' lowest cosine. Needs torch and sentence-transformers.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path


def ours(args, out):
    command = [args.program, "run", args.chunks, "--model", args.model, "--out",
               out, "--quiet", "--no-progress", "--restart"]
    if args.threads:
        command += ["--threads", str(args.threads)]
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - begin
    summary = json.loads(Path(out, "summary.json").read_text())
    passes = [p for c in summary["collections"] for p in c["passes"]]
    seconds = sum(p["duration_ms"] for p in passes) / 1000
    tokens = sum(p["tokens"] for p in passes)
    return tokens, seconds, whole, summary


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("model")
    ap.add_argument("chunks")
    ap.add_argument("--program", default="build/gcc/ensembed")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--threads", type=int, default=0)
    args = ap.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    import numpy as np
    import torch
    from sentence_transformers import SentenceTransformer

    if args.threads:
        torch.set_num_threads(args.threads)
    model = SentenceTransformer(args.model, device="cpu")
    rates = {"ensembed": [], "sentence-transformers": []}
    with tempfile.TemporaryDirectory() as out:
        for round_ in range(args.rounds):
            tokens, seconds, whole, summary = ours(args, out)
            texts, rows = [], []
            for stats in sorted(Path(out).glob("*/stats.json")):
                lines = (stats.parent / "texts.jsonl").read_text("utf-8").split("\n")
                texts += [json.loads(line) for line in lines if line]
                rows.append(np.load(stats.parent / "embeddings.npy"))
            begin = time.perf_counter()
            theirs = model.encode(texts, convert_to_numpy=True)
            st_seconds = time.perf_counter() - begin
            ids = model.tokenizer(texts, truncation=True,
                                  max_length=model.max_seq_length)["input_ids"]
            st_tokens = sum(map(len, ids))
            cos = (np.concatenate(rows) * theirs).sum(axis=1)
            rates["ensembed"].append(tokens / seconds)
            rates["sentence-transformers"].append(st_tokens / st_seconds)
            print(f"round {round_ + 1}: ensembed {tokens / seconds:.0f} tokens/s "
                  f"({tokens} tokens, whole process {whole:.1f} s for "
                  f"{len(texts)} chunks), sentence-transformers "
                  f"{st_tokens / st_seconds:.0f} tokens/s ({st_tokens} tokens in "
                  f"{st_seconds:.1f} s), lowest cosine {cos.min():.7f}", flush=True)
    ratio = (statistics.median(rates["ensembed"]) /
             statistics.median(rates["sentence-transformers"]))
    device = summary["device"]
    print(f"{device['model']}, {device['isa']}, {device['threads']} threads: "
          f"ensembed is {ratio:.2f} times sentence-transformers {torch.__version__}")


if __name__ == "__main__":
    main()
