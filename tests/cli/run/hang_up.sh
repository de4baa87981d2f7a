# A terminal that goes away asks a run to stop, as Ctrl-C does.
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
