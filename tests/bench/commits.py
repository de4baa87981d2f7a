#!/usr/bin/env python3
"""bench/commits.py prints from raw rows the ratios that were worked out by hand.

    tests/bench/commits.py
"""
import subprocess
import sys

# A 1,000, 900, 1,200 and B 500, 1,000, 800: 2, 0.9 and 1.5. A query takes A 2 ms
# and B 2, 4, 6. B has no int8.
EXPECTED = [
    "A = aaaa, B = bbbb; small, 10 texts, 2 threads, A CPU",
    "",
    "| what | A | B | A / B by pair | median |",
    "|---|---|---|---|---|",
    "| f32: tokens/s | 1,000 | 800 | 2.000 0.900 1.500 | 1.500 |",
    "| f32: one query, ms | 2 | 4 | 1.000 0.500 0.333 | 0.500 |",
    "| int8: tokens/s | 3,000 |  |  |  |",
]


def main():
    printed = subprocess.run([sys.executable, "bench/commits.py", "--rows", "tests/fixtures/bench/commits.jsonl"],
                             text=True, capture_output=True, check=True).stdout.splitlines()
    if printed != EXPECTED:
        print("expected:", *EXPECTED, "printed:", *printed, sep="\n")
        return 1
    print(f"{len(EXPECTED)} lines are as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
