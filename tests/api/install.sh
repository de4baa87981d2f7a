#!/bin/bash
# Install into a folder of its own, then use the library as a stranger would:
# by pkg-config, from C with the static archive, from C++ with the shared one.
#
#     install.sh BUILD_FOLDER [EMULATOR...]
#
# EMULATOR is what runs the programs, if this machine cannot: tests/long/aarch64.sh
# also sets CC and CXX.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
build=$(realpath "$1")
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/usr" >"$work/log"
export PKG_CONFIG_PATH=$(dirname "$(find "$work/usr" -name ensembed.pc)")
lib=$(dirname "$PKG_CONFIG_PATH")
models=$root/tests/fixtures/models

# Nothing but ens_* is exported, and nothing else is left in the archive.
names=$(nm -D --defined-only "$lib/libensembed.so" | awk '{ print $3 }' | grep -v '^ens_' || true)
[ -z "$names" ] || { echo "exported beside ens_*: $names"; exit 1; }
names=$(nm -g --defined-only "$lib/libensembed.a" | awk 'NF == 3 { print $3 }' | grep -v '^ens_' || true)
[ -z "$names" ] || { echo "global in the archive beside ens_*: $names"; exit 1; }

cd "$work"
mkdir chunks
echo '[{"text":"a red fox"},{"text":"12345"},{"text":"a red fox"}]' >chunks/a_chunks.json

# Every symbol of the header is there: C with the archive alone.
cflags=$(pkg-config --cflags ensembed)
static=$(pkg-config --static --libs ensembed | sed 's/-lensembed//')
# shellcheck disable=SC2086
${CC:-cc} -std=c17 -Wall -Wextra -Werror "$root/examples/embed.c" $cflags "$lib/libensembed.a" $static -o embed
"$@" ./embed chunks "$models/mean" out "a red fox" >printed
cat >want <<'W'
3 chunks in 1 files, 2 distinct texts
2 texts computed, 0 reused
3 vectors written, * events, a summary of all of it
1.0000 chunks: a red fox
1.0000 chunks: a red fox
W
while read -r pattern <&3 && read -r line <&4; do
    # shellcheck disable=SC2053
    [[ $line == $pattern ]] || { echo "'$line' is not '$pattern'"; exit 1; }
done 3<want 4<printed
[ -s out/chunks/embeddings.npy ]
"$@" ./embed nothere "$models/mean" out "q" 2>error && exit 1
grep -q nothere error
# Bytes that are no text are not passed over.
"$@" ./embed chunks "$models/mean" out "$(printf 'caf\351')" 2>error >printed && exit 1
grep -q "byte 4 of the question, 0xE9" error

# C++ with the shared library.
# shellcheck disable=SC2046,SC2086
${CXX:-c++} -std=c++17 -Wall -Wextra -Werror "$root/examples/similarity.cpp" $(pkg-config --cflags --libs ensembed) -o similarity
LD_LIBRARY_PATH=$lib "$@" ./similarity "$models/mean" "a red fox" "a red fox" 12345 >printed
head -n 1 printed | grep -qx '1.0000 a red fox'
LD_LIBRARY_PATH=$lib "$@" ./similarity "$models/broken_shape" a b 2>error && exit 1
grep -q shape error
LD_LIBRARY_PATH=$lib "$@" ./similarity "$models/mean" a "$(printf 'caf\351')" 2>error && exit 1
grep -q "byte 4 of the text, 0xE9" error

# The program, its manual and completions came too.
"$@" "$work/usr/bin/ensembed" --version
[ -s "$(find "$work/usr" -name ensembed.1)" ]
[ "$(find "$work/usr" -path '*complet*' -type f | wc -l)" -ge 2 ]
echo ok
