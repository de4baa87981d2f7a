#!/usr/bin/env python3
"""Whether a run's speed and memory stay the same as its chunks become more.

    bench/growth.py MODEL_DIR [--counts 1000,10000,100000] [--threads 1,2]
                    [--words 12] [--export npy] [--program build/gcc/ensembed]
                    [--keep FOLDER]

Makes a file of COUNT short texts for each count (the same in each run: words
of a fixed vocabulary drawn by Zipf's law, no two texts alike), runs the model
over it and prints a row: chunks and tokens a second of the whole process,
seconds of each phase, peak memory (of the process, and of it what the program
counts as its own), bytes on disk. Several numbers of threads give a row each.
Needs Python alone.

With one of the tiny models of tests/fixtures/models the pipeline is what is
measured; with a real one, what people see.
"""
import argparse
import bisect
import itertools
import json
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

import machine


def vocabulary(rng, size=20000):
    """Short words first, as in language."""
    syllables = [a + b for a in "bcdfghklmnprstvw" for b in "aeiou"]
    words, seen = [], set()
    while len(words) < size:
        length = 1 + int(4 * len(words) / size + rng.random() * 1.5)
        word = "".join(rng.choices(syllables, k=length))
        if word not in seen:
            seen.add(word)
            words.append(word)
    return words


def write_chunks(path, count, words_a_text):
    rng = random.Random(7)
    words = vocabulary(rng)
    sums = list(itertools.accumulate(1 / (rank + 1) for rank in range(len(words))))
    with open(path, "w", encoding="utf-8") as out:
        for i in range(count):
            size = 1 + int(rng.expovariate(1 / words_a_text)) % (8 * words_a_text)
            drawn = (words[bisect.bisect(sums, rng.random() * sums[-1])]
                     for _ in range(size))
            out.write(json.dumps({"text": f"{' '.join(drawn)} {i}",
                                  "metadata": {"number": i, "source": f"page {i // 50}"}}))
            out.write("\n")


def size_of(folder):
    return sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())


def measure(args, count, threads, folder):
    chunks, out = Path(folder, f"{count}.jsonl"), Path(folder, f"out-{count}")
    if not chunks.exists():
        write_chunks(chunks, count, args.words)
    if args.prepare:
        return None
    shutil.rmtree(out, ignore_errors=True)
    command = [args.program, "run", chunks, "--model", args.model, "--out", out,
               "--quiet", "--no-progress"]
    if args.export:
        command += ["--export", args.export]
    if threads:
        command += ["--threads", str(threads)]
    begin = time.perf_counter()
    ended = machine.run(command)
    seconds = time.perf_counter() - begin
    if ended.status:
        raise SystemExit(f"{args.program} on {count} chunks: {ended.last_error()}")
    summary = json.loads(Path(out, "summary.json").read_text())
    passes = [p for c in summary["collections"] for p in c["passes"]]
    row = {"chunks": count, "tokens": sum(p["tokens"] for p in passes),
           "seconds": seconds, "cpu_seconds": ended.cpu_seconds, **ended.taken(),
           "private_peak_mib": max(p["memory"]["private_peak_bytes"]
                                   for p in passes) / 2**20,
           "disk_bytes": size_of(out), "device": summary["device"],
           "phases": summary["phases"]}
    shutil.rmtree(out)
    return row


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("model")
    ap.add_argument("--counts", default="1000,10000,100000")
    ap.add_argument("--words", type=int, default=12, help="mean words of a text")
    ap.add_argument("--threads", default="0", help="0: as many as there are")
    ap.add_argument("--export", default="", help="as of the program; all of them")
    ap.add_argument("--program", default="build/gcc/ensembed")
    ap.add_argument("--keep", help="where chunk files stay, for the next time")
    ap.add_argument("--prepare", action="store_true",
                    help="only make the chunk files, with --keep")
    ap.add_argument("--json", help="file to which the raw rows are added, a line each")
    args = ap.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    folder = args.keep or tempfile.mkdtemp()
    os.makedirs(folder, exist_ok=True)
    first = None
    try:
        for count, threads in itertools.product(map(int, args.counts.split(",")),
                                                map(int, args.threads.split(","))):
            row = measure(args, count, threads, folder)
            if args.prepare:
                continue
            if args.json:
                with open(args.json, "a", encoding="utf-8") as out:
                    out.write(json.dumps(row) + "\n")
            if not first:
                first = row
                device, phases = row["device"], list(row["phases"])
                print(f"{device['model']}, {device['isa']}; {Path(args.model).name}")
                print("| chunks | threads | tokens | seconds | chunks/s | tokens/s | "
                      + " | ".join(phases) + " | peak MiB | ours MiB | disk MB |")
                print("|" + "---|" * (9 + len(phases)))
            print(f"| {count:,} | {row['device']['threads']} | {row['tokens']:,} | {row['seconds']:.2f} | "
                  f"{count / row['seconds']:,.0f} | {row['tokens'] / row['seconds']:,.0f} | "
                  + " | ".join(f"{row['phases'][p]['ms'] / 1000:.2f}" for p in phases)
                  + f" | {row['peak_mib']:.1f} | {row['private_peak_mib']:.1f} | "
                  f"{row['disk_bytes'] / 1e6:.1f} |", flush=True)
    finally:
        if not args.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
