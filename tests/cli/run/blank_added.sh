# A blank chunk changes no vector, but what stats.json counts.
mkdir c
echo '[{"text":"one"}]' >c/a_chunks.json
ensembed run c --model "$MODELS/mean" --out o --quiet
echo '[{"text":"one"}, {"text":" "}]' >c/a_chunks.json
ensembed run c --model "$MODELS/mean" --out o --quiet
ensembed run c --model "$MODELS/mean" --out fresh --quiet
for f in fresh/c/*.*; do cmp "$f" "o/c/${f##*/}"; done
