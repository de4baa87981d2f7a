#!/bin/bash
# The real model: threads, batch size and a resumed run change no bit of a
# vector, on every instruction set that this machine has.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
program=$(realpath "${1:-$root/build/gcc/ensembed}")
model=${2:-$root/build/models/all-MiniLM-L6-v2}
chunks=$root/../shared/data/chunks/pydantic
[ -d "$chunks" ] || { echo "skip: no ../shared/data/chunks/pydantic; taking examples/chunks"; chunks=$root/examples/chunks; }
[ -d "$model" ] || { echo "FAIL: no model in $model (tools/get_model makes it)"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

digest() { # OUT
    cat "$1"/*/embeddings.npy | sha256sum
}

run() { # OUT OPTION...; takes the place of the shell that it runs in
    local out=$1
    shift
    exec "$program" run "$chunks" --out "$out" --quiet --no-progress --export npy "$@" >/dev/null
}

for isa in avx512 avx2 generic; do
    "$program" embed --model "$model" --isa $isa x >/dev/null 2>&1 || { echo "skip: no $isa here"; continue; }
    (run one --model "$model" --isa $isa --threads 1)
    (run two --model "$model" --isa $isa --threads 2)
    (run small --model "$model:budget=300" --isa $isa --threads 3)
    run killed --model "$model:budget=1000" --isa $isa --threads 2 &
    sleep 2
    kill -KILL $! 2>/dev/null || true
    wait $! 2>/dev/null || true
    (run killed --model "$model" --isa $isa --threads 2)
    for other in two small killed; do
        [ "$(digest one)" = "$(digest $other)" ] || { echo "FAIL: $isa: one and $other differ"; exit 1; }
    done
    echo "$isa: 1, 2 and 3 threads, batches of 300 and 8192 tokens, a resumed run: same bits"
    rm -rf one two small killed
done
echo ok
