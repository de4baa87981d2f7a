# heavy: int8 and bf16 on the CPU: near f32, the same bits whatever the threads
# and batches, gone on with by who does not say otherwise, and never mixed.
awk "BEGIN { for (i = 0; i < 150; i++) { t = \"w\" i; for (j = 0; j < i % 37; j++) t = t \" token\" j; print \"{\\\"text\\\": \\\"\" t \"\\\"}\" } }" >a.jsonl
go() { # OUT OPTION...
    out=$1
    shift
    ensembed run a.jsonl --as c --out "$out" --export npy --no-progress "$@"
}
go f32 --model "$MODELS/mean" --quiet
for type in int8 bf16; do
    go o1 --model "$MODELS/mean" --dtype $type --threads 1 --quiet --restart
    for setting in "--threads 3 --model $MODELS/mean:budget=48" "--threads 2 --model $MODELS/mean:budget=300"; do
        # shellcheck disable=SC2086
        go o2 $setting --dtype $type --quiet --restart
        cmp o1/c/embeddings.npy o2/c/embeddings.npy && echo "$type: same bits"
    done
    cmp -s o1/c/embeddings.npy f32/c/embeddings.npy || echo "$type: not those of f32"
    python3 "$ROOT/tests/cli/run/cosine.py" o1/c/embeddings.npy f32/c/embeddings.npy $type
    grep -o '"dtype": "[a-z0-9]*"' o1/c/stats.json | sort -u
    echo '{"text": "one more"}' >>a.jsonl
    go o1 --model "$MODELS/mean" | grep -o "1 text computed, 150 reused"
    grep -o '"dtype": "[a-z0-9]*"' o1/c/stats.json | sort -u
    go o1 --model "$MODELS/mean" --dtype f32 2>&1 | grep -o "made otherwise: dtype[^;]*;"
    sed -i '$d' a.jsonl
done
go o3 --model "$MODELS/mean" --device sim:card=1GiB --dtype int8 2>&1 || true
