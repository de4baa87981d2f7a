# heavy: a run that was killed goes on in another mode, on other devices, with
# other threads: the same bytes. With another instruction set it goes on too,
# and the store says which ones made its rows.
awk 'BEGIN { for (i = 0; i < 600; i++) printf "{\"text\": \"number %d of many\"}\n", i }' >many.jsonl
# It is killed while it waits for the 40th batch. (One thread has one lane, and
# a batch is one submit.)
echo '{"device": "sim:a", "at_submit": 40, "delay_ms": 60000}' >slow.jsonl
two="--model $MODELS/mean --model $MODELS/cls --dim 16"
# shellcheck disable=SC2086
ensembed run many.jsonl $two --out fresh --quiet 2>/dev/null
own=$(sed -n 's/^ *"isa": "\([a-z0-9]*\)".*/\1/p' fresh/summary.json | head -n 1)
ensembed run many.jsonl --model "$MODELS/mean:budget=128" --model "$MODELS/cls:budget=128" --dim 16 \
    --device sim:a=64MiB --margin sim:a=8MiB --mode exclusive --lock-dir locks --sim-script slow.jsonl \
    --threads 1 --out half --quiet >/dev/null 2>&1 &
pid=$!
until [ "$(grep -c batch_completed half/events.jsonl 2>/dev/null)" -ge 39 ]; do sleep 0.02; done 2>/dev/null
kill -KILL $pid
wait $pid 2>/dev/null || true
rows=$(($(stat -c %s half/many/.ensembed/mean/dense/digests) / 32))
[ $rows -gt 80 ] && [ $rows -lt 600 ]

go() { # OPTION...
    cp -r half o
    # shellcheck disable=SC2086
    ensembed run many.jsonl $two --out o --no-progress "$@" 2>err >out
    grep -q "$((1200 - rows)) texts computed, $rows reused" out
}

same() {
    for f in fresh/many/*.*; do cmp "$f" "o/many/${f##*/}"; done
    rm -rf o
}

for mode in exclusive sequential simultaneous; do
    go --mode $mode
    same
    go --mode $mode --device sim:a=64MiB,sim:c=32MiB,cpu --margin sim:a=8MiB --margin sim:c=8MiB --lock-dir locks --threads 3
    same
    echo "$mode: same bytes"
done
go --isa generic
tr -d ' \n' <o/many/.ensembed/mean/dense/store.json | grep -o '"isa":\[[^]]*\]' >isa
grep -q "$own" isa
grep -q generic isa
echo "instruction sets recorded"
