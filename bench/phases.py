#!/usr/bin/env python3
"""Where each per cent of a run's time goes.

    bench/phases.py MODEL_DIR CHUNKS [--program build/gcc/ensembed]
                     [--threads 2] [--rounds 3] [--copies 1,9] [--perf]
                     [OPTION OF run ...]

Runs the model over the chunks and prints what summary.json says of the run's
phases (src/run/phases.h): milliseconds, of the round with the median whole
time, and each phase's share. "Around the model" is the sum of intake, read,
tokenize, store, export and sync. Storing goes on while the next batch is
encoded, so its share is what it lasted and at most what it cost.

--copies 9 runs over nine copies of the chunks, whose texts and ids begin with
the copy's number. With two numbers both are run, and the difference is divided
by the chunks: what a phase costs a chunk, and what it costs once.

--perf runs it once more under Linux' perf and prints the share of processor
time by kind of work: a table of functions, by name, at the end of this file.
Functions that it does not know stand by themselves, so a new kernel shows.
Needs Python alone, and perf for --perf.
"""
import argparse
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

AROUND = ["intake", "read", "tokenize", "store", "export", "sync"]


def command_of(args, out):
    command = [args.program, "run", args.chunks, "--as", "all", "--model", args.model,
               "--out", out, "--quiet", "--no-progress", "--restart"]
    return command + (["--threads", str(args.threads)] if args.threads else []) + args.more


def copy_chunks(chunks, copies, folder):
    """COPIES of the chunk files of a folder, no text and no id in two of them."""
    for path in sorted(Path(chunks).rglob("*_chunks.json")):
        text = path.read_bytes()
        for i in range(copies):
            to = Path(folder, str(i), path.relative_to(chunks))
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(re.sub(rb'("(?:text|content|chunk_id)": ")',
                                  rb"\g<1>%d " % i, text))


def median_round(args):
    rounds = sorted((run(args) for _ in range(args.rounds)), key=lambda r: r[0])
    return rounds[len(rounds) // 2]


def run(args):
    with tempfile.TemporaryDirectory() as out:
        begin = time.perf_counter()
        subprocess.run(command_of(args, out), check=True, stdout=subprocess.DEVNULL)
        whole_ms = (time.perf_counter() - begin) * 1000
        summary = json.loads(Path(out, "summary.json").read_text("utf-8"))
    return whole_ms, summary


def print_phases(whole_ms, summary):
    passes = [p for c in summary["collections"] for p in c["passes"]]
    tokens, texts = sum(p["tokens"] for p in passes), sum(p["texts"] for p in passes)
    phases, device = summary["phases"], summary["device"]
    print(f"{device['model']}, {device['isa']}, {device['threads']} threads: {texts} texts, "
          f"{tokens} tokens in {whole_ms / 1000:.2f} s, {tokens / whole_ms * 1000:.0f} tokens/s")
    print("| phase | ms | of the whole | computed by the deciding thread, ms |")
    print("|---|---|---|---|")
    for name, phase in phases.items():
        print(f"| {name} | {phase['ms']:.1f} | {phase['ms'] / whole_ms:.2%} | "
              f"{phase['cpu_ms']:.1f} |")
    rest = whole_ms - sum(p["ms"] for p in phases.values())
    print(f"| program start and end | {rest:.1f} | {rest / whole_ms:.2%} | |")
    around = sum(phases[name]["ms"] for name in AROUND)
    print(f"| **around the model** ({', '.join(AROUND)}) | {around:.1f} | "
          f"**{around / whole_ms:.2%}** | |")


def chunks_of(summary):
    return sum(c["chunks"]["found"] for c in summary["collections"])


def print_growth(few, many):
    """What each phase costs once and what a chunk, of two (whole_ms, summary)."""
    more = chunks_of(many[1]) - chunks_of(few[1])
    print(f"\n{chunks_of(few[1])} and {chunks_of(many[1])} chunks:\n"
          "| phase | once, ms | a chunk, us | of it computed by the deciding thread, us |\n"
          "|---|---|---|---|")
    for name, phase in few[1]["phases"].items():
        other = many[1]["phases"][name]
        a_chunk, cpu = (1000 * (other[k] - phase[k]) / more for k in ("ms", "cpu_ms"))
        once = phase["ms"] - a_chunk * chunks_of(few[1]) / 1000
        print(f"| {name} | {once:.1f} | {a_chunk:.2f} | {cpu:.2f} |")


def by_symbol(args):
    """[(share, where, symbol)] of the samples of one run."""
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "perf.data")
        subprocess.run(["perf", "record", "-q", "-F", "997", "-o", data]
                       + command_of(args, os.path.join(folder, "out")),
                       check=True, stdout=subprocess.DEVNULL)
        text = subprocess.run(["perf", "report", "-i", data, "-F", "overhead,dso,symbol",
                               "-t", "\t", "--percent-limit", "0", "--stdio"],
                              check=True, capture_output=True, text=True).stdout
    rows = []
    for line in text.splitlines():
        parts = [p.strip() for p in line.split("\t")]
        if len(parts) == 3 and parts[0].endswith("%"):
            rows.append((float(parts[0][:-1]), parts[1], parts[2].split("] ", 1)[-1]))
    return rows


