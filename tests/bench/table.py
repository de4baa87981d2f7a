#!/usr/bin/env python3
"""bench/table.py prints from raw rows the medians and ratios that were worked
out by hand.

    tests/bench/table.py
"""
import subprocess
import sys

# Three rounds of 1,000 tokens, 100 MFLOP each.
#   ensembed: 1, 2, 4 s: 1,000, 500, 250 tokens/s: 100, 50, 25 GFLOP/s beside roofs
#     of 200 (at the end 150), 62.5 and 100: 50, 80 and 25 %; oneDNN's 125 in the first: 80 %.
#   sentence-transformers: 2, 4, 5 s: 500, 250, 200: 25, 40, 20 %; 40 %.
#   ONNX Runtime: 2.5, 5, 2.5 s: 400, 200, 400: 20, 32, 40 %; 32 %.
# 500 / 250 = 2, 500 / 400 = 1.25, 250 / 400 = 0.625, 400 / 250 = 1.6.
# Attention's products are 6.6 of each 100 MFLOP more.
# Roofs of bf16 are shown and are nobody's share; that of the fourth round adds no
# round, since nobody ran in it. Of oneDNN's 125 and 100 in the first round the
# higher one counts. In int8 ours takes 10 s, ONNX Runtime 1.25: 100 and 800
# tokens/s; 100 / 250 = 0.4, 800 / 250 = 3.2, 100 / 800 = 0.125. Of a peer that
# never ran the last reason stands. How a size of batches was found is not shown.
# Another number of threads, another model, other texts and a set of instructions
# that all are held to are tables of their own: 30, 60, 90 and 120 tokens in 0.25 s.
EXPECTED = [
    "small: 10 texts of at most 128 tokens, 1,000 together, 2 threads, 3 rounds",
    "A CPU (family 1/2; avx2), 2 cores, 4.0 GiB, An OS, Linux 1.0",
    "ensembed abc; st 1, ensembed 0, ort 2; 2026-01-01T00:00 to 2026-01-03T00:01 UTC; "
    "of a turn's time on the cores other processes took at most 12 %, the host for somebody else 3 %",
    "roof, f32: 125 GFLOP/s (62 to 200); oneDNN 112 (100 to 125)",
    "roof, bf16: 350 GFLOP/s (300 to 400)",
    "attention's own products, which no share counts: 6.6 % more FLOPs",
    "| ensembed | f32 |  | 500 | 250 to 1,000 | 50 % | 80 % | 2.00 | 1.25 | 0.99100 | 0.99900 | 0.20 | 53 |",
    "| ONNX Runtime | f32 | 8, 4 | 400 | 200 to 400 | 32 % | 32 % | 1.60 | 1.00 | 0.50000 | 0.75000 | 0.50 | 300 |",
    "| sentence-transformers | f32 |  | 250 | 200 to 500 | 25 % | 40 % | 1.00 | 0.62 | 1.00000 | 1.00000 | 2.00 | 503 |",
    "| ensembed | int8 |  | 100 | 100 to 100 |  |  | 0.40 | 0.12 |  |  | 0.10 | 51 |",
    "| ONNX Runtime | int8 | 8 | 800 | 800 to 800 |  |  | 3.20 | 1.00 |  |  | 0.50 | 200 |",
    "| CTranslate2 | int8 |  | not installed: No module named 'ctranslate2' |" + "  |" * 9,
    "small: 10 texts of at most 128 tokens, 30 together, 1 threads, 1 rounds",
    "| sentence-transformers | f32 |  | 120 | 120 to 120 |  |  | 1.00 | 1.00 | 1.00000 | 1.00000 | 1.00 | 501 |",
    "other: 10 texts of at most 128 tokens, 60 together, 2 threads, 1 rounds",
    "| sentence-transformers | f32 |  | 240 | 240 to 240 |  |  | 1.00 | 1.00 | 1.00000 | 1.00000 | 1.00 | 77 |",
    "other: 10 texts of at most 128 tokens, 90 together, 2 threads, 1 rounds",
    "| sentence-transformers | f32 |  | 360 | 360 to 360 |  |  | 1.00 | 1.00 | 1.00000 | 1.00000 | 1.00 | 77 |",
    "small: 10 texts of at most 128 tokens, 120 together, 2 threads, 1 rounds, all held to avx2",
    "| sentence-transformers | f32 |  | 480 | 480 to 480 |  |  | 1.00 | 1.00 | 1.00000 | 1.00000 | 1.00 | 77 |",
]


def main():
    printed = subprocess.run([sys.executable, "bench/table.py", "--rows", "tests/fixtures/bench/rows.jsonl"],
                             text=True, capture_output=True, check=True).stdout.splitlines()
    places = []
    for line in EXPECTED:
        if line not in printed:
            print("missing:", line, "\nprinted:", *printed, sep="\n")
            return 1
        places.append(printed.index(line))
    if places != sorted(places):
        print("in another order:", *printed, sep="\n")
        return 1
    print(f"{len(EXPECTED)} lines are as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
