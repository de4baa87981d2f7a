# heavy: a signal ends the run between batches and the same command goes on.
# (env: sh starts what is in the background with SIGINT ignored.)
awk "BEGIN { for (i = 0; i < 12000; i++) print \"{\\\"text\\\": \\\"number \" i \" of many\\\"}\" }" >big.jsonl
store=o/big/.ensembed/mean/dense
# Where this shell stood still meanwhile the run has gone too far: once more.
for _ in 1 2 3 4 5; do
    rm -rf o
    env --default-signal=INT ensembed run big.jsonl --model "$MODELS/mean:budget=64" --out o --no-progress --export npy >out 2>err &
    pid=$!
    while [ ! -s $store/rows.f32 ] && kill -0 $pid 2>/dev/null; do sleep 0.02; done
    kill -INT $pid 2>/dev/null || true
    status=0
    wait $pid || status=$?
    [ $status = 0 ] || [ "$(stat -c %s $store/digests)" -ge $((12000 * 32)) ] || break
done
echo "exit status $status"
grep -o "run the same command again and it goes on" err
[ ! -e o/big/embeddings.npy ]
ensembed run big.jsonl --model "$MODELS/mean:budget=64" --out o --no-progress --export npy >again
grep -v " 0 reused" again | grep -v " 0 texts computed" | grep "computed" >/dev/null
ensembed run big.jsonl --model "$MODELS/mean" --out fresh --quiet --export npy
cmp o/big/embeddings.npy fresh/big/embeddings.npy && echo same
