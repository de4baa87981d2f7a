# A summary that cannot be written is known before the work begins.
mkdir c
echo '[{"text":"x"}]' >c/a_chunks.json
ensembed run c --model "$MODELS/mean" --out o --summary nowhere/s.json || echo "status $?"
[ ! -e o ]
ensembed run c --model "$MODELS/mean" --out o --summary here.json --quiet
[ -s here.json ] && [ ! -e o/summary.json ]
# So is one whose name is too long beside others.
name=$(head -c 255 /dev/zero | tr '\0' s)
ensembed run c --model "$MODELS/mean" --out q --summary "$name" --quiet 2>err || echo "status $?"
grep -o ".part: File name too long" err
# One that cannot be written after all is not said to be there, and costs the
# report nothing.
awk 'BEGIN { for (i = 0; i < 20000; i++) printf "{\"text\":\"number %d\"}\n", i }' >c/b.jsonl
mkdir gone
ensembed run c --model "$MODELS/mean" --out p --summary gone/s.json --no-progress >said 2>err &
pid=$!
n=0
until [ -s gone/s.json ] || [ $n -ge 1000 ]; do sleep 0.01; n=$((n + 1)); done
rm -r gone
wait $pid || echo "status $?"
grep -c "summary" said || true
grep -o "create gone/s.json.*" err
[ -s p/report.html ] && [ -s p/metrics.prom ]
