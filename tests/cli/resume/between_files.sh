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
# Nor does a file go that is not part of the output any more while stats.json,
# which a search goes by, cannot.
mv o/c/stats.json stats.json
mkdir o/c/stats.json
ensembed run c --model "$MODELS/mean" --out o --quiet --export npy 2>/dev/null || echo "exit status $?"
rmdir o/c/stats.json
mv stats.json o/c/stats.json
ensembed search o three -k 1 | tail -n 1

# Whose files a run was writing when it ended is known to the next one, of other
# models: none of them stays beside rows that are not its own.
mkdir -p p/c/metadata.jsonl
ensembed run c --model "$MODELS/mean" --model "$MODELS/cls" --fuse concat --sparse qdrant-bm25 --out p --quiet 2>/dev/null ||
    echo "exit status $?"
(cd p/c && echo *.np?)
rmdir p/c/metadata.jsonl
ensembed run c --model "$MODELS/mean" --out p --quiet 2>err
grep -o "p/c/.*" err
(cd p/c && echo *.np?)
# Nor an array that stayed while its rows were those of the new files.
ensembed run c --model "$MODELS/mean" --model "$MODELS/cls" --fuse concat --out p --quiet
rm p/c/metadata.jsonl
mkdir p/c/metadata.jsonl
ensembed run c --model "$MODELS/mean" --out p --quiet 2>/dev/null || echo "exit status $?"
rmdir p/c/metadata.jsonl
ensembed run c --model "$MODELS/mean" --out p --quiet
(cd p/c && echo *.np?)
echo '[{"text":"four"}]' >c/x_chunks.json
ensembed run c --model "$MODELS/mean" --out p --quiet 2>err
grep -o "p/c/.*" err
(cd p/c && echo *.np?)
