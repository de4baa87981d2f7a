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
# report nothing. The run waits for its chunks until the folder is gone.
mkfifo pipe
mkdir gone
ensembed run - --as c --model "$MODELS/mean" --out p --summary gone/s.json --no-progress <pipe >said 2>err &
pid=$!
exec 3>pipe
until [ -s gone/s.json ]; do
    kill -0 $pid
    sleep 0.01
done
rm -r gone
echo '{"text":"x"}' >&3
exec 3>&-
wait $pid || echo "status $?"
grep -c "summary" said || true
grep -o "create gone/s.json.*" err
[ -s p/report.html ] && [ -s p/metrics.prom ]
