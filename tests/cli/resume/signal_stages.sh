# heavy: a signal while a run waits for a lease, reads, and writes what it made.
# (env: sh starts what is in the background with SIGINT ignored.)
awk 'BEGIN { for (i = 0; i < 200000; i++) printf "{\"text\": \"number %d of many\", \"metadata\": {\"n\": %d}}\n", i % 50, i }' >many.jsonl
printf '{"text": "one"}\n' >one.jsonl

tell() { # NAME OUT
    echo "$1: exit status $status"
    grep -o '^ "status": "[a-z_]*"' "$2/summary.json"
    grep -o "it goes on" err
}

# It waits for the lease of a card that another process holds.
mkdir -m 1777 locks
: >locks/sim:a.lock
flock locks/sim:a.lock sleep 600 &
holder=$!
while flock -n locks/sim:a.lock true; do sleep 0.02; done
env --default-signal=INT ensembed run one.jsonl --model "$MODELS/mean" --device sim:a=64MiB --margin sim:a=8MiB \
    --lock-dir locks --out waits --quiet 2>err &
pid=$!
until grep -q lease_waiting waits/events.jsonl 2>/dev/null; do sleep 0.02; done
kill -INT $pid
status=0
wait $pid || status=$?
tell "waits for a lease" waits
pkill -P $holder sleep || true
kill $holder 2>/dev/null || true

# Signals a run of many.jsonl when FILE is there. Where this shell stood still
# meanwhile, the run has got so far that PAST is there: once more.
hit() { # SIGNAL FILE PAST; sets status
    for _ in 1 2 3 4 5; do
        [ ! -e o/many/"$3" ] || rm -rf o
        env --default-signal=INT ensembed run many.jsonl --model "$MODELS/mean" --out o --no-progress 2>err >out &
        pid=$!
        until [ -e o/many/"$2" ] || [ -e o/many/"$3" ]; do sleep 0.01; done
        kill -"$1" $pid 2>/dev/null || true
        status=0
        wait $pid || status=$?
        [ -e o/many/"$3" ] || break
    done
}

# It reads: the index of the chunks is there, and no row yet.
hit TERM .ensembed/scratch/intake-many.ids .ensembed/mean
tell reads o
[ ! -e o/many/.ensembed/mean ]

# It writes points.jsonl.
hit INT points.jsonl.part points.jsonl
tell exports o
[ ! -e o/many/points.jsonl ] && [ ! -e o/many/points.jsonl.part ]
ensembed run many.jsonl --model "$MODELS/mean" --out o --no-progress | grep -o "0 texts computed, 50 reused"
ensembed run many.jsonl --model "$MODELS/mean" --out fresh --quiet
for f in fresh/many/*.*; do cmp "$f" "o/many/${f##*/}"; done
