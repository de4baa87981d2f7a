#!/usr/bin/env python3
"""Ids of the tokenizer program (first argument) against Hugging Face's package:
the generated tokenizers of tools/tokenizer_parts.py on strings that parts.json
does not have, and the real ones of ../shared/data on real chunks."""

import glob
import importlib.util
import subprocess
import sys

REAL = sorted(glob.glob("../shared/data/tokenizers/*/tokenizer.json.gz"))
CHUNKS = "../shared/data/chunks"


def main():
    if not importlib.util.find_spec("tokenizers"):
        print("skip: the package tokenizers is not installed")
        return 0
    command = [sys.executable, "tools/tokenizer_parts.py", "--seed", "2",
               "--command", sys.argv[1] + " --tokenize {path}", "--count"]
    wrong = subprocess.run(command + ["60"], check=False).returncode
    if REAL:
        command += ["300", "--chunks", CHUNKS, "--real", *REAL]
        wrong |= subprocess.run(command, check=False).returncode
    else:
        print("skip: no real tokenizers in ../shared/data")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
