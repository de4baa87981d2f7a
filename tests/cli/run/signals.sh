# One signal ends what waits for standard input: a run says how to go on, other
# commands end as if nobody had caught it.
mkfifo pipe
exec 3<>pipe
code=0
timeout -k 60 -s TERM 1 ensembed embed --model "$MODELS/mean" <pipe || code=$?
echo "embed $code"
# Not before it waits: an alarm tells timeout that its time is up.
# (env: sh starts what is in the background with SIGINT ignored.)
env --default-signal=INT timeout -k 60 -s INT 600 ensembed run - --model "$MODELS/mean" --out o --quiet <pipe &
pid=$!
until [ -s o/events.jsonl ]; do
    kill -0 $pid
    sleep 0.02
done
kill -ALRM $pid
code=0
wait $pid || code=$?
echo "run $code"
