#!/usr/bin/env python3
"""The table: ensembed beside other engines, and beside this machine's roof.

    bench/table.py MODEL_DIR CHUNKS --work FOLDER [--program build/ensembed]
        [--python PYTHON] [--peers NAMES] [--texts 600] [--rounds 3] [--threads N]
        [--bench-gemm build-bench/bench_gemm] [--rows FILE.jsonl] [--batch N]
        [--isa avx2]
    bench/table.py --rows FILE.jsonl          prints the table of these rows

CHUNKS is a folder of chunk files, of which --texts distinct ones are taken,
evenly over their lengths. In a round everyone takes a turn, each in a process
of its own; first and last the roof: GFLOP/s of the matrix product in the
model's width (`ensembed bench`; oneDNN's too by bench_gemm where it was built).
A raw row a process is appended to --rows (default FOLDER/rows.jsonl), so rounds
may be spread over several commands; the table of all rows comes at the end.

Everyone gets the same texts, cut at the same number of tokens, and is timed
from texts to normalised vectors, loading apart; ensembed stores the rows durably
meanwhile. Cosines are to sentence-transformers in f32. --python is the
interpreter that has the other engines; FOLDER/forms/MODEL is made by
bench/forms.py. Each of them first tries which size of batches suits it on this
model (--batch says it, --sample on how many texts), and --rows remembers that;
--rounds 0 does no more. --isa shows what a machine of fewer instructions would:
ours and the roof use that set, the others are held to it by what each of them
reads in its environment, and one that reads nothing is left out. NAMES are separated by commas: ours-f32, ours-bf16,
ours-int8, roof and those of bench/peers.py.
"""
import argparse
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from statistics import median

import machine
import ours
from peers import HELD, NOT_HELD, PEERS
from rows import OURS, REFERENCE, TYPES, printed, rate, read_rows, tables
from texts import chunk_texts, spread

HERE = Path(__file__).resolve().parent
ROOF_ROWS = 384  # of the products whose rate is the roof


def flops_per_token(model):
    """Of the layers' matrix products alone; None for other families than BERT's."""
    config = json.loads((model / "config.json").read_text())
    try:
        hidden, inter = config["hidden_size"], config["intermediate_size"]
        plain = config["model_type"] in ("bert", "roberta", "xlm-roberta")
        return 2 * config["num_hidden_layers"] * (4 * hidden**2 + 2 * hidden * inter) if plain else None
    except KeyError:
        return None


def attention_flops_per_token(config, lengths):
    """Of the two products that compare a text's tokens with each other."""
    layers, hidden = config.get("num_hidden_layers"), config.get("hidden_size")
    if not (layers and hidden and lengths):
        return None
    return 4 * layers * hidden * sum(n * n for n in lengths) / sum(lengths)


def write_texts(chunks, count, path):
    """COUNT texts of CHUNKS as JSON Lines, and what a row says of them."""
    texts = spread(chunk_texts(chunks), count)
    if not texts:
        sys.exit(f"{chunks} has no *_chunks.json with texts in it")
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    path.write_text(lines, "utf-8")
    return {"texts": len(texts), "texts_id": hashlib.sha256(lines.encode()).hexdigest()[:12]}


