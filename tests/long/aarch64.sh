#!/bin/bash
# The portable path on aarch64: everything is cross-compiled with warnings as
# errors, then tests, command line cases and the examples of the library run
# under QEMU, and vectors are held against those of this machine.
#
#     aarch64.sh [--resume] [PROGRAM] [PART...]
#         PROGRAM: this machine's own ensembed
#         PART: a test (run/outputs), a folder of them (run), a command line case
#             or topic (cli/usage/help, cli/embed), `library` or `vectors`;
#             without any all of them
#         --resume: not what has passed since the last change to what was built
#
# What is left out is told in a line each, with its reason.
#
# tools/setup --cross installs compiler and QEMU, as root; the target's libraries
# are packages of this Debian that are unpacked below build/aarch64, where dpkg
# knows nothing of them. About half an hour on two cores.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
resume=no native=$root/build/gcc/ensembed parts=
for argument; do
    case $argument in
    --resume) resume=yes ;;
    library | vectors) parts="$parts $argument" ;;
    base | hub | text | data | device | model | run | cli | \
        base/* | hub/* | text/* | data/* | device/* | model/* | run/* | cli/*)
        parts="$parts ${argument%/}"
        ;;
    *) native=$(realpath -m "$argument") ;;
    esac
done
python=$root/build/venv/bin/python
[ -x "$python" ] || python=python3
cd "$root"
home=$root/build/aarch64
sysroot=$home/sysroot
build=$home/gcc
mkdir -p "$home"

skip() {
    echo "skip: $*"
    exit 0
}

tools/setup --cross || skip "tools/setup --cross has not installed compiler and QEMU"
for tool in aarch64-linux-gnu-gcc aarch64-linux-gnu-g++ qemu-aarch64-static; do
    command -v $tool >/dev/null || skip "no $tool here"
done

# Was PART asked for, by its name or by a folder it is in?
asked() { # PART
    local part
    [ -n "$parts" ] || return 0
    for part in $parts; do
        case $1 in "$part" | "$part"/*) return 0 ;; esac
    done
    return 1
}

asked vectors && [ ! -x "$native" ] && {
    echo "FAIL: no program of this machine's in $native"
    exit 1
}

# ---- the target's libraries ----

# apt for another architecture, with folders of its own.
arm_apt() {
    apt-get -o APT::Architecture=arm64 -o APT::Architectures=arm64 \
        -o Dir::State="$home/apt" -o Dir::State::status="$home/apt/status" \
        -o Dir::Cache="$home/apt" "$@"
}

make_sysroot() { # PACKAGE...
    rm -rf "$home/apt" "$sysroot"
    mkdir -p "$home/apt/lists/partial" "$home/apt/archives/partial" "$sysroot"
    : >"$home/apt/status"
    { arm_apt -qq update &&
        arm_apt -qq -y --no-install-recommends --download-only install "$@"; } \
        >"$home/apt.log" 2>&1 ||
        skip "apt's sources give no packages for arm64 ($home/apt.log)"
    local package
    for package in "$home"/apt/archives/*.deb; do
        dpkg-deb -x "$package" "$sysroot"
    done
    rm -rf "$home/apt"
    echo "$*" >"$sysroot/packages"
}

packages="libjansson-dev libssl-dev libxxhash-dev libpcre2-dev libstemmer-dev
    libcurl4-openssl-dev libcmocka-dev libc6-dev libstdc++6"
packages=$(echo $packages) # in one line
[ "$(cat "$sysroot/packages" 2>/dev/null)" = "$packages" ] || make_sysroot $packages

# ---- the build ----

cmake -S . -B "$build" -G Ninja -DENS_TESTS=ON -DENS_WERROR=ON \
    -DENS_PYTHON="$python" -DENS_SYSROOT="$sysroot" \
    -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake >"$home/cmake.log"
cmake --build "$build" -j "$(nproc)" >"$home/build.log" || {
    tail -n 40 "$home/build.log"
    echo "FAIL: it does not compile (all of it: $home/build.log)"
    exit 1
}

# ---- which of them ----

# What has passed since something was built, a name a line.
passed=$home/passed
{ [ -e "$passed" ] && [ -z "$(find "$build" -newer "$passed" -type f -executable)" ]; } ||
    : >"$passed"

# Why PART is not run here, or nothing.
left_out() { # PART
    case $1 in
    */cuda*) echo "kernels for cards are C++ in an emulator of their own" ;;
    run/crew | run/ladder) echo "computes for many seconds on a real processor" ;;
    *_judged | *_scipy | hub/pull | run/head_cases)
        echo "Python starts the program, and knows nothing of QEMU" ;;
    *_oracle | */config_keys | */head_keys | text/package | text/bm25_tables | device/kernels_* | \
        device/gpu_check)
        echo "asks nothing of the program" ;;
    cli/scene/* | cli/memory/*) echo "computes for minutes under QEMU" ;;
    cli/faults/* | cli/heads/bm25_kill | cli/resume/*signal* | cli/resume/torn | \
        cli/run/interrupt | cli/run/kills)
        echo "starts and stops the program many times: minutes under QEMU"
        ;;
    cli/tools/*) echo "asks nothing of the program" ;;
    esac
}

# Of names a line each those that are to be run; the others are told.
exec 3>&1
chosen() {
    local part why
    while read -r part; do
        asked "$part" || continue
        why=$(left_out "$part")
        if [ -n "$why" ]; then
            echo "skip: $part: $why" >&3
        elif [ $resume = no ] || ! grep -qx "$part" "$passed"; then
            echo "$part"
        fi
    done
}

# ---- unit tests ----

[ -n "$parts" ] || echo "skip: api, bench, docs, fuzz: ask nothing of the program, or are for sanitizers"
failed=0
tests=$(ctest --test-dir "$build" -N | sed -n 's/^ *Test *#[0-9]*: //p' |
    grep -E '^(base|hub|text|data|device|model|run|cli)/[a-z_0-9]*$' | chosen)
if [ -n "$tests" ]; then
    ctest --test-dir "$build" -j "$(nproc)" --timeout 1800 --output-on-failure \
        -R "^($(echo $tests | tr ' ' '|'))\$" >"$home/ctest.log" || failed=1
    sed -n 's/^ *[0-9]*\/[0-9]* Test *#[0-9]*: \([^ ]*\) .* Passed .*/\1/p' "$home/ctest.log" >>"$passed"
    grep -E '\*\*\*|tests passed|tests failed' "$home/ctest.log" || true
