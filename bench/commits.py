#!/usr/bin/env python3
"""Two commits of ensembed on the same texts, in turn.

    bench/commits.py A B MODEL_DIR CHUNKS --work FOLDER [--pairs 5] [--texts 200]
                     [--threads N] [--numbers f32,int8,bf16] [--rows FILE.jsonl]
    bench/commits.py --rows FILE.jsonl        prints the ratios of these rows

Both commits are built in FOLDER (Release). In a pair each has a turn, every
other pair the second one first, so that what else the machine does meets both.
Printed is A / B by pair and their median: tokens/s of a run, one query in
milliseconds (`ensembed bench`), seconds of loading, MiB at the peak. A raw row
a value is appended to --rows (default FOLDER/commits.jsonl).
"""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import machine
import ours
from rows import markdown, read_rows
from table import write_texts

HERE = Path(__file__).resolve().parent
HEAD = ["what", "A", "B", "A / B by pair", "median"]


def checked(command, **how):
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **how)
    if done.returncode:
        sys.stdout.buffer.write(done.stdout)
        sys.exit(f"commits: this failed: {' '.join(map(str, command))}")
    return done.stdout


def full_name(commit):
    return checked(["git", "-C", HERE, "rev-parse", "--verify", f"{commit}^{{commit}}"]).decode().strip()[:12]


def build(commit, work):
    """The program of COMMIT; what was built before is there still."""
    folder = work / commit
    program = folder / "build" / "ensembed"
    if program.exists():
        return program
    print(f"commits: building {commit}", file=sys.stderr, flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    archive = checked(["git", "-C", HERE.parent, "archive", commit])
    checked(["tar", "-x", "-C", folder], input=archive)
    checked(["cmake", "-S", folder, "-B", folder / "build", "-DCMAKE_BUILD_TYPE=Release"])
    checked(["cmake", "--build", folder / "build", "-j", str(os.cpu_count()), "--target", "ens_program"])
    return program


def one_query(said):
    """Of 8 tokens; older commits have it in another place."""
    for query in said.get("queries", ()):
        if query["tokens"] == 8:
            return query["ms"]
    return said["models"][0]["one_query_ms"]


def values(program, args):
    """(what, value) of one turn; of what a commit cannot do there is nothing."""
    for numbers in args.numbers.split(","):
        row, _ = ours.run_texts(program, args.model, args.text_file, numbers, args.threads, args.work / "out")
        if "absent" in row:
            print(f"commits: {program}: {numbers}: {row['absent']}", file=sys.stderr, flush=True)
            continue
        yield f"{numbers}: tokens/s", row["tokens"] / row["seconds"]
        yield f"{numbers}: load, s", row["load_seconds"]
        yield f"{numbers}: peak, MiB", row["peak_mib"]
        said = ours.bench(program, numbers, args.threads, "--model", f"{args.model}:budget=1024")
        if said and said["models"]:
            yield f"{numbers}: one query, ms", one_query(said)


def measure(args):
    commits = {"A": full_name(args.a), "B": full_name(args.b)}
    programs = {side: build(commit, args.work) for side, commit in commits.items()}
    args.text_file = args.work / "texts.jsonl"
    write_texts(args.chunks, args.texts, args.text_file)
    first = max((row["pair"] for row in read_rows(args.rows)), default=0) + 1 if args.rows.exists() else 1
    for pair in range(first, first + args.pairs):
        for side in ("AB", "BA")[pair % 2]:
            for what, value in values(programs[side], args):
                row = {"date": machine.now(), "pair": pair, "side": side, "commit": commits[side], "what": what,
                       "value": value, "model": args.model.name, "texts": args.texts,
                       "threads": args.threads, "machine": machine.machine()}
                with open(args.rows, "a", encoding="utf-8") as out:
                    out.write(json.dumps(row) + "\n")
        print(f"commits: pair {pair} is done", file=sys.stderr, flush=True)


def ratios(rows, what):
    """A / B of each pair that has both."""
    sides = {(row["pair"], row["side"]): row["value"] for row in rows if row["what"] == what}
    return [value / sides[pair, "B"] for (pair, side), value in sides.items()
            if side == "A" and sides.get((pair, "B"))]


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def line(rows, what):
    middle = {side: median(found) if found else None for side in "AB" for found in [
        [row["value"] for row in rows if row["what"] == what and row["side"] == side]]}
    found = ratios(rows, what)
    return [what, *(number(middle[side]) if middle[side] else "" for side in "AB"),
            " ".join(f"{ratio:.3f}" for ratio in found), f"{median(found):.3f}" if found else ""]


def printed(rows):
    named = {side: next((row["commit"] for row in rows if row["side"] == side), "") for side in "AB"}
    first = rows[0]
    lines = [f"A = {named['A']}, B = {named['B']}; {first['model']}, {first['texts']} texts, "
             f"{first['threads']} threads, {first['machine']['cpu']}", "", markdown(HEAD), "|" + "---|" * len(HEAD)]
    return "\n".join(lines + [markdown(line(rows, what)) for what in dict.fromkeys(row["what"] for row in rows)])


def arguments():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("a", nargs="?")
    ap.add_argument("b", nargs="?")
    ap.add_argument("model", type=Path, nargs="?")
    ap.add_argument("chunks", type=Path, nargs="?")
    ap.add_argument("--work", type=Path)
    ap.add_argument("--pairs", type=int, default=5)
    ap.add_argument("--texts", type=int, default=200)
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    ap.add_argument("--numbers", default="f32,int8,bf16")
    ap.add_argument("--rows", type=Path)
    args = ap.parse_args()
    if args.a and not (args.chunks and args.work):
        ap.error("say A B MODEL_DIR CHUNKS --work FOLDER")
    if not args.a and not args.rows:
        ap.error("say A B MODEL_DIR CHUNKS --work FOLDER, or --rows FILE to print its ratios again")
    return args


def main():
    args = arguments()
    if args.a:
        args.work.mkdir(parents=True, exist_ok=True)
        args.work, args.model = args.work.resolve(), args.model.resolve()
        args.rows = args.rows or args.work / "commits.jsonl"
        measure(args)
    print(printed(read_rows(args.rows)))


if __name__ == "__main__":
    main()
