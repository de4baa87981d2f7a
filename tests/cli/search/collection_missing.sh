# A collection that is not there is said, not left out of the answer.
mkdir c
echo '[{"text":"one"}]' >c/a_chunks.json
ensembed run c --model "$MODELS/mean" --out o --quiet
ensembed search o one --collection c --collection nosuch
