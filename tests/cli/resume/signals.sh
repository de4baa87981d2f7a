# heavy: a signal in each mode and on several devices. The batches in flight are
# stored, the summary and the report say that the run was interrupted, and the
# same command goes on and ends as if nothing had happened.
# (env: sh starts what is in the background with SIGINT ignored.)
awk 'BEGIN { for (i = 0; i < 3000; i++) printf "{\"text\": \"number %d of many\"}\n", i }' >many.jsonl
# From submit 20 on, when rows are on the way, the cards are so slow that they
# could not do all in a minute: the signal comes in the middle.
for card in a b; do
    echo "{\"device\": \"sim:$card\", \"at_submit\": 20, \"delay_ms\": 400}"
done >slow.jsonl
: >quick.jsonl
ensembed run many.jsonl --model "$MODELS/mean" --model "$MODELS/cls" --dim 16 --out fresh --quiet 2>/dev/null

go() { # MODE SCRIPT; takes the place of the shell that it runs in
    exec env --default-signal=INT ensembed run many.jsonl --model "$MODELS/mean:budget=128" --model "$MODELS/cls:budget=128" --dim 16 \
        --mode "$1" --device sim:a=64MiB,sim:b=64MiB --margin sim:a=8MiB --margin sim:b=8MiB \
        --threads 1 --lock-dir locks --sim-script "$2" --out "$1" --no-progress
}

for mode in exclusive sequential simultaneous; do
    signal=INT
    [ $mode != sequential ] || signal=TERM
    [ $mode != simultaneous ] || signal=HUP
    go $mode slow.jsonl >out 2>err &
    pid=$!
    until [ "$(grep -c batch_completed $mode/events.jsonl 2>/dev/null)" -ge 20 ]; do sleep 0.02; done 2>/dev/null
    kill -$signal $pid
    status=0
    wait $pid || status=$?
    echo "$mode: exit status $status"
    grep -o "run the same command again and it goes on: .* --mode $mode" err | sed 's/: .* --mode/: ... --mode/'
    tail -n 1 $mode/events.jsonl | grep -o '"status":"[a-z_]*"'
    # The run, its collection and two passes, of which none is complete.
    grep -o '^ *"status": "[a-z_]*"' $mode/summary.json
    grep -c '"code": "interrupted"' $mode/summary.json
    grep -ciq "interrupted" $mode/report.html
    # What was stored is what the batches' events say, and is not done again.
    stored=$(grep batch_completed $mode/events.jsonl | sed 's/.*"texts":\([0-9]*\).*/\1/' | awk '{ n += $1 } END { print n }')
    [ "$stored" -gt 0 ] && [ "$stored" -lt 6000 ]
    go $mode quick.jsonl >again 2>>err &
    wait $!
    grep -q "$((6000 - stored)) texts computed, $stored reused" again
    for f in fresh/many/*.*; do cmp "$f" "$mode/many/${f##*/}"; done
done
