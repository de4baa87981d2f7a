mkdir c
echo "[{\"text\":\"x\"}]" >c/a_chunks.json
for b in no_weights truncated offset shape missing unexpected dtype; do
    ensembed run c --model "$MODELS/broken_$b" --out o 2>err && exit 9
    sed "s|$MODELS/||" err
done
ensembed run c --model "$MODELS/unsupported" --out o 2>err && exit 9
sed "s|$MODELS/||" err
ensembed run c --model some/model --out o 2>err && exit 9
sed "s|$HOME|HOME|" err
[ ! -e o ]
# what they are, and where they go
for m in splade cross_bert colbert; do
    ensembed run c --model "$MODELS/$m" --out o 2>err && exit 9
    sed "s|$MODELS/||" err
done
