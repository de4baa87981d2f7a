#!/usr/bin/env python3
"""Compares the vectors of a finished run with sentence-transformers' in f32.

    tools/parity.py MODEL_DIR OUT_DIR [--limit N] [--time] [--threads N]

For each collection in OUT_DIR it encodes the texts of texts.jsonl with
SentenceTransformer(MODEL_DIR).encode_document and compares row by row with
embeddings.npy. Prints the lowest and the mean cosine; exits 1 if the lowest is
below 0.99999. --time also prints tokens a second of sentence-transformers,
counted without padding. Needs: pip install torch sentence-transformers.
"""
import argparse
import json
import os
import sys
import time
from pathlib import Path

LOWEST = 0.99999


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("model")
    ap.add_argument("out", type=Path)
    ap.add_argument("--limit", type=int, default=0, help="texts a collection")
    ap.add_argument("--time", action="store_true")
    ap.add_argument("--threads", type=int, default=0)
    args = ap.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import numpy as np
    import torch
    from sentence_transformers import SentenceTransformer

    if args.threads:
        torch.set_num_threads(args.threads)
    model = SentenceTransformer(args.model, device="cpu")
    worst, total, cosines, seconds, tokens = 2.0, 0, 0.0, 0.0, 0
    for stats in sorted(args.out.glob("*/stats.json")):
        folder = stats.parent
        lines = (folder / "texts.jsonl").read_text(encoding="utf-8")
        texts = [json.loads(line) for line in lines.split("\n") if line]
        ours = np.load(folder / "embeddings.npy")
        assert len(texts) == len(ours), (folder, len(texts), len(ours))
        if args.limit:
            texts, ours = texts[: args.limit], ours[: args.limit]
        begin = time.perf_counter()
        theirs = model.encode_document(texts, convert_to_numpy=True)
        seconds += time.perf_counter() - begin
        if args.time:
            ids = model.tokenizer(texts, truncation=True,
                                  max_length=model.max_seq_length)["input_ids"]
            tokens += sum(map(len, ids))
        a, b = ours.astype(np.float64), theirs.astype(np.float64)
        a /= np.linalg.norm(a, axis=1, keepdims=True)
        b /= np.linalg.norm(b, axis=1, keepdims=True)
        cos = (a * b).sum(axis=1)
        print(f"{folder.name}: {len(cos)} vectors, lowest cosine {cos.min():.9f}")
        worst, total, cosines = min(worst, cos.min()), total + len(cos), cosines + cos.sum()
    if not total:
        sys.exit(f"{args.out}: no finished collection")
    print(f"{total} vectors against sentence-transformers: lowest cosine "
          f"{worst:.9f}, mean {cosines / total:.9f}")
    if args.time:
        print(f"sentence-transformers: {tokens / seconds:.0f} tokens/s, "
              f"{tokens} tokens in {seconds:.2f} s")
    sys.exit(0 if worst >= LOWEST else 1)


if __name__ == "__main__":
    main()
