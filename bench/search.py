#!/usr/bin/env python3
"""Times exact search over many vectors: ours, the memory's own rate, FAISS.

    bench/search.py [--programs build-bench] [--rows 1000000] [--width 384]
                    [--rounds 3] [--threads N] [--work FOLDER]
                    [--model MODEL_DIR] [--before build-other]

Makes random unit vectors (1.5 GB for a million of 384), and deletes them. Each
round runs bench_search (see bench/search.c for what it times), then FAISS's
IndexFlatIP with as many threads over the same rows in memory of its own; both
answer the same questions, and the ids of the best 100 must agree, but for rows
whose scores differ by less than 1e-5. Needs numpy and faiss-cpu; without them
it says so and prints the rest. With --before another commit's bench_search
takes its turn in each round as well.

With --model it also makes a collection of that many chunks (of 1,000 different
texts, which are embedded once each) by `ensembed run`, asks `ensembed search`
in a process of its own, and prints what that says of its times.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

CLOSE = 1e-5
CALLS = 5


def ours(args, programs, path, cold):
    command = [f"{programs}/bench_search", path, "--threads",
               str(args.threads), "--rounds", "9", "--json"]
    out = subprocess.run(command + ["--cold"] * cold, check=True,
                         stdout=subprocess.PIPE)
    return json.loads(out.stdout)


class Faiss:
    """The same rows, in an index that was filled once."""

    def __init__(self, path, threads):
        import faiss
        import numpy
        faiss.omp_set_num_threads(threads)
        self.name = f"FAISS {faiss.__version__} IndexFlatIP"
        rows = numpy.load(path, mmap_mode="r")
        begin = time.perf_counter()
        self.index = faiss.IndexFlatIP(rows.shape[1])
        self.index.add(rows)
        self.load_ms = (time.perf_counter() - begin) * 1e3
        self.questions = numpy.load(path + ".questions.npy")

    def times(self, top):
        result = []
        for i in range(CALLS):
            question = self.questions[i % len(self.questions)][None]
            begin = time.perf_counter()
            self.index.search(question, top)
            result.append((time.perf_counter() - begin) * 1e3)
        return result

    def agrees(self, question, answer):
        """Their best rows are ours, or as good to the last digits."""
        scores, ids = self.index.search(self.questions[question][None],
                                        len(answer))
        for (row, score), their, their_score in zip(answer, ids[0], scores[0]):
            if row != their and abs(score - float(their_score)) > CLOSE:
                return f"row {row} ({score}) and {their} ({their_score})"
            if abs(score - float(their_score)) > CLOSE:
                return f"row {row}: {score} and {their_score}"
        return None


def print_times(args, name, best, median, read):
    rate = args.rows * args.width * 4 / median / 1e6
    print(f"{name:34s} best {best:7.1f} ms, median {median:7.1f} ms, "
          f"{rate:5.1f} GB/s, {read / median:.2f} of read", flush=True)


def print_build(args, name, runs):
    """A share is of what was read in the same round of nine."""
    for what in ("read", "top 10", "top 100", "cosine", "new map", "cold"):
        times = [t for r in runs for t in r["times"] if t["what"] == what]
        median = statistics.median(t["median_ms"] for t in times)
        share = statistics.median(t["share_of_read"] for t in times)
        print_times(args, f"{name}, {what}", min(t["best_ms"] for t in times),
                    median, share * median)


def compare(args, folder):
    path = str(Path(folder, "rows.npy"))
    subprocess.run([f"{args.programs}/bench_search", "make", path,
                    str(args.rows), str(args.width)], check=True)
    try:
        peer = Faiss(path, args.threads)
    except ImportError as missing:
        peer = None
        print(f"FAISS is left out: {missing} (pip install faiss-cpu)")
    builds = {"ensembed": args.programs} | (
        {"before": args.before} if args.before else {})
    runs, theirs = {name: [] for name in builds}, {10: [], 100: []}
    for turn in range(args.rounds):
        for name in list(builds)[::1 - 2 * (turn % 2)]:
            runs[name].append(ours(args, builds[name], path,
                                   cold=turn == args.rounds - 1))
        for top in theirs if peer else ():
            theirs[top] += peer.times(top)
    read = statistics.median(t["median_ms"] for r in runs["ensembed"]
                             for t in r["times"] if t["what"] == "read")
    for name in builds:
        print_build(args, name, runs[name])
    if args.before and runs["before"][0]["answers"] != runs["ensembed"][0]["answers"]:
        raise SystemExit("the two builds do not answer with the same bits")
    if not peer:
        return
    for top, times in theirs.items():
        print_times(args, f"{peer.name}, top {top}", min(times),
                    statistics.median(times), read)
    print(f"FAISS's index was filled in {peer.load_ms:.0f} ms")
    for question, answer in enumerate(runs["ensembed"][0]["answers"]):
        differs = peer.agrees(question, answer)
        if differs:
            raise SystemExit(f"question {question}: {differs}")
    count = len(runs["ensembed"][0]["answers"])
    print(f"the best {len(answer)} rows of {count} questions agree")


def whole_program(args, folder):
    program = f"{args.programs}/ensembed"
    chunks, out = Path(folder, "chunks.jsonl"), str(Path(folder, "out"))
    with chunks.open("w") as file:
        for i in range(args.rows):
            file.write(json.dumps({"text": f"item {i * 7919 % 1000}"}) + "\n")
    subprocess.run([program, "run", str(chunks), "--model", args.model, "--out",
                    out, "--export", "npy", "--quiet", "--no-progress"],
                   check=True)
    for question in ("item 12", "which items are large", "the last one"):
        begin = time.perf_counter()
        answer = subprocess.run([program, "search", out, question, "--json",
                                 "--threads", str(args.threads)], check=True,
                                stdout=subprocess.PIPE)
        whole = (time.perf_counter() - begin) * 1e3
        said = json.loads(answer.stdout)
        print(f"ensembed search, {said['rows']} rows: scan "
              f"{said['scan_ms']:.1f} ms, question {said['encode_ms']:.1f} ms, "
              f"loading {said['load_ms']:.1f} ms, the whole process "
              f"{whole:.1f} ms", flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--programs", default="build-bench")
    ap.add_argument("--rows", type=int, default=1000000)
    ap.add_argument("--width", type=int, default=384)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--threads", type=int,
                    default=len(os.sched_getaffinity(0)))
    ap.add_argument("--work", help="where the rows lie meanwhile")
    ap.add_argument("--model")
    ap.add_argument("--before", help="programs of another commit, in turns")
    args = ap.parse_args()
    print(f"{args.rows} rows of {args.width}, {args.threads} threads")
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        compare(args, folder)
    if args.model:
        with tempfile.TemporaryDirectory(dir=args.work) as folder:
            whole_program(args, folder)


if __name__ == "__main__":
    main()
