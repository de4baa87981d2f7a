#!/usr/bin/env python3
"""Compile the CUDA kernels by NVRTC and tell what ptxas says of them.

    tools/kernel_table.py build/compile_kernels [--check] [--all]
    tools/kernel_table.py build/compile_kernels --only 'attention 90 -DNARROW=1'

Needs no card, only the packages of tests/requirements-cuda.txt in the Python
that runs it. Every kernel file is compiled for every kind of card, number type
and, as far as it has them, head width and set of features: by NVRTC 13 those
that models use, by NVRTC 12 a sample; with --all each of them by both. A kernel
that does not compile, or that spills registers to local memory, is a failure.

Without --check the table is written to docs/gpu-kernels.md; with it the file is
compared with what it should be. --only compiles what begins so, of all there
is, by both, and prints it.
"""

import argparse
import os
import re
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor

KERNELS = "src/device/cuda/kernels"
DOC = "docs/gpu-kernels.md"
ARCHS = [75, 80, 86, 89, 90, 100, 120]
SAMPLE = [75, 80, 90, 120]
NARROWS = {0: "f32", 1: "f16", 2: "bf16"}
HEAD_DIMS = [32, 64, 96, 128, 192, 256]
WINDOW, DISTANCES, SLOPES, RELATIVE, KEYS, UNEVEN, ROTARY = 1, 2, 4, 8, 16, 32, 64
FEATURES = {WINDOW: "window", DISTANCES: "distances", SLOPES: "slopes",
            RELATIVE: "relative", KEYS: "keys", UNEVEN: "uneven", ROTARY: "rotary"}
# What is compiled of attention where not all is: head widths without features,
# and for f16 one width with each feature.
USUAL_HEAD_DIM = 64
# Kernels whose arrays may lie in local memory: called once a batch or less.
COLD = set()


def check_features():
    """params.h has the same names and numbers."""
    with open(f"{KERNELS}/params.h", encoding="utf-8") as file:
        there = dict(re.findall(r"FEATURE_(\w+) = (\d+)", file.read()))
    ours = {name.upper(): str(bit) for bit, name in FEATURES.items()}
    if there != ours:
        sys.exit(f"{KERNELS}/params.h has the features {there}; tools/kernel_table.py "
                 f"knows {ours}")


def narrows(arch, with_f32):
    """bf16 is not in cards before 8.0."""
    return [n for n in NARROWS if (n or with_f32) and (n != 2 or arch >= 80)]


def feature_sets(added):
    """No model adds two of ADDED to its scores; what is hidden is apart."""
    return [a | hidden for a in [0] + added
            for hidden in (0, WINDOW, KEYS, WINDOW | KEYS)]


def fits(arch, head_dim, features):
    """Into a block's shared memory (ATTEND_SHARED_BYTES); where it does not the
    device takes attention_plain instead."""
    bytes_ = 256 * head_dim + (512 if features & DISTANCES else 0)
    return arch != 75 or bytes_ <= 65536


def attend_variants(depth, arch, narrow):
    if depth == "all":
        sets = feature_sets([DISTANCES, SLOPES, ROTARY])
        return ([(d, f) for d in HEAD_DIMS for f in sets] +
                [(USUAL_HEAD_DIM, f | UNEVEN) for f in sets if not f & ROTARY] +
                [(d, UNEVEN) for d in HEAD_DIMS if d != USUAL_HEAD_DIM])
    if depth == "sample":
        cramped = [(96, 0)] if arch >= 100 else []  # NVRTC 12 has its own bound
        return cramped + [(USUAL_HEAD_DIM, 0), (USUAL_HEAD_DIM, ROTARY),
                          (256, DISTANCES | WINDOW)]
    features = [f for f in FEATURES if f != RELATIVE and narrow == 1]
    return [(d, 0) for d in HEAD_DIMS] + [(USUAL_HEAD_DIM, f) for f in features]


def plain_variants(depth):
    if depth == "all":
        return feature_sets([DISTANCES, SLOPES, RELATIVE])
    most = RELATIVE | WINDOW | KEYS
    return [most] if depth == "sample" else [0, most]


def jobs_of(depth):
    """(file, arch, narrow, head_dim or None, features or None)"""
    there = {name[:-3] for name in os.listdir(KERNELS) if name.endswith(".cu")}
    jobs = []
    for arch in SAMPLE if depth == "sample" else ARCHS:
        for narrow in narrows(arch, True):
            if "rows" in there:
                jobs.append(("rows", arch, narrow, None, None))
            if "fp8" in there and narrow == 2 and arch >= 89:
                jobs.append(("fp8", arch, narrow, None, None))
            if "attention_plain" in there:
                jobs += [("attention_plain", arch, narrow, None, f)
                         for f in plain_variants(depth)]
        for narrow in narrows(arch, False):
            if "attention" in there:
                jobs += [("attention", arch, narrow, d, f)
                         for d, f in attend_variants(depth, arch, narrow)
                         if fits(arch, d, f)]
    return jobs


def line_of(job):
    name, arch, narrow, head_dim, features = job
    words = [name, str(arch), f"-DNARROW={narrow}"]
    if head_dim is not None:
        words.append(f"-DHEAD_DIM={head_dim}")
    if features is not None:
        words.append(f"-DFEATURES={features}")
    return " ".join(words)


REPORT = re.compile(
    r"Compiling entry function '(\w+)'.*?"
    r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
    r".*?Used (\d+) registers([^\n]*)", re.S)


