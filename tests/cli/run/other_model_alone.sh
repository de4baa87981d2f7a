# embeddings.npy is the place of one model's rows: when another model's take
# it, the first one's are kept and not computed again.
mkdir c
echo '[{"text":"one"},{"text":"two"}]' >c/a_chunks.json
ensembed run c --model "$MODELS/mean" --out o --quiet
cp o/c/embeddings.npy first.npy
ensembed run c --model "$MODELS/relu" --out o --quiet
ensembed run c --model "$MODELS/mean" --out o --no-progress
cmp first.npy o/c/embeddings.npy
