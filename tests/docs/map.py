#!/usr/bin/env python3
"""ARCHITECTURE.md's map against the files that git knows: every folder of the
first two levels that holds source, and every file at the top, is in the map,
and what the map names is there. So is every LAYER/FILE that the text names.

    tests/docs/map.py [ROOT]
"""
import fnmatch
import pathlib
import re
import subprocess
import sys


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], text=True,
                            capture_output=True, check=False)
    if listed.returncode != 0:
        print("skip: all: this is no git checkout")
        return 0
    files = listed.stdout.split("\0")[:-1]
    there = {path if "/" not in path else path.split("/")[0] + "/"
             for path in files}
    there.discard("src/")
    there |= {"/".join(path.split("/")[:2]) + "/" for path in files
              if path.startswith("src/")}

    text = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines()
            if line.startswith("| `")]
    mapped = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}

    wrong = [f"{name} is not in the map of ARCHITECTURE.md"
             for name in sorted(there - mapped)]
    wrong += [f"the map of ARCHITECTURE.md names {name}, which is not there"
              for name in sorted(mapped - there)]
    stems = {path[4:].rsplit(".", 1)[0] for path in files
             if path.startswith("src/")}
    layers = {stem.split("/")[0] for stem in stems}
    named = {re.sub(r"\.[ch]$", "", name)
             for name in re.findall(r"`([a-z]+/[a-z0-9_*]+(?:\.[ch])?)`", text)}
    wrong += [f"ARCHITECTURE.md names {name}, which is not in src/"
              for name in sorted(named) if name.split("/")[0] in layers
              and not fnmatch.filter(stems, name)]
    print("\n".join(wrong) or f"the map names all {len(there)} of them")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
