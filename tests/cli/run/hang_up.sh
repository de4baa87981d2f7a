# A terminal that goes away asks a run to stop, as Ctrl-C does; under nohup it
# goes on.
mkfifo pipe
exec 3<>pipe
ensembed run - --model "$MODELS/mean" --out o --quiet <pipe 2>err &
pid=$!
until [ -s o/events.jsonl ]; do sleep 0.02; done
kill -HUP $pid
status=0
wait $pid || status=$?
echo "$status $(grep -c 'run the same command again and it goes on' err)"
grep -o '"status": "interrupted"' o/summary.json

echo '{"text": "one"}' >one.jsonl
mkfifo other
(trap '' HUP && exec ensembed run - --model "$MODELS/mean" --out p --quiet <other) &
pid=$!
exec 4>other
until [ -s p/events.jsonl ]; do sleep 0.02; done
kill -HUP $pid
cat one.jsonl >&4
exec 4>&-
wait $pid
wc -l <p/chunks/points.jsonl
