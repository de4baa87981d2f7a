# A file that may not be read costs itself. Root may read anything, so root
# becomes somebody else, in a folder that others may enter.
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
chmod 777 "$d"
cd "$d"
run=
[ "$(id -u)" != 0 ] || run="setpriv --reuid 65534 --clear-groups"
mkdir c
echo '[{"text":"x"}]' >c/a_chunks.json
echo '[{"text":"y"}]' >c/b_chunks.json
chmod 000 c/a_chunks.json
p=$(realpath "$(command -v ensembed)")
# shellcheck disable=SC2086
$run test -r "$MODELS/mean/config.json" -a -x "$p" ||
    { echo "skip: another user cannot read the repository"; exit 77; }
# shellcheck disable=SC2086
$run "$p" run c --model "$MODELS/mean" --out o --no-progress
