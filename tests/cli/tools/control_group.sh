# In a control group of 256 MiB below one of 512 MiB the program sees what the
# group leaves, takes no more, and a run ends. Either version of groups.
if [ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then
    mount=/sys/fs/cgroup/memory limit=memory.limit_in_bytes
elif grep -qs memory /sys/fs/cgroup/cgroup.subtree_control; then
    mount=/sys/fs/cgroup limit=memory.max
else
    echo "skip: control groups do not count memory here"
    exit 77
fi
group=$mount/ensembed-case-$$
mkdir "$group" 2>/dev/null && [ -w "$group/$limit" ] || {
    rmdir "$group" 2>/dev/null || true
    echo "skip: no control group can be made in $mount"
    exit 77
}
trap 'rmdir "$group"/inner "$group" 2>/dev/null || true' EXIT
echo 536870912 >"$group/$limit"
[ $mount = /sys/fs/cgroup/memory ] || echo +memory >"$group/cgroup.subtree_control"
mkdir "$group/inner"
echo 268435456 >"$group/inner/$limit"
inside() {
    sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$group/inner" "$@"
}
inside true 2>/dev/null || {
    echo "skip: no process can move to $group/inner"
    exit 77
}

inside ensembed doctor --json >doctor.json
number() { sed -n "s/^.*\"$1\": *\([0-9]*\).*\$/\1/p" doctor.json; }
echo "memory $(number memory_bytes)"
free=$(number memory_free_bytes)
[ "$free" -le 268435456 ] && [ "$free" -gt 134217728 ] || echo "free $free"
ceiling=$(number ceiling_bytes)
[ "$ceiling" -le $((268435456 / 5 * 4)) ] && [ "$ceiling" -gt 67108864 ] || echo "ceiling $ceiling"
# A lower limit above counts as well.
echo 201326592 >"$group/$limit"
inside ensembed doctor --json >doctor.json
echo "memory $(number memory_bytes)"

mkdir c
for i in 1 2 3 4 5 6 7 8; do
    echo "[{\"text\":\"a text of number $i\"},{\"text\":\"another $i\"}]" >"c/${i}_chunks.json"
done
inside ensembed run c --model "$MODELS/mean" --out in --quiet
ensembed run c --model "$MODELS/mean" --out out --quiet
cmp in/c/embeddings.npy out/c/embeddings.npy && echo "same vectors"
