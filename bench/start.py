#!/usr/bin/env python3
"""Times a program's start: from nothing to a first vector.

    bench/start.py MODEL_DIR PROGRAM [PROGRAM ...] [--rounds 15]

Whole processes, in milliseconds, files in the page cache: `--version` (the
process and its libraries), `embed` of one text, `run` over one chunk into a new
folder (with digests of the weights, every artefact, the report, and everything
synced to the disk), and the same into the folder that is there (nothing is
loaded, because the row is there). Several programs take turns: two commits.
"""
import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path


def call(command):
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begin) * 1e3


def one_round(program, args, folder):
    chunks, out = Path(folder, "one.jsonl"), Path(folder, "out")
    chunks.write_text(json.dumps({"text": "how does a run resume?"}) + "\n")
    run = [program, "run", str(chunks), "--model", args.model, "--out",
           str(out), "--quiet", "--no-progress"]
    yield "--version", call([program, "--version"])
    yield "embed", call([program, "embed", "--model", args.model, "hello"])
    shutil.rmtree(out, ignore_errors=True)
    yield "run", call(run)
    done = json.loads((out / "summary.json").read_text())["collections"][0]
    yield "  of it loading", done["passes"][0]["load_ms"]
    yield "  of it encoding", done["passes"][0]["encode_ms"]
    yield "run again", call(run)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("model")
    ap.add_argument("programs", nargs="+")
    ap.add_argument("--rounds", type=int, default=15)
    args = ap.parse_args()
    times = {program: {} for program in args.programs}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.rounds):
            for program in args.programs:
                for what, ms in one_round(program, args, folder):
                    times[program].setdefault(what, []).append(ms)
    for program, by_what in times.items():
        print(program)
        for what, values in by_what.items():
            print(f"  {what:16s} best {min(values):6.1f} ms, median "
                  f"{statistics.median(values):6.1f} ms", flush=True)


if __name__ == "__main__":
    main()
