#!/bin/bash
# Memory does not grow with the corpus: the peak of a run over 1,000,000
# streamed chunks is at most that of 100,000 plus 32 MiB.
#
#     memory.sh [PROGRAM]
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
program=$(realpath "${1:-$root/build/gcc/ensembed}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

generate() { # COUNT
    awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++)
        printf "{\"text\": \"generated chunk %d about topic %d\", \"metadata\": {\"chunk_id\": \"g%d\", \"topic\": %d}}\n",
            i, i * 7919 % 1013, i, i * 7919 % 1013 }'
}

peak_kib() { # COUNT
    generate "$1" | "$program" run - --as "n$1" --out "out-$1" --quiet \
        --model "$root/tests/fixtures/models/mean" --no-progress >/dev/null
    local rows
    rows=$(wc -l <"out-$1/n$1/points.jsonl")
    [ "$rows" -eq "$1" ] || { echo "FAIL: $rows points of $1" >&2; exit 1; }
    # The kernel's VmHWM at the end of the run.
    sed -n 's/.*"resident_peak_bytes": \([0-9]*\).*/\1/p' "out-$1/summary.json" |
        tail -n 1 | awk '{ print int($1 / 1024) }'
    rm -rf "out-$1"
}

small=$(peak_kib 100000)
large=$(peak_kib 1000000)
echo "peak at 100,000 chunks: $small KiB; at 1,000,000: $large KiB; more: $((large - small)) KiB of 32768 allowed"
[ $((large - small)) -le 32768 ] && echo ok || { echo FAIL; exit 1; }
