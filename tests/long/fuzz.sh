#!/bin/bash
# libFuzzer on every fuzz target with a fresh seed, under ASan and UBSan:
# ENS_FUZZ_SECONDS each (120), as many at once as there are cores. What reaches
# something new stays in build/fuzz/found/X for the next time; an input that
# fails is build/fuzz/X-crash-..., and belongs into tests/fuzz/corpus/X with the
# mend.
#
#     fuzz.sh [TARGET...]     tokenizer folder, say; without any all of them
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${ENS_FUZZ_SECONDS:-120}
command -v clang >/dev/null || { echo "skip: no clang"; exit 0; }

mkdir -p build
CC=clang cmake -S . -B build/fuzz -G Ninja -DENS_TESTS=ON -DENS_SANITIZE=address \
    -DENS_FUZZ=ON >build/fuzz.log
targets=("$@")
[ $# -gt 0 ] || for file in tests/fuzz/fuzz_*.c; do
    file=${file##*/fuzz_}
    targets+=("${file%.c}")
done
cmake --build build/fuzz --target "${targets[@]/#/fuzz_}" >>build/fuzz.log 2>&1 ||
    { tail -n 20 build/fuzz.log; exit 1; }

one() { # TARGET SECONDS
    local log=build/fuzz/$1.log
    mkdir -p "build/fuzz/found/$1"
    if build/fuzz/fuzz_"$1" -max_total_time="$2" -timeout=60 \
        -artifact_prefix="build/fuzz/$1-" "build/fuzz/found/$1" \
        "tests/fuzz/corpus/$1" >"$log" 2>&1; then
        echo "$1: $(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log") runs, no finding"
        return
    fi
    echo "$1: FAILED"
    grep -vE '^#[0-9]' "$log" | tail -n 40
    return 1
}
export -f one
printf '%s\n' "${targets[@]}" |
    xargs -P "$(nproc)" -I{} bash -c 'one {} '"$seconds"
