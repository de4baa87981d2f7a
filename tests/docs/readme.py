#!/usr/bin/env python3
"""Run the commands of README.md as they stand there.

    tests/docs/readme.py PROGRAM

`ensembed ...` lines run one after another in an empty folder where Chunked is
examples/chunks and the models are in a Hugging Face cache (small ones with
random weights in place of those of STAND_INS); each must end with 0 and say
something. `tools/...` lines must name programs of this checkout that
can be run (tools/test is what runs this, tools/demo is a stage of its own).
"""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path.cwd()
MODEL = ROOT / "build" / "models" / "all-MiniLM-L6-v2"
COMMIT = "0" * 39 + "1"
STAND_INS = {"BAAI/bge-m3": "m3", "colbert-ir/colbertv2.0": "colbert",
             "BAAI/bge-reranker-v2-m3": "cross_roberta"}


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


def commands():
    fenced = False  # a fenced block is what a command printed
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        fenced ^= line.startswith("```")
        if line.startswith("    ") and not fenced:
            yield line.strip()


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    if not (MODEL / "model.safetensors").exists():
        print("skip: all: no real model; tools/get_model gets it")
        return 0
    ran = 0
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        make_cache(work / "home")
        (work / "bin").mkdir()
        (work / "bin" / "ensembed").symlink_to(program)
        (work / "Chunked").symlink_to(ROOT / "examples" / "chunks")
        environment = {"PATH": f"{work}/bin:{os.environ['PATH']}",
                       "HF_HOME": str(work / "home"), "HOME": folder,
                       "HF_HUB_OFFLINE": "1"}
        for command in commands():
            word = command.split()[0]
            if word.startswith("tools/"):
                if not os.access(ROOT / word, os.X_OK):
                    print(f"README.md: {word} cannot be run")
                    return 1
                continue
            if word != "ensembed":
                print(f"README.md: what is to be done with '{command}'?")
                return 1
            done = subprocess.run(command, shell=True, cwd=work, text=True,
                                  env=environment, capture_output=True)
            ran += 1
            if done.returncode != 0 or not (done.stdout + done.stderr).strip():
                print(f"README.md: '{command}' ended with {done.returncode}\n"
                      f"{done.stdout}{done.stderr}")
                return 1
    print(f"{ran} commands of README.md do what they say")
    return 0 if ran else 1


if __name__ == "__main__":
    sys.exit(main())