def parse(answer):
    """{kernel: {registers, shared, stack, spills}} and the failure, or None."""
    head, _, log = answer.partition("\n")
    if not head.startswith("image "):
        return {}, head.removeprefix("failed ") + "\n" + log
    kernels = {}
    for name, stack, stores, loads, registers, rest in REPORT.findall(log):
        shared = re.search(r"(\d+) bytes smem", rest)
        kernels[name] = {"registers": int(registers),
                         "shared": int(shared.group(1)) if shared else 0,
                         "stack": int(stack), "spills": int(stores) + int(loads)}
    return kernels, None if kernels else f"ptxas says nothing of it: {log}"


def compile_all(program, folder, major, jobs):
    """[(job, kernels, failure)], NVRTC's version; None where there is none."""
    processes = max(1, min(os.cpu_count() or 1, 8))

    def run(part):
        text = "".join(line_of(job) + "\n" for job in part)
        return subprocess.run([program, folder, str(major)], input=text, text=True,
                              capture_output=True).stdout

    # Neighbours differ in the card, so the parts are alike.
    parts = [jobs[i::processes] for i in range(processes)]
    with ThreadPoolExecutor(processes) as pool:
        outputs = list(pool.map(run, parts))
    done, version = [], None
    for part, output in zip(parts, outputs):
        head, _, rest = output.partition("\n")
        if not head.startswith(f"version {major}."):
            return [], None
        version = head.split()[1]
        answers = rest.split("\nend\n")
        for job, answer in zip(part, answers + [""] * len(part)):
            done.append((job, *parse(answer.lstrip("\n"))))
    done.sort(key=lambda d: jobs.index(d[0]))
    return done, version


def complaints(done, version):
    found = []
    for job, kernels, failure in done:
        where = f"NVRTC {version}: {line_of(job)}"
        if failure:
            found.append(f"{where}: {failure.strip()}")
        for name, k in kernels.items():
            if (k["spills"] or k["stack"]) and name not in COLD:
                found.append(f"{where}: {name} has {k['stack']} bytes of stack and "
                             f"{k['spills']} bytes of spills: it must fit registers")
    return found


def variant(job):
    _, _, narrow, head_dim, features = job
    words = [NARROWS[narrow]]
    if head_dim is not None:
        words.append(str(head_dim))
    if features:
        words += [FEATURES[f] for f in FEATURES if features & f]
    return ", ".join(words)


def cell(k):
    text = str(k["registers"])
    if k["shared"]:
        text += f" / {k['shared']:,}"
    if k["spills"] or k["stack"]:
        text += f" **+{max(k['stack'], k['spills'])}**"
    return text


def table(done, version):
    rows = {}
    for job, kernels, _ in done:
        for name, k in kernels.items():
            rows.setdefault((job[0], name, variant(job)), {})[job[1]] = cell(k)
    lines = [
        "# What ptxas says of the CUDA kernels", "",
        f"Made by tools/kernel_table.py with NVRTC {version}; the test "
        "`device/kernels_compile` holds it against the kernels. A cell is the "
        "registers of a thread and, behind the slash, the bytes of static shared "
        "memory of a block; bytes that are spilled to local memory would stand in "
        "bold (there must be none). Columns are compute capabilities x 10 (90 is "
        "compiled as 90a). attend also has dynamic shared memory "
        "(ATTEND_SHARED_BYTES in params.h).", ""]
    head = "| kernel | variant | " + " | ".join(map(str, ARCHS)) + " |"
    last = None
    for (file, name, text), cells in sorted(
            rows.items(), key=lambda r: (r[0][0] != "attention", r[0][0])):
        if file != last:
            lines += ["" if last else "", f"## {file}.cu", "", head,
                      "|---|---|" + "---|" * len(ARCHS)]
            last = file
        lines.append(f"| {name} | {text} | " +
                     " | ".join(cells.get(a, "–") for a in ARCHS) + " |")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def compare(text):
    try:
        with open(DOC, encoding="utf-8") as file:
            if file.read() == text:
                return []
    except FileNotFoundError:
        pass
    return [f"{DOC} is not what the kernels give now: run tools/kernel_table.py "
            "without --check and commit it"]


def show(program, folder, only):
    """For who writes kernels: one line a kernel."""
    jobs = [j for j in jobs_of("all") if line_of(j).startswith(only)]
    problems = []
    for major in (13, 12):
        done, version = compile_all(program, folder, major, jobs)
        for job, kernels, _ in done:
            for name, k in kernels.items():
                print(f"NVRTC {version}: {line_of(job)}: {name} {cell(k)}")
        problems += complaints(done, version)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--folder", default=sysconfig.get_paths()["purelib"])
    options = parser.parse_args()
    check_features()
    if options.only:
        return show(options.program, options.folder, options.only)
    usual = jobs_of("usual")
    if not usual:
        print("skip: there are no kernels")
        return 0
    done, version = compile_all(options.program, options.folder, 13, usual)
    if not version:
        print("skip: NVRTC 13 (tests/requirements-cuda.txt) is not installed")
        return 0
    problems = complaints(done, version)
    text = table(done, version)
    if options.check:
        problems += compare(text)
    else:
        with open(DOC, "w", encoding="utf-8") as file:
            file.write(text)
    runs = [(12, jobs_of("all" if options.all else "sample"))]
    if options.all:
        runs.append((13, [j for j in jobs_of("all") if j not in usual]))
    counts = [f"{len(done)} by {version}"]
    for major, jobs in runs:
        done, version = compile_all(options.program, options.folder, major, jobs)
        if version:
            problems += complaints(done, version)
            counts.append(f"{len(done)} by {version}")
        else:
            counts.append(f"none by {major}, which is not installed")
    for problem in problems:
        print(problem)
    print("modules compiled: " + ", ".join(counts))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
