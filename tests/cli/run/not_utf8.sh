# Folders whose names are not UTF-8 work like any other; in reports, which are
# text, the bytes that are none are shown as U+FFFD.
mkdir c
echo '[{"text":"one"},{"text":"two"}]' >c/a_chunks.json
out=$(printf 'o\377')
model=$(printf 'm\377')
cp -r "$MODELS/mean" "$model"
ensembed run c --model "$model" --out "$out" --quiet
ls "$out/c"
grep -c '"reference": "m�"' "$out/summary.json"
grep -c '"reference": "m�"' "$out/c/stats.json"
grep -c 'o�/c/embeddings.npy' "$out/summary.json"
ensembed run c --model "$MODELS/mean" --out p --text-field "$model" || echo $?
ls -d p 2>/dev/null || echo none
