#!/bin/bash
# tools/gpu_check without a card, a compiler or NVIDIA's tools: programs of its
# names stand for what it calls, and write down how.
#
#     tests/device/cuda/gpu_check.sh FOLDER
set -eu
folder=$1
rm -rf "$folder"
mkdir -p "$folder/bin" "$folder/build" "$folder/libraries"
folder=$(realpath "$folder")
export CALLS=$folder/calls

fail() {
    echo "gpu_check: $*" >&2
    cat "$folder/output" >&2
    exit 1
}
program() { # NAME TEXT
    printf '#!/bin/bash\n%s\n' "$2" >"$folder/$1"
    chmod +x "$folder/$1"
}
check() { # STATUS ARGUMENTS...
    local status=0 expected=$1
    shift
    : >"$CALLS"
    PATH=$folder/bin tools/gpu_check --build "$folder/build" "$@" \
        "$folder/libraries" >"$folder/output" 2>&1 || status=$?
    [ $status = "$expected" ] || fail "exit status $status, not $expected"
}
called() { # TIMES PATTERN
    local times
    times=$(grep -c -- "$2" "$CALLS") || true
    [ "$times" = "$1" ] || fail "\"$2\" was called $times times, not $1"
}

# All that it needs, and no cmake.
for tool in bash dirname mkdir realpath tee grep rm touch timeout; do
    ln -s "$(command -v $tool)" "$folder/bin/$tool"
done
program build/ensembed 'echo "cuda:0  a card"'
tests=$(sed -n '/^kernels=(/,/)$/p; /^tests=(/,/)$/p' tools/gpu_check |
    grep -o 'test_[a-z0-9_]*')
for test in $tests; do
    program "build/$test" "echo $test \$* >>\$CALLS"
done
count=$(wc -w <<<"$tests")

check 0 # no compute-sanitizer
called "$count" '^test_'
called 4 "^test_.*--card $folder/libraries\$"
[ -e /usr/local/cuda/bin/compute-sanitizer ] ||
    grep -q '^compute-sanitizer is not here' "$folder/output" || fail "what is not here?"

# All four tools on each of the kernels' tests, and no test a second time.
sanitizer() { # WHAT IT DOES FIRST
    program bin/compute-sanitizer "echo sanitizer \$* >>\$CALLS
$1
shift 4
exec \"\$@\""
}
sanitizer :
check 0
for tool in memcheck racecheck synccheck initcheck; do
    called 4 "^sanitizer --tool $tool --error-exitcode 9 $folder/build/test_"
done
called 16 '^sanitizer'
called 16 '^test_'
check 0
called 0 .

# What a tool finds, or a test, is a failure, and is run again.
sanitizer '[ $2 != synccheck ] || exit 9'
check 1 --again
called 16 '^sanitizer'
check 1
called 4 '^sanitizer --tool synccheck'
called 4 .
sanitizer :
check 0
program build/test_run_cuda 'exit 1'
check 1
program build/test_run_cuda 'echo "skip: all, there is no card"'
check 1

program build/ensembed 'echo none'
check 1
grep -q 'no card can be used' "$folder/output" || fail "why was nothing tested?"