fi

# ---- the program and the library ----

emulator="qemu-aarch64-static -L $sysroot"
mkdir -p "$home/bin"
printf '#!/bin/sh\nexec %s %s/ensembed "$@"\n' "$emulator" "$build" >"$home/bin/ensembed"
chmod +x "$home/bin/ensembed"
cases=0
for case in $(find tests/cli -mindepth 2 -name '*.sh' | sort | sed 's/^tests.//; s/\.sh$//' | chosen); do
    cases=$((cases + 1))
    status=0
    timeout 1800 tests/cli/run_case "$home/bin/ensembed" "tests/$case.sh" || status=$?
    case $status in
    0 | 77) echo "$case" >>"$passed" ;;
    *) echo "FAIL: $case" && failed=1 ;;
    esac
done
echo "$cases command line cases"

library() {
    # shellcheck disable=SC2086
    PKG_CONFIG_LIBDIR=$sysroot/usr/lib/aarch64-linux-gnu/pkgconfig \
        CC="aarch64-linux-gnu-gcc --sysroot=$sysroot" \
        CXX="aarch64-linux-gnu-g++ --sysroot=$sysroot" \
        tests/api/install.sh "$build" $emulator >"$home/install.log" 2>&1
}
if [ -n "$(echo library | chosen)" ]; then
    if library; then
        echo "the library from C and C++: ok"
        echo library >>"$passed"
    else
        tail -n 20 "$home/install.log"
        echo "FAIL: the library from C and C++"
        failed=1
    fi
fi

# ---- vectors ----

# Bits differ from one instruction set to another: x86-64's portable kernels have
# no fused multiply-add, and wider vectors split some sums otherwise.
hold() { # MODEL: the texts are in $home/texts
    local isa
    "$home/bin/ensembed" embed --model "$1" <"$home/texts" >"$home/here"
    for isa in generic avx2 avx512; do
        "$native" embed --model "$1" --isa $isa <"$home/texts" >"$home/there" 2>/dev/null || continue
        "$python" - "$(basename "$1"), x86-64 $isa" "$home/here" "$home/there" <<'EOF' || failed=1
import json, math, struct, sys
here, there = ([json.loads(line) for line in open(name)] for name in sys.argv[2:])
bits = lambda v: struct.pack(f"<{len(v)}f", *v)
cosine = lambda a, b: math.fsum(x * y for x, y in zip(a, b)) / math.sqrt(
    math.fsum(x * x for x in a) * math.fsum(y * y for y in b))
lowest = min(cosine(a, b) for a, b in zip(here, there, strict=True))
same = sum(bits(a) == bits(b) for a, b in zip(here, there))
far = max(abs(x - y) for a, b in zip(here, there) for x, y in zip(a, b))
fine = lowest >= 0.999999
print(f"{'' if fine else 'FAIL: '}{sys.argv[1]}: {len(here)} vectors, {same} with the "
      f"same bits, 1 - lowest cosine {1 - lowest:.1e}, farthest number {far:.1e}")
sys.exit(not fine)
EOF
    done
}

vectors() {
    local model real=$root/build/models/all-MiniLM-L6-v2
    for model in mean t5 nomic_bert qwen3; do
        "$python" -c 'import json, sys
for text in json.load(open(json.load(open(sys.argv[1]))["texts_file"])): print(json.dumps(text))' \
            "tests/fixtures/models/$model/reference.json" >"$home/texts"
        hold "tests/fixtures/models/$model"
    done
    if [ -d "$real" ]; then
        printf '"%s"\n' "a red fox" "How does a run go on after a kill?" >"$home/texts"
        hold "$real"
    else
        echo "skip: vectors of MiniLM: no $real (tools/test fetches it)"
    fi
}
if asked vectors; then
    vectors
fi

[ $failed -eq 0 ] && echo ok || { echo "FAIL (ctest: $home/ctest.log)"; exit 1; }
