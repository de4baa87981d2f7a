# A summary that cannot be written is known before the work begins.
mkdir c
echo '[{"text":"x"}]' >c/a_chunks.json
ensembed run c --model "$MODELS/mean" --out o --summary nowhere/s.json || echo "status $?"
[ ! -e o ]
ensembed run c --model "$MODELS/mean" --out o --summary here.json --quiet
[ -s here.json ] && [ ! -e o/summary.json ]
# One that cannot be written after all is not said to be there, and costs the
# report nothing.
name=$(head -c 255 /dev/zero | tr '\0' s)
ensembed run c --model "$MODELS/mean" --out p --summary "$name" --no-progress >said 2>err || echo "status $?"
grep -c "summary" said || true
grep -o ".part: File name too long" err
[ -s p/report.html ] && [ -s p/metrics.prom ]
