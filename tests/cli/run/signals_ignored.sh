# A signal that the caller ignores stays ignored: nohup(1) does so with the
# hang-up, a shell without job control with the SIGINT of what it starts in the
# background.
for signal in INT TERM HUP; do
    mkfifo $signal.pipe
    (trap '' $signal && exec ensembed run - --model "$MODELS/mean" --out $signal --quiet <$signal.pipe) &
    pid=$!
    exec 3>$signal.pipe
    until [ -s $signal/events.jsonl ]; do sleep 0.02; done
    kill -$signal $pid
    echo '{"text": "one"}' >&3
    exec 3>&-
    status=0
    wait $pid || status=$?
    echo "$signal: exit status $status, $(wc -l <$signal/chunks/points.jsonl) point"
done
