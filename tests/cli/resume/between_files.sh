# A run that ends between two of its files, as a kill may do it, leaves no
# stats.json: the new array beside the old texts is not searched. With the
# obstacle gone the same command ends it.
mkdir c
echo '[{"text":"one"},{"text":"two"}]' >c/x_chunks.json
ensembed run c --model "$MODELS/mean" --out o --quiet
cp o/c/embeddings.npy old.npy
echo '[{"text":"two"},{"text":"three"}]' >c/x_chunks.json
rm o/c/metadata.jsonl
mkdir o/c/metadata.jsonl
ensembed run c --model "$MODELS/mean" --out o --quiet 2>/dev/null || echo "exit status $?"
cmp -s old.npy o/c/embeddings.npy || echo "the array is new"
ensembed search o three || echo "exit status $?"
rmdir o/c/metadata.jsonl
ensembed run c --model "$MODELS/mean" --out o --quiet
ensembed search o three -k 1 | tail -n 1
