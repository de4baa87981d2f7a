#!/usr/bin/env python3
"""One query of few tokens: ensembed beside ONNX Runtime, in turn.

    bench/queries.py PROGRAM MODEL_DIR MODEL.onnx [--rounds 3] [--threads N]

MODEL.onnx is that model as bench/forms.py converts it. Each turn is a process
of its own: `ensembed bench`, then ONNX Runtime on ids of the same counts.
Printed are milliseconds (a turn's median), of each round, from ids to vectors
or hidden states; ours over the floor, which is the larger of computing the
layers' products and reading their matrices (from memory, and again as far as
caches hold them), at rates measured in the same turn; and theirs / ours by
medians over the rounds.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from statistics import median

TOKENS = [4, 8, 12, 32, 128]
RUNS = 41


def theirs(path, threads):
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    wanted = {i.name for i in session.get_inputs()}
    found = {}
    for tokens in TOKENS:
        ids = np.random.default_rng(0).integers(1000, 30000, (1, tokens))
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        feed = {name: value for name, value in feed.items() if name in wanted}
        times = []
        for _ in range(RUNS):
            begin = time.perf_counter()
            session.run(None, feed)
            times.append(1e3 * (time.perf_counter() - begin))
        found[tokens] = median(times)
    return found


def turn(command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def over_floor(query, read):
    return query["ms"] / max(query["products_ms"], query[read])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("onnx")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--theirs", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.theirs:
        print(json.dumps(theirs(args.onnx, args.threads)))
        return
    ours, other = [], []
    for _ in range(args.rounds):
        said = turn([args.program, "bench", "--model", args.model, "--threads", str(args.threads), "--json"])
        ours.append({query["tokens"]: query for query in said["queries"]})
        other.append(turn([sys.executable, *sys.argv, "--theirs"]))
    for tokens in TOKENS:
        mine = [o[tokens] for o in ours]
        their = [o[str(tokens)] for o in other]
        ms = [query["ms"] for query in mine]
        print(f"{tokens:3} tokens: ensembed", *(f"{m:.2f}" for m in ms), "ms, of the floor",
              *(f"{over_floor(query, 'read_ms'):.2f}" for query in mine), "and if read again",
              *(f"{over_floor(query, 'read_again_ms'):.2f}" for query in mine), "| onnxruntime",
              *(f"{m:.2f}" for m in their), f"ms, {median(their) / median(ms):.2f} times ours")


if __name__ == "__main__":
    main()
