# heavy: a disk that is full in the middle of a pass on two devices, in each
# mode: exit status 75, and with room again the same command ends as if nothing
# had happened. Only root can make so small a disk.
[ "$(id -u)" = 0 ] || { echo "skip: only root may mount a small disk"; exit 77; }
mkdir small
mount -t tmpfs -o size=24m none small 2>/dev/null || { echo "skip: no tmpfs may be mounted here"; exit 77; }
trap 'umount small' EXIT
awk 'BEGIN { for (i = 0; i < 6000; i++) printf "{\"text\": \"number %d of many\"}\n", i }' >many.jsonl
ensembed run many.jsonl --model "$MODELS/mean" --model "$MODELS/cls" --dim 16 --export npy --out fresh --quiet 2>/dev/null
# From submit 40 on, when rows are on the way, the cards take their time, so
# that somebody else can fill the disk.
for card in a b; do
    echo "{\"device\": \"sim:$card\", \"at_submit\": 40, \"delay_ms\": 200}"
done >slow.jsonl

go() { # MODE; takes the place of the shell that it runs in
    exec ensembed run many.jsonl --model "$MODELS/mean:budget=128" --model "$MODELS/cls:budget=128" --dim 16 \
        --mode "$1" --device sim:a=64MiB,sim:b=64MiB --margin sim:a=8MiB --margin sim:b=8MiB \
        --threads 1 --lock-dir locks --sim-script slow.jsonl --export npy --out small/o --summary "$1.json" --no-progress
}

for mode in exclusive sequential simultaneous; do
    go $mode >out 2>err &
    pid=$!
    until [ "$(grep -c batch_completed small/o/events.jsonl 2>/dev/null)" -ge 20 ]; do sleep 0.02; done 2>/dev/null
    dd if=/dev/zero of=small/others bs=4096 2>/dev/null || true
    status=0
    wait $pid || status=$?
    echo "$mode: exit status $status"
    grep -o "no space left" err | head -n 1
    grep -c '"code": "disk_full"' $mode.json | sed 's/^[1-9]$/named in the summary/'
    [ ! -e small/o/many/embeddings.npy ]
    rm small/others
    sed 's/, "delay_ms": 200/, "delay_ms": 0/' slow.jsonl >quick.jsonl
    mv slow.jsonl kept.jsonl
    mv quick.jsonl slow.jsonl
    go $mode >again 2>>err &
    wait $!
    mv kept.jsonl slow.jsonl
    grep -o "12000 texts computed, 0 reused" again || echo "some rows were kept"
    for f in fresh/many/*.*; do cmp "$f" "small/o/many/${f##*/}"; done
    rm -rf small/o
done
