# Rows that a card made in fp16 (here the store is told so) are gone on with on
# a machine that computes in f32: they are kept, what is added is named, and
# only who asks for another type is refused.
echo '[{"text":"one"},{"text":"two"}]' >a_chunks.json
store=o/chunks/.ensembed/mean/dense/store.json
mkdir chunks
mv a_chunks.json chunks
go() { # OPTION...
    ensembed run chunks --model "$MODELS/mean" --out o --no-progress "$@"
}
said() { # NAME FILE
    echo "$1: $(sed -n "s/^ *\"$1\": \(.*[^,]\),*\$/\1/p" "$2")"
}
go --quiet
said dtype o/chunks/stats.json
cp o/chunks/embeddings.npy first.npy
sed -i 's/"dtype": "f32"/"dtype": "fp16"/' $store
go | grep -o "0 texts computed, 2 reused"
cmp first.npy o/chunks/embeddings.npy
said dtype o/chunks/stats.json
grep -c other_dtype o/summary.json || true
echo '[{"text":"one"},{"text":"two"},{"text":"three"}]' >chunks/a_chunks.json
go | grep -o "1 text computed, 2 reused"
said dtype $store
said other_dtype o/summary.json
said elsewhere o/summary.json
go | grep -o "unchanged"
said other_dtype o/summary.json
go --dtype f32 2>&1 | grep -o 'made otherwise: dtype[^;]*;'
go --dtype fp16 2>&1 || true
echo "anew:"
go --restart --quiet
said dtype $store
grep -c other_dtype o/summary.json || true
