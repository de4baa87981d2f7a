"""ensembed as a process that is timed: a run over texts, and its own bench."""
import json
import shutil
import subprocess

import machine


def isa_option(isa):
    return ["--isa", isa] if isa else []


def run_texts(program, model, texts, numbers, threads, out, isa=None):
    """(row, path of the vectors); a row with "absent" and None where it fails."""
    shutil.rmtree(out, ignore_errors=True)
    ended = machine.run([str(program), "run", str(texts), "--model", str(model), "--out", str(out),
                         "--restart", "--dtype", numbers, "--device", "cpu", "--threads", str(threads),
                         "--export", "npy", "--quiet", "--no-progress", *isa_option(isa)])
    if ended.status:
        return {"absent": f"failed: {ended.last_error()}"}, None
    summary = json.loads((out / "summary.json").read_text())
    done = summary["collections"][0]["passes"][0]
    # A pass lasts from its first read to its rows' sync, and loads its model meanwhile.
    return {"version": summary["program"], "isa": summary["device"]["isa"], "tokens": done["tokens"],
            "seconds": (done["duration_ms"] - done["load_ms"]) / 1000, "load_seconds": done["load_ms"] / 1000,
            **ended.taken()}, next(out.glob("*/embeddings.npy"))


def lengths(program, model, texts):
    """Tokens of each text of a JSON Lines file; none where it fails."""
    with open(texts, encoding="utf-8") as lines:
        ended = subprocess.run([str(program), "tokenize", "--model", str(model), "--quiet"], stdin=lines,
                               capture_output=True, text=True, check=False)
    return [len(json.loads(line)["ids"]) for line in ended.stdout.splitlines()]


def bench(program, numbers, threads, *more):
    """What `ensembed bench --json` says, None where it fails."""
    ended = machine.run([str(program), "bench", "--json", "--dtype", numbers, "--device", "cpu",
                         "--threads", str(threads), *more])
    return None if ended.status else json.loads(ended.said)
