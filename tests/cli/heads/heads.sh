# heavy: One pass gives all heads of a model; heads that are asked for later
# cost a pass that computes only them, and the files are the same bytes; so they
# are after kills, in other modes and on other devices, and where a head or a
# text was there before.
awk 'BEGIN { for (i = 0; i < 4000; i++) { s = "word " i % 3900; for (k = 0; k < i % 90; k++) s = s " of memory"; print "{\"text\": \"" s "\"}" } }' >big.jsonl
head -n 2500 big.jsonl >part.jsonl
m3=$MODELS/m3
all="--model $m3:budget=400 --sparse $m3 --colbert $m3"
ensembed run big.jsonl $all --out fresh --no-progress
ls fresh/big
same() { for f in fresh/big/*.np?; do cmp "$f" "$1/big/${f##*/}"; done; cmp fresh/big/points.jsonl "$1/big/points.jsonl"; }

echo "one head after the other"
ensembed run big.jsonl --model "$m3" --out o --quiet
ensembed run big.jsonl --model "$m3" --sparse "$m3" --out o --no-progress | grep computed
ensembed run big.jsonl $all --out o --quiet
same o
grep -o '"heads":\["dense","sparse","multi"\]' o/events.jsonl | sort | uniq -c

echo "a part of the texts before"
mkdir o2
ensembed run part.jsonl --as big $all --out o2 --quiet
ensembed run big.jsonl --as big --sparse "$m3" --out o2 --quiet
ensembed run big.jsonl --as big $all --out o2 --quiet
same o2

echo "another device and mode"
ensembed run big.jsonl $all --model "$MODELS/mean" --fuse concat --out o3 --quiet --mode simultaneous --device sim:a=64MiB,sim:b=64MiB --lock-dir locks
for f in sparse.npz multi.npy multi.offsets.npy; do cmp "fresh/big/m3.$f" "o3/big/m3.$f"; done
cmp fresh/big/embeddings.npy o3/big/m3.npy

echo kills
for head in sparse multi dense; do
    # At the second record of 48 bytes the first batch is in all stores. Where
    # this shell stood still meanwhile the run is over: once more.
    for _ in 1 2 3 4 5; do
        rm -rf o4
        ensembed run big.jsonl $all --out o4 --quiet &
        pid=$!
        until [ -n "$(find o4 -path "*/$head/journal" -size +95c 2>/dev/null)" ] || ! kill -0 $pid 2>/dev/null; do sleep 0.01; done
        kill -KILL $pid 2>/dev/null || true
        wait $pid || break
    done
    ensembed run big.jsonl $all --out o4 --no-progress | grep -v " 0 reused" | grep -c computed
    same o4
done
