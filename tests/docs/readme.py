#!/usr/bin/env python3
"""Run the commands of README.md and of some documents as they stand there.

    tests/docs/readme.py PROGRAM

`ensembed ...` lines run one after another in a folder where Chunked is
examples/chunks and the models are in a Hugging Face cache (small ones with
random weights in place of those of STAND_INS); each must end with 0 and say
something. In README.md `tools/...` lines must name programs of this checkout
that can be run (tools/test is what runs this, tools/demo is a stage of its own),
and there is nothing else; what it shows of tools/demo has as many chunks as
examples/chunks. Documents have other indented lines too, begin with
what SETUP made, and need no real model.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path.cwd()
MODEL = ROOT / "build" / "models" / "all-MiniLM-L6-v2"
COMMIT = "0" * 39 + "1"
STAND_INS = {"BAAI/bge-m3": "m3", "colbert-ir/colbertv2.0": "colbert",
             "BAAI/bge-reranker-v2-m3": "cross_roberta",
             "jinaai/jina-embeddings-v3": "jina3_lora"}
DOCUMENTS = ["docs/search.md", "docs/outputs.md", "docs/models.md"]
SETUP = "ensembed run Chunked --model bge-m3 --sparse qdrant-bm25 --out vectors"


def make_cache(home):
    models = {"sentence-transformers/all-MiniLM-L6-v2": MODEL}
    for name, folder in STAND_INS.items():
        models[name] = ROOT / "tests" / "fixtures" / "models" / folder
    for name, folder in models.items():
        repository = home / "hub" / ("models--" + name.replace("/", "--"))
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(COMMIT)
        (repository / "snapshots").mkdir()
        (repository / "snapshots" / COMMIT).symlink_to(folder)
        absent = repository / ".no_exist" / COMMIT
        absent.mkdir(parents=True)
        if not (folder / "modules.json").exists():
            (absent / "modules.json").touch()


def commands(page):
    fenced = False  # a fenced block is what a command printed
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        fenced ^= line.startswith("```")
        if line.startswith("    ") and not fenced:
            yield line.strip()


def wrong(command, work, program):
    """What is wrong with it, or None."""
    environment = {"PATH": f"{program}:{os.environ['PATH']}",
                   "HF_HOME": str(work / "home"), "HOME": str(work),
                   "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, shell=True, cwd=work, text=True,
                          env=environment, capture_output=True)
    if done.returncode == 0 and (done.stdout + done.stderr).strip():
        return None
    return f"ended with {done.returncode}\n{done.stdout}{done.stderr}"


def run_page(page, program):
    """How many commands it has, or None."""
    readme = page == "README.md"
    ran = 0
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        make_cache(work / "home")
        (work / "bin").mkdir()
        (work / "bin" / "ensembed").symlink_to(program)
        (work / "Chunked").symlink_to(ROOT / "examples" / "chunks")
        (work / "german.txt").write_text("der\ndie\ndas\n")
        for command in ([] if readme else [SETUP]) + list(commands(page)):
            word = command.split()[0]
            problem = None
            if word == "ensembed":
                problem = wrong(command, work, work / "bin")
                ran += 1
            elif readme and not word.startswith("tools/"):
                problem = "what is to be done with it?"
            elif readme and not os.access(ROOT / word, os.X_OK):
                problem = "cannot be run"
            if problem:
                print(f"{page}: '{command}': {problem}")
                return None
    return ran


def demo_counts():
    """What README.md would show of the chunk files that are there."""
    counts = {folder.name: sum(len(json.loads(file.read_text("utf-8")))
                               for file in folder.glob("*_chunks.json"))
              for folder in sorted((ROOT / "examples" / "chunks").iterdir())}
    for name, count in counts.items():
        yield f"{name}: completed, {count} of {count} chunks"
    yield f"{sum(counts.values())} vectors in "
    yield f" s: {sum(counts.values())} texts computed"


def main():
    shown = (ROOT / "README.md").read_text("utf-8")
    for line in demo_counts():
        if line not in shown:
            print(f"README.md: tools/demo shows '{line}' today")
            return 1
    program = pathlib.Path(sys.argv[1]).resolve()
    pages = DOCUMENTS
    if (MODEL / "model.safetensors").exists():
        pages = ["README.md"] + pages
    else:
        print("skip: README.md: no real model; tools/get_model gets it")
    ran = 0
    for page in pages:
        count = run_page(page, program)
        if not count:
            return 1
        ran += count
    print(f"{ran} commands of {', '.join(pages)} do what they say")
    return 0


if __name__ == "__main__":
    sys.exit(main())