class Bench:
    """One command's arguments, and what every row of it says."""

    def __init__(self, args):
        self.args = args
        self.rows = args.rows
        self.texts = args.work / f"texts-{args.texts}.jsonl"
        self.forms = args.work / "forms" / args.model.name
        self.config = json.loads((args.model / "config.json").read_text())
        self.common = {
            "model": args.model.name, "limit": json.loads(
                (args.model / "sentence_bert_config.json").read_text())["max_seq_length"],
            "threads": args.threads, "held": args.isa, "machine": machine.machine(),
            "commit": args.commit or machine.commit_of(HERE)} | write_texts(args.chunks, args.texts, self.texts)
        self.common["attention_flops_per_token"] = attention_flops_per_token(
            self.config, ours.lengths(args.program, args.model, self.texts))
        self.reference = args.work / f"reference-{args.model.name}-{self.common['texts_id']}.npy"

    def keep(self, row):
        row = {"date": machine.now()} | row | self.common
        with open(self.rows, "a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")
        return row

    def peer_process(self, peer, *more):
        """(row, path of the vectors)"""
        vectors = self.args.work / "theirs.npy"
        ended = machine.run([self.args.python, str(HERE / "peers.py"), peer, str(self.args.model),
                             str(self.texts), "--forms", str(self.forms), "--vectors", str(vectors),
                             "--threads", str(self.args.threads), *map(str, more)],
                            HELD.get(self.args.isa))
        if ended.status:
            return {"absent": f"failed: {ended.last_error()}"}, None
        row = json.loads(ended.said.strip().splitlines()[-1])
        return row | ended.taken(), None if "absent" in row else vectors

    def batch(self, peer):
        """The size that was found for it on this model, now or before."""
        found = [row["batch"] for row in (read_rows(self.rows) if self.rows.exists() else [])
                 if row["kind"] == "batch" and row["peer"] == peer
                 and all(row.get(name) == self.common[name] for name in ("model", "threads", "held"))]
        if self.args.batch or found:
            return self.args.batch or found[-1]
        row, _ = self.peer_process(peer, "--try", self.args.sample)
        if "absent" not in row:
            self.keep({"kind": "batch", "peer": peer} | row)
        return row.get("batch", 0)

    def theirs(self, peer):
        return self.peer_process(peer, "--batch", self.batch(peer) or 1)

    def turn(self, peer, round_):
        if peer.startswith("ours-"):
            engine, numbers = OURS, peer[5:]
            row, vectors = ours.run_texts(self.args.program, self.args.model, self.texts, numbers,
                                          self.args.threads, self.args.work / "out", self.args.isa)
        else:
            engine, numbers = PEERS[peer][:2]
            row, vectors = self.theirs(peer)
        if peer == REFERENCE and vectors:
            shutil.copy(vectors, self.reference)
        if vectors and self.reference.exists():
            found = machine.cosines(vectors, self.reference)
            row["cosines"] = [found[0], median(found)] if found else [0.0, 0.0]
        row = self.keep({"kind": "run", "round": round_, "peer": peer, "engine": engine, "numbers": numbers,
                         "flops_per_token": flops_per_token(self.args.model)} | row)
        said = row.get("absent") or f"{rate(row):.0f} tokens/s"
        print(f"round {round_}: {peer}: {said}", file=sys.stderr, flush=True)

    def product_rate(self, numbers):
        """Ours, in the width that is nearest to the model's."""
        said = ours.bench(self.args.program, numbers, self.args.threads, *ours.isa_option(self.args.isa))
        if not said:
            return None
        return min(said["gemm"], key=lambda g: (abs(g["width"] - self.config["hidden_size"]),
                                                abs(g["rows_per_thread"] - ROOF_ROWS)))["gflops"]

    def onednn_rate(self, numbers):
        if not self.args.bench_gemm or not self.args.bench_gemm.exists():
            return None
        ended = machine.run([str(self.args.bench_gemm), "--dtype", numbers, "--width",
                             str(self.config["hidden_size"]), "--rows", str(ROOF_ROWS),
                             "--threads", str(self.args.threads), *ours.isa_option(self.args.isa)],
                            HELD.get(self.args.isa))
        lines = [line.split() for line in ended.said.splitlines()]
        named = [dict(zip(head, row)) for head, row in zip(lines, lines[1:]) if head[:1] == ["isa"]]
        return float(named[0]["onednn"]) if named and "onednn" in named[0] else None

    def roof(self, round_):
        turns = {peer[5:] if peer.startswith("ours-") else PEERS[peer][1] for peer in self.args.peers
                 if peer != "roof"}
        for numbers in [numbers for numbers in TYPES if numbers in turns]:
            gflops = self.product_rate(numbers)
            if gflops:
                row = self.keep({"kind": "roof", "round": round_, "numbers": numbers, "gflops": gflops,
                                 "onednn_gflops": self.onednn_rate(numbers)})
                print(f"round {round_}: roof {numbers}: {row['gflops']:.0f} GFLOP/s, oneDNN "
                      f"{row['onednn_gflops']}", file=sys.stderr, flush=True)

    def first_round(self):
        if self.args.round:
            return self.args.round
        if not self.rows.exists():
            return 1
        return 1 + max((row.get("round", 0) for row in read_rows(self.rows)
                        if row["model"] == self.common["model"]), default=0)

    def rounds(self):
        for peer in self.args.peers:
            if peer in PEERS:
                self.batch(peer)
        first = self.first_round()
        for round_ in range(first, first + self.args.rounds):
            for peer in self.args.peers + ["roof"] * ("roof" in self.args.peers):
                if peer == "roof":
                    self.roof(round_)
                else:
                    self.turn(peer, round_)


def all_peers():
    """The reference first: the others' cosines are to it. Types are mixed, so
    that each type meets the whole of a round."""
    return ["roof", REFERENCE, "ours-f32", "ours-int8", "ours-bf16",
            *(peer for peer in PEERS if peer != REFERENCE)]


def arguments():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("model", type=Path, nargs="?")
    ap.add_argument("chunks", type=Path, nargs="?")
    ap.add_argument("--work", type=Path)
    ap.add_argument("--program", type=Path, default=Path("build/ensembed"))
    ap.add_argument("--python", default=sys.executable)
    ap.add_argument("--peers", default=",".join(all_peers()))
    ap.add_argument("--texts", type=int, default=600)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--round", type=int, help="number of the first round (default: the next)")
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    ap.add_argument("--bench-gemm", type=Path)
    ap.add_argument("--batch", type=int, default=0)
    ap.add_argument("--sample", type=int, default=32)
    ap.add_argument("--isa", choices=HELD)
    ap.add_argument("--commit", help="of the program (default: of this checkout)")
    ap.add_argument("--rows", type=Path)
    args = ap.parse_args()
    args.peers = [peer for peer in args.peers.split(",") if peer]
    if args.isa:
        args.peers = [peer for peer in args.peers if peer not in PEERS or PEERS[peer][2] not in NOT_HELD]
    unknown = set(args.peers) - set(all_peers())
    if unknown:
        ap.error(f"--peers: {', '.join(sorted(unknown))} is none of {', '.join(all_peers())}")
    if args.model and not (args.chunks and args.work):
        ap.error("MODEL_DIR wants CHUNKS and --work FOLDER")
    if not args.model and not args.rows:
        ap.error("say MODEL_DIR CHUNKS --work FOLDER, or --rows FILE to print its table again")
    return args


def main():
    args = arguments()
    if args.model:
        args.work.mkdir(parents=True, exist_ok=True)
        args.model = args.model.resolve()
        args.rows = args.rows or args.work / "rows.jsonl"
        Bench(args).rounds()
    for rows in tables(read_rows(args.rows)):
        if not args.model or rows[0]["model"] == args.model.name:
            print(printed(rows) + "\n")


if __name__ == "__main__":
    main()
