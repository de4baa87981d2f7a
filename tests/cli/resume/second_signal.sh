# heavy: a second signal ends the run at once, as if nobody had caught it, and
# what was finished is kept.
awk 'BEGIN { for (i = 0; i < 2000; i++) printf "{\"text\": \"number %d of many\"}\n", i }' >many.jsonl
# A card so slow that a batch in flight outlives both signals.
{
    echo '{"device": "sim:a", "at_submit": 1, "delay_ms": 5}'
    echo '{"device": "sim:a", "at_submit": 40, "delay_ms": 60000}'
} >slow.jsonl
: >quick.jsonl
go() { # SCRIPT; takes the place of the shell that it runs in
    exec ensembed run many.jsonl --model "$MODELS/mean:budget=128" --device sim:a=64MiB \
        --margin sim:a=8MiB --lock-dir locks --sim-script "$1" --out o --no-progress
}
go slow.jsonl >out 2>err &
pid=$!
until [ "$(grep -c batch_completed o/events.jsonl 2>/dev/null)" -ge 10 ]; do sleep 0.02; done 2>/dev/null
sleep 0.5
kill -TERM $pid
sleep 0.7 # within half a second it would be the same wish
kill -TERM $pid
status=0
wait $pid || status=$?
echo "exit status $status"
[ ! -e o/many/embeddings.npy ]
stored=$(grep batch_completed o/events.jsonl | sed 's/.*"texts":\([0-9]*\).*/\1/' | awk '{ n += $1 } END { print n }')
go quick.jsonl >again 2>>err &
wait $!
grep -q "$((2000 - stored)) texts computed, $stored reused" again
ensembed run many.jsonl --model "$MODELS/mean" --out fresh --quiet
for f in fresh/many/*.*; do cmp "$f" "o/many/${f##*/}"; done
