#!/usr/bin/env python3
"""docs/gpu.md's table of the bytes that a layer moves in fp8: the numbers of a
model are what the formulas above them give for its widths.

    tests/docs/fp8_bytes.py
"""
import pathlib
import re
import sys

HEAD = "| | with a kernel of its own before each product | as it is |"


def cells():
    lines = [line.strip() for line in
             pathlib.Path("docs/gpu.md").read_text(encoding="utf-8").splitlines()]
    for line in lines[lines.index(HEAD) + 2:]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def main():
    wrong, formulas, models = [], [], 0
    for name, *columns in cells():
        widths = {key: int(size) for key, size in re.findall(r"\b([HIQC]) (\d+)", name)}
        if not widths:
            formulas = columns
            continue
        models += 1
        widths.setdefault("Q", 3 * widths["H"])  # as many heads of each
        widths.setdefault("C", widths["H"])
        for formula, said in zip(formulas, columns):
            given = sum(int(count) * widths[key] for count, key in
                        re.findall(r"(\d+) ([HIQC])", formula))
            if int(re.sub(r"\D", "", said)) != given:
                wrong.append(f"docs/gpu.md: {name}: {formula} is {given:,}, not {said}")
    if models < 2:
        wrong.append("docs/gpu.md has no models in its table of bytes")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
