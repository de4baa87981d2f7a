# What a killed run leaves is no report of the run before.
mkdir c
awk 'BEGIN { for (i = 0; i < 20000; i++) printf "{\"text\":\"number %d\"}\n", i }' >c/x.jsonl
head -n 2 c/x.jsonl >one.jsonl
status() {
    sed -n 's/^ "status": "\(.*\)".*/\1/p' o/summary.json
    [ ! -e o/report.html ] || echo "and a report"
}
ensembed run one.jsonl --model "$MODELS/mean" --out o --quiet
status
ensembed run c --model "$MODELS/mean" --out o --quiet &
pid=$!
n=0
until [ "$(status)" = running ] || [ $n -ge 1000 ]; do sleep 0.01; n=$((n + 1)); done
kill -KILL $pid
wait $pid 2>kill || true
status
ensembed run c --model "$MODELS/mean" --out o --quiet
status
