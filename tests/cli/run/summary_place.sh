# A summary that cannot be written is known before the work begins.
mkdir c
echo '[{"text":"x"}]' >c/a_chunks.json
ensembed run c --model "$MODELS/mean" --out o --summary nowhere/s.json || echo "status $?"
[ ! -e o ]
ensembed run c --model "$MODELS/mean" --out o --summary here.json --quiet
[ -s here.json ] && [ ! -e o/summary.json ]
