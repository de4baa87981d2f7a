# What a killed run leaves is no report of the run before. It waits for its
# standard input, so that it cannot be over when the kill comes.
printf '{"text":"one"}\n{"text":"two"}\n' >one.jsonl
mkfifo pipe
exec 3<>pipe
status() {
    sed -n 's/^ "status": "\(.*\)".*/\1/p' o/summary.json
    [ ! -e o/report.html ] || echo "and a report"
}
ensembed run one.jsonl --model "$MODELS/mean" --out o --quiet
status
ensembed run - --as c --model "$MODELS/mean" --out o --quiet <pipe &
pid=$!
until [ "$(status)" = running ]; do
    kill -0 $pid
    sleep 0.01
done
kill -KILL $pid
wait $pid 2>kill || true
status
ensembed run one.jsonl --as c --model "$MODELS/mean" --out o --quiet
status
