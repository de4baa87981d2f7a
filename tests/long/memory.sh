#!/bin/bash
# Memory does not grow with the corpus: the peak of a run over COUNT streamed
# chunks is at most that of 100,000 plus 32 MiB.
#
#     memory.sh [PROGRAM [COUNT]]          COUNT: 10000000 if not said
#
# Holds about 1,300 bytes of disk a chunk below TMPDIR (13 GB for 10,000,000), and
# is skipped where fewer than 1,500 are free. Ten million chunks take a quarter
# of an hour on two cores.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
program=$(realpath "${1:-$root/build/gcc/ensembed}")
count=${2:-10000000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

need=$((count * 3 / 2)) # thousands of bytes
have=$(df --output=avail -B 1000 . | tail -n 1)
if [ "$have" -lt "$need" ]; then
    echo "skip: $count chunks need about $((need / 1000)) MB of disk in $work, where $((have / 1000)) MB are free"
    exit 0
fi

generate() { # COUNT
    awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++)
        printf "{\"text\": \"generated chunk %d about topic %d\", \"metadata\": {\"chunk_id\": \"g%d\", \"topic\": %d}}\n",
            i, i * 7919 % 1013, i, i * 7919 % 1013 }'
}

peak_kib() { # COUNT
    local used rows start=$SECONDS
    generate "$1" | "$program" run - --as "n$1" --out "out-$1" --quiet \
        --model "$root/tests/fixtures/models/mean" --no-progress >/dev/null
    used=$(du -s --block-size=1000 "out-$1" | cut -f 1)
    rows=$(wc -l <"out-$1/n$1/points.jsonl")
    [ "$rows" -eq "$1" ] || { echo "FAIL: $rows points of $1" >&2; exit 1; }
    echo "$1 chunks: $((SECONDS - start)) s, $((used / 1000)) MB of output" >&2
    # The kernel's VmHWM at the end of the run.
    sed -n 's/.*"resident_peak_bytes": \([0-9]*\).*/\1/p' "out-$1/summary.json" |
        tail -n 1 | awk '{ print int($1 / 1024) }'
    rm -rf "out-$1"
}

small=$(peak_kib 100000)
large=$(peak_kib "$count")
echo "peak at 100,000 chunks: $small KiB; at $count: $large KiB; more: $((large - small)) KiB of 32768 allowed"
[ $((large - small)) -le 32768 ] && echo ok || { echo FAIL; exit 1; }
