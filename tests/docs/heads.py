#!/usr/bin/env python3
"""docs/models.md's table of heads against the fixtures: every small model that
has a reference of a head is in it, and what it names is there.

    tests/docs/heads.py
"""
import pathlib
import sys

FIXTURES = pathlib.Path("tests/fixtures")
HEAD = "| head | such models | small models of the tests | compared with |"


def named():
    lines = pathlib.Path("docs/models.md").read_text(encoding="utf-8").splitlines()
    for line in lines[lines.index(HEAD) + 2:]:
        if not line.startswith("|"):
            return
        yield from line.split("|")[3].replace(" ", "").split(",")


def main():
    mapped = set(named())
    compared = {path.parent.name for path in
                FIXTURES.glob("models/*/reference-heads.json")}
    wrong = [f"docs/models.md has no head of tests/fixtures/models/{name}"
             for name in sorted(compared - mapped)]
    wrong += [f"docs/models.md: {name} has no reference of a head"
              for name in sorted(mapped - compared)
              if not (FIXTURES / name / "expected.json").exists()]
    print("\n".join(wrong) or f"all {len(compared)} models with heads are told")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
