# heavy: a second signal ends the run at once, as if nobody had caught it, and
# what was finished is kept.
awk 'BEGIN { for (i = 0; i < 2000; i++) printf "{\"text\": \"number %d of many\"}\n", i }' >many.jsonl
# A card so slow that the batch in flight, the 40th, outlives both signals. (One
# thread has one lane, and a batch is one submit.)
echo '{"device": "sim:a", "at_submit": 40, "delay_ms": 60000}' >slow.jsonl
: >quick.jsonl
go() { # SCRIPT; takes the place of the shell that it runs in
    exec ensembed run many.jsonl --model "$MODELS/mean:budget=128" --device sim:a=64MiB --threads 1 \
        --margin sim:a=8MiB --lock-dir locks --sim-script "$1" --out o --no-progress
}
go slow.jsonl >out 2>err &
pid=$!
until [ "$(grep -c batch_completed o/events.jsonl 2>/dev/null)" -ge 39 ]; do sleep 0.02; done 2>/dev/null
kill -TERM $pid
# Within half a second it would be the same wish; and where the machine stood
# still so long, both came at once, and one more is the second.
for _ in 1 2 3 4 5; do
    sleep 0.7
    kill -TERM $pid 2>/dev/null || break
done
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