def print_work(rows):
    shares, unknown = {}, {}
    for share, where, symbol in rows:
        if "kernel" in where:
            kind = "kernel"
        elif where != "ensembed":
            kind = f"{where.split('.so')[0]} (library)"
        else:
            kind = next((k for k, pattern in WORK if re.match(pattern, symbol)), None)
        if kind is None:
            kind = "all else of the program"
            unknown[symbol] = unknown.get(symbol, 0) + share
        shares[kind] = shares.get(kind, 0) + share
    print("\n| work | of the processor time |\n|---|---|")
    for kind, share in sorted(shares.items(), key=lambda item: -item[1]):
        if share >= 0.005:
            print(f"| {kind} | {share:.2f} % |")
    most = sorted(unknown.items(), key=lambda item: -item[1])[:5]
    print("largest of all else: " + ", ".join(f"{s} {share:.2f} %" for s, share in most))


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("model")
    ap.add_argument("chunks")
    ap.add_argument("--program", default="build/gcc/ensembed")
    ap.add_argument("--threads", type=int, default=0)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--copies", default="")
    ap.add_argument("--perf", action="store_true")
    args, args.more = ap.parse_known_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        chunks, rounds = args.chunks, []
        for copies in args.copies.split(",") if args.copies else []:
            args.chunks = os.path.join(folder, copies)
            copy_chunks(chunks, int(copies), args.chunks)
            rounds.append(median_round(args))
            print_phases(*rounds[-1])
        if not rounds:
            print_phases(*median_round(args))
        if len(rounds) > 1:
            print_growth(rounds[0], rounds[-1])
        if args.perf:
            print_work(by_symbol(args))


# Kinds of work by the functions' names, the first that fits; src/device/cpu
# has them.
WORK = [
    ("attention", r"attention|row_exp|row_max|scores|context|softmax|blend"),
    ("norms", r"norm"),
    ("bias, activation, residual", r"finish|gate|activation|gelu"),
    ("matrix products: packing rows", r"pack_|.*_pack$|quant|.*quantise"),
    ("matrix products", r"tile|linear|gemm|dot_|product"),
    ("embedding tables", r"embed|table"),
    ("pooling and heads", r"pool_(mean|cls|max|row|text)|head|normalise|rows_"),
    ("tokenizing", r"wordpiece|token|encode|normal_form|lower|pretok|utf8|unicode|trie|code_"),
    ("reading chunks", r"json|skip|scan|chunk|decode|text_"),
    ("rows and digests on disk", r"store|disk_index|search|insert|load$|XXH|hash|sha|home$"),
    ("export", r"float_write|shortest|put_|point|derive|payload|strbuf|npy|write_|add_row|contains"),
]

if __name__ == "__main__":
    main()
