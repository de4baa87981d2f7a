# Only new texts are computed; rows that stand in the array are used again,
# and the result is that of a run from nothing.
mkdir c
echo "[{\"text\":\"one\"},{\"text\":\"two\"}]" >c/a_chunks.json
ensembed run c --model "$MODELS/mean" --out o --quiet
echo "[{\"text\":\"three\"},{\"text\":\"two\"},{\"text\":\"one\"}]" >c/a_chunks.json
ensembed run c --model "$MODELS/mean" --out o --no-progress
ensembed run c --model "$MODELS/mean" --out fresh --quiet
for f in fresh/c/*.*; do cmp "$f" "o/c/${f##*/}"; done
rm c/a_chunks.json
echo "[{\"text\":\"two\"}]" >c/b_chunks.json
ensembed run c --model "$MODELS/mean" --out o --no-progress
head -c 128 o/c/embeddings.npy | grep -ao "(1, 32)"
