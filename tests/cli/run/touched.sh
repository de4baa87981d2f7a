# Somebody wrote into the array: as long as before, so only its time tells. The
# vectors are computed again. A copy of the folder has other times and the same
# bytes: nothing is computed there.
mkdir c
echo "[{\"text\":\"one\"},{\"text\":\"two\"},{\"text\":\"one\"}]" >c/a_chunks.json
ensembed run c --model "$MODELS/mean" --out o --quiet
sha256sum o/c/*.* >sums
cp -r o elsewhere
printf 'oops' | dd of=o/c/embeddings.npy bs=1 seek=200 conv=notrunc status=none
touch -d 2001-01-01 o/c/embeddings.npy # however coarse the times are here
ensembed run c --model "$MODELS/mean" --out o --no-progress | grep texts
sha256sum --quiet -c sums
ensembed run c --model "$MODELS/mean" --out elsewhere --no-progress | grep texts
cd elsewhere
sed 's|  o/|  |' ../sums | sha256sum --quiet -c
