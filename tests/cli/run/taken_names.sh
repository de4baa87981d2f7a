# A model's name is a file, a folder and a vector beside others of ours: names
# that are taken are refused before anything is written.
mkdir c
echo '[{"text":"one"}]' >c/a_chunks.json
long=$(printf 'a%.0s' $(seq 201))
for name in embeddings fused scratch lock complete.json "$long"; do
    ensembed run c --model "$MODELS/mean:name=$name" --out o || echo $?
done
ensembed run c --model "$MODELS/mean:name=${long%a}" --out o --quiet
ls o
