# heavy: BM25 goes on after a signal and after a kill, and ends with the same
# bytes.
awk 'BEGIN { for (i = 0; i < 60000; i++) print "{\"text\": \"number " i " of many words about memory " i % 7 " and devices\"}" }' >big.jsonl
ensembed run big.jsonl --sparse qdrant-bm25 --out fresh --quiet --export npy
for signal in INT KILL; do
    # Where this shell stood still meanwhile the run has gone too far: once more.
    for _ in 1 2 3 4 5; do
        rm -rf o
        env --default-signal=INT ensembed run big.jsonl --sparse qdrant-bm25 --out o --no-progress --export npy >out 2>err &
        pid=$!
        # Far enough for rows that are whole: those written last need not be.
        store=o/big/.ensembed/qdrant-bm25/sparse
        while [ "$(stat -c %s $store/rows.sparse 2>/dev/null || echo 0)" -lt 500000 ] && kill -0 $pid 2>/dev/null; do sleep 0.005; done
        kill -$signal $pid 2>/dev/null || true
        status=0
        wait $pid || status=$?
        [ $status = 0 ] || [ "$(stat -c %s $store/keys)" -ge $((60000 * 40)) ] || break
    done
    echo "exit status $status"
    [ ! -e o/big/qdrant-bm25.sparse.npz ]
    ensembed run big.jsonl --sparse qdrant-bm25 --out o --no-progress --export npy >again
    grep -v " 0 reused" again | grep -v " 0 texts computed" | grep -c computed
    cmp o/big/qdrant-bm25.sparse.npz fresh/big/qdrant-bm25.sparse.npz && echo same
done
